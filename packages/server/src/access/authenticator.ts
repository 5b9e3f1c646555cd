import { decodeJwt, decodeProtectedHeader } from 'jose';
import { type Clock, systemClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import type { JsonObject } from '../kit/json.ts';
import { type Logger, silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { CLAIMS_DEFAULTS, mapClaims } from './claims.ts';
import { DEV_ISSUER, DEV_SECRET, devIssuer } from './dev-tokens.ts';
import { accessErrors } from './errors.ts';
import type { Authenticator, Identity } from './identity.ts';
import { checkIssuer, type IssuerOptions, JWKS_DEFAULTS, misconfigured } from './issuer.ts';
import { type FetchKeys, fetchKeysOverHttp, JwksKeySet } from './jwks.ts';
import { fixedKeys, type KeySet } from './keys.ts';
import { type AccessMetrics, createAccessMetrics } from './metrics.ts';
import { digestOf, TOKEN_CACHE_DEFAULTS, TokenCache, type TokenCacheLimits, type UserIdentity } from './token-cache.ts';
import { type Verified, verifyToken } from './verify.ts';

export type AuthenticatorOptions = {
  /** `dev` adds the dev issuer, whose secret everybody knows: only for a server that listens on loopback. */
  readonly mode: 'dev' | 'production';
  readonly issuers: readonly IssuerOptions[];
  /** Whether a caller without a token is let in, and as whose guest. Default: refused. */
  readonly anonymous?: { readonly kind: 'refused' } | { readonly kind: 'allowed'; readonly tenant: string | null };
  /** Ms forgiven on `exp` and `nbf`, at most 300,000. Default 30,000. */
  readonly clockSkew?: number;
  readonly cache?: Partial<TokenCacheLimits>;
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly metrics?: Metrics;
  /** Replaced by tests. */
  readonly fetchKeys?: FetchKeys;
};

export const ACCESS_DEFAULTS = { anonymous: { kind: 'refused' }, clockSkew: 30_000, maxTokenLength: 16_384 } as const;

type Issuer = { readonly entry: IssuerOptions; readonly keys: KeySet };

/** Throws ACCESS_MISCONFIGURED. Normative: spec/access.md. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const clockSkew = options.clockSkew ?? ACCESS_DEFAULTS.clockSkew;
  if (!(clockSkew >= 0 && clockSkew <= 300_000)) throw misconfigured(`access.clockSkew is ${clockSkew} ms, takes 0 to 300000`);
  const clock = options.clock ?? systemClock;
  const cache = new TokenCache({ ...TOKEN_CACHE_DEFAULTS, ...options.cache }, () => metrics.evictions.inc());
  const metrics = createAccessMetrics(options.metrics ?? new Metrics(), () => cache.size);
  const issuers = new Map<string, Issuer>();
  for (const entry of entries(options)) {
    checkIssuer(entry);
    if (issuers.has(entry.issuer)) throw misconfigured(`access.issuers names ${entry.issuer} twice: join the entries`);
    issuers.set(entry.issuer, { entry, keys: keySet(entry, options, clock, metrics) });
  }
  return new TokenAuthenticator({ issuers, cache, clock, clockSkew, metrics, anonymous: options.anonymous ?? ACCESS_DEFAULTS.anonymous });
}

function entries(options: AuthenticatorOptions): readonly IssuerOptions[] {
  for (const { issuer, keys } of options.issuers) {
    // Outside dev, whoever reads our source could sign such a token; in dev, the entry is ours to add.
    const known = issuer === DEV_ISSUER || (keys.kind === 'secret' && keys.secret === DEV_SECRET);
    if (known) throw misconfigured(`access.issuers[${issuer}] uses the dev issuer's name or secret, which everybody knows: choose others`);
  }
  return options.mode === 'dev' ? [...options.issuers, devIssuer()] : options.issuers;
}

function keySet(entry: IssuerOptions, options: AuthenticatorOptions, clock: Clock, metrics: AccessMetrics): KeySet {
  if (entry.keys.kind !== 'jwks') return fixedKeys(entry);
  const { url, kind: _, ...limits } = entry.keys;
  return new JwksKeySet({
    issuer: entry.issuer,
    url,
    limits: { ...JWKS_DEFAULTS, ...limits },
    clock,
    log: options.log ?? silentLogger,
    fetchKeys: options.fetchKeys ?? fetchKeysOverHttp,
    onFetch: (outcome) => metrics.keyFetches.inc({ outcome }),
  });
}

type Parts = {
  readonly issuers: ReadonlyMap<string, Issuer>;
  readonly cache: TokenCache;
  readonly clock: Clock;
  readonly clockSkew: number;
  readonly metrics: AccessMetrics;
  readonly anonymous: NonNullable<AuthenticatorOptions['anonymous']>;
};

class TokenAuthenticator implements Authenticator {
  readonly #parts: Parts;
  /** One verification for each token, however many connections bring it at once. */
  readonly #running = new Map<string, Promise<UserIdentity>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async authenticate(authorization: string | undefined): Promise<Identity> {
    const { metrics } = this.#parts;
    try {
      if (authorization === undefined) return this.#anonymous();
      return await this.#identify(bearerToken(authorization));
    } catch (thrown) {
      metrics.authentications.inc({ outcome: thrown instanceof MillraceError ? thrown.code : 'INTERNAL' });
      throw thrown;
    }
  }

  #anonymous(): Identity {
    const { anonymous, metrics } = this.#parts;
    if (anonymous.kind === 'refused') throw new MillraceError(accessErrors.UNAUTHENTICATED, 'a bearer token is needed here');
    metrics.authentications.inc({ outcome: 'anonymous' });
    return { kind: 'anonymous', tenant: anonymous.tenant };
  }

  #identify(token: string): Promise<UserIdentity> | UserIdentity {
    const { cache, clock, clockSkew, metrics } = this.#parts;
    const digest = digestOf(token);
    const cached = cache.get(digest, clock.monotonic());
    if (cached) {
      if (cached.expiresAt !== null && clock.now() >= cached.expiresAt + clockSkew) throw expired();
      metrics.authentications.inc({ outcome: 'cached' });
      return cached;
    }
    const running = this.#running.get(digest);
    if (running) return running;
    const verifying = this.#verify(token, digest).finally(() => this.#running.delete(digest));
    this.#running.set(digest, verifying);
    return verifying;
  }

  async #verify(token: string, digest: string): Promise<UserIdentity> {
    const { cache, clock, clockSkew, metrics } = this.#parts;
    const { entry, keys } = this.#issuerOf(token);
    const verified = await verifyToken(token, headerOf(token), entry, keys, { now: clock.now(), clockSkew });
    const identity = toIdentity(token, entry, verified);
    cache.set(digest, identity, clock.monotonic());
    metrics.authentications.inc({ outcome: 'verified' });
    return identity;
  }

  /** The one use of a claim that is not verified yet: it chooses whose keys must verify it. */
  #issuerOf(token: string): Issuer {
    const issuer = this.#parts.issuers.get(claimedIssuer(token) ?? '');
    if (!issuer)
      throw new MillraceError(accessErrors.ISSUER_NOT_ALLOWED, 'token refused: its issuer is not one of those that are configured');
    return issuer;
  }
}

