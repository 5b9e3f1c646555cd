import type { JWK } from 'jose';
import { MillraceError } from '../kit/errors.ts';
import { isLoopbackHost } from '../kit/loopback.ts';
import type { ClaimsMapping } from './claims.ts';
import { accessErrors } from './errors.ts';

/** RFC 7518 and RFC 8037/9864. `none` is not among them. */
export const SECRET_ALGORITHMS = ['HS256', 'HS384', 'HS512'] as const;
export const PUBLIC_KEY_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const;

export type Algorithm = (typeof SECRET_ALGORITHMS)[number] | (typeof PUBLIC_KEY_ALGORITHMS)[number];

/** One party whose tokens are accepted. Normative: spec/access.md. */
export type IssuerOptions = {
  /** Compared with `iss` as it stands, no trailing slash added or removed. */
  readonly issuer: string;
  /** One of these must be in `aud`. Absent: `aud` is not looked at. */
  readonly audience?: string | readonly string[];
  readonly algorithms: readonly Algorithm[];
  readonly keys: KeySource;
  /** Where the identity's parts stand; what is left out keeps its default. */
  readonly claims?: Partial<ClaimsMapping>;
  /** Whether a token must have `exp`. Default true. */
  readonly requireExpiry?: boolean;
};

export type KeySource =
  | { readonly kind: 'secret'; readonly secret: string }
  | { readonly kind: 'static'; readonly keys: readonly StaticKey[] }
  | ({ readonly kind: 'jwks'; readonly url: string } & Partial<JwksLimits>);

export type StaticKey = { readonly kid?: string; readonly pem: string } | { readonly kid?: string; readonly jwk: JWK };

export type JwksLimits = {
  /** Ms after which a set is fetched again. */
  readonly maxAge: number;
  /** Ms between two fetches, whatever asks for them. */
  readonly cooldown: number;
  /** Ms that one fetch may take, its body included. */
  readonly timeout: number;
  /** Ms for which known keys go on verifying while the address fails. */
  readonly keepWhileDown: number;
};

export const JWKS_DEFAULTS: JwksLimits = { maxAge: 600_000, cooldown: 30_000, timeout: 5000, keepWhileDown: 86_400_000 };

export const MIN_SECRET_BYTES = 32;

/** Throws ACCESS_MISCONFIGURED with one line that names the entry and the key. */
export function checkIssuer(entry: IssuerOptions): void {
  const at = `access.issuers[${entry.issuer || '?'}]`;
  if (typeof entry.issuer !== 'string' || entry.issuer === '')
    throw misconfigured(`${at}.issuer is empty: give the exact value of \`iss\``);
  if (entry.algorithms.length === 0) throw misconfigured(`${at}.algorithms is empty: name at least one`);
  const allowed: readonly string[] = entry.keys.kind === 'secret' ? SECRET_ALGORITHMS : PUBLIC_KEY_ALGORITHMS;
  const foreign = entry.algorithms.find((name) => !allowed.includes(name));
  if (foreign !== undefined) {
    throw misconfigured(`${at}.algorithms has ${foreign}, but keys of kind ${entry.keys.kind} take only ${allowed.join(', ')}`);
  }
  if (entry.keys.kind === 'secret' && Buffer.byteLength(entry.keys.secret) < MIN_SECRET_BYTES) {
    throw misconfigured(`${at}.keys.secret is shorter than ${MIN_SECRET_BYTES} bytes: use a longer one`);
  }
  if (entry.keys.kind === 'static' && entry.keys.keys.length === 0)
    throw misconfigured(`${at}.keys.keys is empty: give at least one public key`);
  if (entry.keys.kind === 'jwks') checkJwksUrl(at, entry.keys.url);
}

function checkJwksUrl(at: string, text: string): void {
  const url = URL.parse(text);
  const loopback = url !== null && isLoopbackHost(url.hostname);
  if (url === null || (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback))) {
    throw misconfigured(`${at}.keys.url must be an https address (http only on this machine)`);
  }
}

export function misconfigured(line: string, cause?: unknown): MillraceError {
  return new MillraceError(accessErrors.ACCESS_MISCONFIGURED, line, {}, cause);
}
