import { SignJWT } from 'jose';
import { type Clock, systemClock } from '../kit/clock.ts';
import { formatSeconds, parseDuration } from '../kit/duration.ts';
import { MillraceError } from '../kit/errors.ts';
import { type Random, systemRandom } from '../kit/random.ts';
import { accessErrors } from './errors.ts';
import type { IssuerOptions } from './issuer.ts';

export const DEV_ISSUER = 'https://millrace.invalid/dev';

/** Known to everybody: it is only good for a Millrace in dev mode, which listens on loopback. */
export const DEV_SECRET = 'millrace-dev-secret-that-only-dev-mode-accepts';

/** The entry that `createAuthenticator` adds in dev mode. */
export function devIssuer(): IssuerOptions {
  return { issuer: DEV_ISSUER, algorithms: ['HS256'], keys: { kind: 'secret', secret: DEV_SECRET } };
}

export type DevTokenOptions = {
  readonly tenant: string;
  readonly user: string;
  readonly roles?: readonly string[];
  readonly groups?: readonly string[];
  readonly scopes?: readonly string[];
  /** As `parseDuration` takes it: `1h`, `30m`, `7d`, seconds. Default `1h`, at most a year. */
  readonly expiresIn?: string;
};

const YEAR = 365 * 86_400_000;

/** A token that only dev mode accepts. Rejects with TOKEN_INVALID where `expiresIn` is not a duration of 1 s to a year. */
export async function issueDevToken(options: DevTokenOptions, clock: Clock = systemClock, random: Random = systemRandom): Promise<string> {
  const text = options.expiresIn ?? '1h';
  const lifetime = parseDuration(text);
  if (lifetime === null || lifetime < 1000 || lifetime > YEAR) {
    throw new MillraceError(
      accessErrors.TOKEN_INVALID,
      `expires: got ${JSON.stringify(text.slice(0, 40))}, takes 1s to ${formatSeconds(YEAR)} such as 30m, 1h, 7d or seconds`,
    );
  }
  const now = Math.floor(clock.now() / 1000);
  return new SignJWT({
    tenant: options.tenant,
    roles: [...(options.roles ?? [])],
    groups: [...(options.groups ?? [])],
    scope: (options.scopes ?? []).join(' '),
  })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer(DEV_ISSUER)
    .setSubject(options.user)
    .setIssuedAt(now)
    .setExpirationTime(now + Math.floor(lifetime / 1000))
    .setJti(random.hex(16))
    .sign(new TextEncoder().encode(DEV_SECRET));
}
