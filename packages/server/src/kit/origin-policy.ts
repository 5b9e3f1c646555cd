import type { IncomingHttpHeaders } from 'node:http';
import { isLoopbackHost } from './loopback.ts';

/** Which web pages may talk to this server. Normative: spec/protocol.md section 2. */
export type OriginOptions = {
  /** Exact origins (`https://app.example.com`, no path), or `*` for every one. */
  readonly allowed: readonly string[] | '*';
  /** Also every origin on a loopback host, any port: for development, where the page has a server of its own. */
  readonly loopback: boolean;
};

export const ORIGIN_DEFAULTS: OriginOptions = { allowed: [], loopback: false };

export type OriginVerdict =
  /** No Origin header: not a browser, or a same-origin GET of one. */
  | { readonly kind: 'absent'; readonly sameOriginFetch: boolean }
  | { readonly kind: 'allowed'; readonly origin: string; readonly sameOrigin: boolean }
  | { readonly kind: 'refused'; readonly origin: string };

export class OriginPolicy {
  readonly #any: boolean;
  readonly #allowed: ReadonlySet<string>;
  readonly #loopback: boolean;

  constructor(options: OriginOptions = ORIGIN_DEFAULTS) {
    this.#any = options.allowed === '*';
    this.#allowed = new Set(options.allowed === '*' ? [] : options.allowed.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
    this.#loopback = options.loopback;
  }

  /** True where every origin is allowed; credentials are then never offered to browsers. */
  get any(): boolean {
    return this.#any;
  }

  judge(headers: IncomingHttpHeaders): OriginVerdict {
    const origin = headers.origin;
    if (origin === undefined) return { kind: 'absent', sameOriginFetch: headers['sec-fetch-site'] === 'same-origin' };
    const sameOrigin = isSameOrigin(origin, headers.host);
    if (sameOrigin || this.#any || this.#allowed.has(origin.toLowerCase())) return { kind: 'allowed', origin, sameOrigin };
    if (this.#loopback && isLoopbackHost(URL.parse(origin)?.hostname ?? '')) return { kind: 'allowed', origin, sameOrigin: false };
    return { kind: 'refused', origin };
  }
}

/** CORS answer headers for an allowed origin. Empty where there is none to answer. */
export function corsHeaders(
  verdict: OriginVerdict,
  policy: OriginPolicy,
  options: { readonly credentials: boolean },
): Record<string, string> {
  if (verdict.kind !== 'allowed' || verdict.sameOrigin) return { vary: 'Origin' };
  return {
    vary: 'Origin',
    'access-control-allow-origin': verdict.origin,
    'access-control-expose-headers': 'x-request-id, retry-after',
    ...(options.credentials && !policy.any ? { 'access-control-allow-credentials': 'true' } : {}),
  };
}

/** Host and port must agree; the scheme is the proxy's affair, because behind TLS termination this server sees plain HTTP. */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined) return false;
  const url = URL.parse(origin);
  if (!url) return false;
  const asked = URL.parse(`${url.protocol}//${host}`);
  return asked !== null && asked.host === url.host;
}
