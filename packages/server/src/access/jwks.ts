import type { JWK } from 'jose';
import type { Clock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { boundedText, fetchReason } from '../kit/fetch-answer.ts';
import { isJsonObject } from '../kit/json.ts';
import type { Logger } from '../kit/log.ts';
import { accessErrors } from './errors.ts';
import type { JwksLimits } from './issuer.ts';
import { fromJwk, type KeyHint, type KeySet, select, type VerifyKey } from './keys.ts';

export const MAX_JWKS_KEYS = 100;
export const MAX_JWKS_BYTES = 262_144;

/** Answers the document's bytes; rejects where the address does not answer 200 within the limits. */
export type FetchKeys = (url: string, signal: AbortSignal) => Promise<string>;

export type JwksOptions = {
  readonly issuer: string;
  readonly url: string;
  readonly limits: JwksLimits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly fetchKeys: FetchKeys;
  readonly onFetch: (outcome: 'ok' | 'failed') => void;
};

/**
 * The key set of one issuer, fetched from its address. Known keys survive the address; unknown ones cannot make us hammer it.
 * Normative: spec/access.md, 4.
 */
export class JwksKeySet implements KeySet {
  readonly #options: JwksOptions;
  #keys: readonly VerifyKey[] = [];
  #loadedAt: number | null = null;
  #triedAt: number | null = null;
  #lastFailed = false;
  #running: Promise<void> | null = null;

  constructor(options: JwksOptions) {
    this.#options = options;
  }

  async candidates(hint: KeyHint): Promise<readonly VerifyKey[]> {
    await this.#freshen();
    const known = this.#select(hint);
    if (known.length > 0) return known;
    await this.#fetchOnceACooldown();
    const found = this.#select(hint);
    if (found.length === 0 && this.#lastFailed) {
      throw new MillraceError(
        accessErrors.KEYS_UNAVAILABLE,
        "the keys of the token's issuer cannot be fetched just now: try again shortly",
      );
    }
    return found;
  }

  /** Waits for a fetch only where the keys are too old to be served while it runs, and not while the address is known to fail. */
  async #freshen(): Promise<void> {
    if (this.#loadedAt === null) return;
    const { clock, limits } = this.#options;
    const age = clock.monotonic() - this.#loadedAt;
    if (age <= limits.maxAge) return;
    const fetching = this.#fetchOnceACooldown();
    if (age > 2 * limits.maxAge && !this.#lastFailed) await fetching;
  }

  #select(hint: KeyHint): readonly VerifyKey[] {
    const { clock, limits } = this.#options;
    if (this.#loadedAt === null || clock.monotonic() - this.#loadedAt > limits.maxAge + limits.keepWhileDown) return [];
    return select(this.#keys, hint);
  }

  /** Never rejects. */
  #fetchOnceACooldown(): Promise<void> {
    const { clock, limits } = this.#options;
    if (this.#running) return this.#running;
    if (this.#triedAt !== null && clock.monotonic() - this.#triedAt < limits.cooldown) return Promise.resolve();
    this.#triedAt = clock.monotonic();
    this.#running = this.#load().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #load(): Promise<void> {
    const { clock, limits, log, url, issuer, onFetch } = this.#options;
    const abort = new AbortController();
    const timer = clock.after(limits.timeout, () => abort.abort(new Error(`no answer within ${limits.timeout} ms`)));
    try {
      this.#keys = parseKeySet(await this.#options.fetchKeys(url, abort.signal));
      this.#loadedAt = clock.monotonic();
      this.#lastFailed = false;
      onFetch('ok');
    } catch (thrown) {
      this.#lastFailed = true;
      onFetch('failed');
      log.warn({ issuer, url, reason: fetchReason(thrown), keys: this.#keys.length }, 'key set not fetched; known keys stay in use');
    } finally {
      timer.cancel();
    }
  }
}

/** Throws where the text is not a key set (RFC 7517, 5) or has too many keys. Keys that are not for signatures are left out. */
function parseKeySet(text: string): readonly VerifyKey[] {
  const set: unknown = JSON.parse(text);
  const list: unknown = isJsonObject(set) ? set['keys'] : undefined;
  if (!Array.isArray(list)) throw new Error('not a JSON Web Key Set');
  if (list.length > MAX_JWKS_KEYS) throw new Error(`${list.length} keys, at most ${MAX_JWKS_KEYS} are taken`);
  return list.filter(isJsonObject).flatMap(verifyKey);
}

function verifyKey(jwk: JWK): readonly VerifyKey[] {
  const key = fromJwk(jwk);
  if (key === null) return [];
  return [{ key, kid: typeof jwk.kid === 'string' ? jwk.kid : null, alg: typeof jwk.alg === 'string' ? jwk.alg : null }];
}

/** The real one: no redirects (they could lead away from https), a bounded body. */
export const fetchKeysOverHttp: FetchKeys = async (url, signal) => {
  const response = await fetch(url, { signal, redirect: 'error', headers: { accept: 'application/jwk-set+json, application/json' } });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  }
  return boundedText(response, MAX_JWKS_BYTES);
};
