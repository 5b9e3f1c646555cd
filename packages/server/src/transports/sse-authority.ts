import type { IncomingMessage } from 'node:http';
import { MillraceError } from '../kit/errors.ts';
import type { OriginVerdict } from '../kit/origin-policy.ts';
import { transportsErrors } from './errors.ts';

/** The cookie that carries a token for EventSource, which cannot send headers. */
export const TOKEN_COOKIE = 'millrace_token';

/**
 * The authorization of an SSE request: the header, else the cookie, and the cookie only from a page that is shown to be allowed.
 * Throws COOKIE_WITHOUT_ORIGIN. spec/protocol.md section 1.
 */
export function sseAuthorization(req: IncomingMessage, origin: OriginVerdict, anyOrigin: boolean): string | undefined {
  if (req.headers.authorization !== undefined) return req.headers.authorization;
  const token = cookieValue(req.headers.cookie, TOKEN_COOKIE);
  if (token === null) return undefined;
  // Where every origin is allowed, being allowed shows nothing: only our own page may then use the cookie.
  const trusted = origin.kind === 'allowed' && (!anyOrigin || origin.sameOrigin);
  if (trusted || (origin.kind === 'absent' && origin.sameOriginFetch)) return `Bearer ${token}`;
  throw new MillraceError(
    transportsErrors.COOKIE_WITHOUT_ORIGIN,
    `the token came in the cookie ${TOKEN_COOKIE} without an allowed Origin; send it in the Authorization header, or connect from an allowed page`,
  );
}

function cookieValue(header: string | undefined, name: string): string | null {
  if (header === undefined) return null;
  for (const part of header.split(';')) {
    const at = part.indexOf('=');
    if (at > 0 && part.slice(0, at).trim() === name)
      return (
        part
          .slice(at + 1)
          .trim()
          .replace(/^"(.*)"$/, '$1') || null
      );
  }
  return null;
}

/** As much of an identity as tells two callers apart. */
export type Caller =
  | { readonly kind: 'anonymous'; readonly tenant: string | null }
  | { readonly kind: 'user'; readonly tenant: string; readonly user: string };

export function sameCaller(a: Caller, b: Caller): boolean {
  if (a.kind === 'anonymous' || b.kind === 'anonymous') return a.kind === b.kind && a.tenant === b.tenant;
  return a.tenant === b.tenant && a.user === b.user;
}
