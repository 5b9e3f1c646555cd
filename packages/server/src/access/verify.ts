import { errors, type JWTPayload, jwtVerify } from 'jose';
import { MillraceError } from '../kit/errors.ts';
import type { JsonObject } from '../kit/json.ts';
import { accessErrors } from './errors.ts';
import type { IssuerOptions } from './issuer.ts';
import type { KeySet, VerifyKey } from './keys.ts';

export type Verified = {
  readonly claims: JsonObject;
  /** Ms since the epoch. */
  readonly expiresAt: number | null;
  readonly tokenId: string | null;
};

/** Both in ms; `now` since the epoch. */
export type VerifyTime = { readonly now: number; readonly clockSkew: number };

/** Signature, issuer, audience and times. Rejects with TOKEN_INVALID, TOKEN_EXPIRED or KEYS_UNAVAILABLE. */
export async function verifyToken(
  token: string,
  header: JsonObject,
  entry: IssuerOptions,
  keys: KeySet,
  time: VerifyTime,
): Promise<Verified> {
  const alg = header['alg'];
  const algorithms: readonly string[] = entry.algorithms;
  if (typeof alg !== 'string' || !algorithms.includes(alg)) throw refused('its algorithm is not allowed for its issuer');
  const kid = header['kid'];
  const candidates = await keys.candidates({ alg, kid: typeof kid === 'string' ? kid : null });
  if (candidates.length === 0) throw refused('no known key of its issuer fits it');
  const payload = await verifyWithAny(token, candidates, entry, time);
  return { claims: payload as JsonObject, expiresAt: expiry(payload), tokenId: typeof payload.jti === 'string' ? payload.jti : null };
}

async function verifyWithAny(token: string, candidates: readonly VerifyKey[], entry: IssuerOptions, time: VerifyTime): Promise<JWTPayload> {
  for (const { key } of candidates) {
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [...entry.algorithms],
        issuer: entry.issuer,
        clockTolerance: time.clockSkew / 1000,
        currentDate: new Date(time.now),
        requiredClaims: entry.requireExpiry === false ? [] : ['exp'],
        ...(entry.audience === undefined ? {} : { audience: typeof entry.audience === 'string' ? entry.audience : [...entry.audience] }),
      });
      return payload;
    } catch (thrown) {
      // Only a wrong key lets the next one be tried; any other fault is the token's own.
      if (!(thrown instanceof errors.JWSSignatureVerificationFailed)) throw coded(thrown);
    }
  }
  throw refused('its signature does not fit');
}

function expiry(payload: JWTPayload): number | null {
  if (payload.exp === undefined) return null;
  const ms = Math.floor(payload.exp * 1000);
  // Beyond this a Date and a timer are no longer exact.
  if (!Number.isSafeInteger(ms) || ms > 8_640_000_000_000_000) throw refused('claim `exp` is out of range');
  return ms;
}

function coded(thrown: unknown): MillraceError {
  if (thrown instanceof errors.JWTExpired) return new MillraceError(accessErrors.TOKEN_EXPIRED, 'token refused: it has expired');
  if (thrown instanceof errors.JWTClaimValidationFailed) return refused(claimFault(thrown.claim, thrown.reason), thrown);
  return refused('it is not a well-formed signed token', thrown);
}

/** jose names the claim out of a fixed set; its own message could hold the value. */
function claimFault(claim: string, reason: string): string {
  if (reason === 'missing') return `claim \`${claim}\` is missing`;
  if (claim === 'nbf') return 'it is not valid yet';
  if (claim === 'aud') return 'it is meant for another audience';
  return `claim \`${claim}\` does not fit`;
}

function refused(reason: string, cause?: unknown): MillraceError {
  return new MillraceError(accessErrors.TOKEN_INVALID, `token refused: ${reason}`, {}, cause);
}