function toIdentity(token: string, entry: IssuerOptions, verified: Verified): UserIdentity {
  const mapped = mapClaims(verified.claims, { ...CLAIMS_DEFAULTS, ...entry.claims });
  return { kind: 'user', ...mapped, expiresAt: verified.expiresAt, issuer: entry.issuer, tokenId: verified.tokenId, token };
}

/** RFC 6750, 2.1. */
function bearerToken(authorization: string): string {
  if (authorization.length > ACCESS_DEFAULTS.maxTokenLength + 7) throw invalid(`longer than ${ACCESS_DEFAULTS.maxTokenLength} characters`);
  const match = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)$/i.exec(authorization.trim());
  if (!match?.[1]) throw invalid('expected `Bearer` and one JWT of three parts');
  return match[1];
}

function claimedIssuer(token: string): string | null {
  try {
    const { iss } = decodeJwt(token);
    return typeof iss === 'string' ? iss : null;
  } catch (thrown) {
    throw invalid('its payload is not a JSON object', thrown);
  }
}

function headerOf(token: string): JsonObject {
  try {
    return decodeProtectedHeader(token) as JsonObject;
  } catch (thrown) {
    throw invalid('its header is not a JSON object', thrown);
  }
}

function invalid(reason: string, cause?: unknown): MillraceError {
  return new MillraceError(accessErrors.TOKEN_INVALID, `token refused: ${reason}`, {}, cause);
}

function expired(): MillraceError {
  return new MillraceError(accessErrors.TOKEN_EXPIRED, 'token refused: it has expired');
}
