import { hash } from 'node:crypto';
import type { Identity } from './identity.ts';

export type TokenCacheLimits = {
  readonly maxTokens: number;
  /** Of token text; what an entry costs besides is small and bounded by `maxTokens`. */
  readonly maxBytes: number;
  /** Ms after verification at which a token is verified again. */
  readonly ttl: number;
};

export const TOKEN_CACHE_DEFAULTS: TokenCacheLimits = { maxTokens: 100_000, maxBytes: 64 * 1024 * 1024, ttl: 300_000 };

export type UserIdentity = Extract<Identity, { kind: 'user' }>;

/** `until` on the monotonic clock, ms. */
type Entry = { readonly identity: UserIdentity; readonly until: number };

/**
 * Verified tokens by SHA-256, least recently used out first. Sockets that reconnect with the tokens they had cost a hash each (4 µs of CPU), not a verification (140 µs for RS256 and ES256, 100 for HS256).
 */
export class TokenCache {
  readonly #limits: TokenCacheLimits;
  readonly #onEvict: () => void;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(limits: TokenCacheLimits, onEvict: () => void) {
    this.#limits = limits;
    this.#onEvict = onEvict;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(digest: string, monotonic: number): UserIdentity | null {
    const entry = this.#entries.get(digest);
    if (!entry) return null;
    this.#entries.delete(digest);
    if (monotonic >= entry.until) {
      this.#bytes -= entry.identity.token.length;
      return null;
    }
    this.#entries.set(digest, entry);
    return entry.identity;
  }

  set(digest: string, identity: UserIdentity, monotonic: number): void {
    if (this.#limits.ttl <= 0 || this.#limits.maxTokens <= 0) return;
    this.#drop(digest);
    this.#entries.set(digest, { identity, until: monotonic + this.#limits.ttl });
    this.#bytes += identity.token.length;
    while (this.#entries.size > this.#limits.maxTokens || this.#bytes > this.#limits.maxBytes) {
      const oldest = this.#entries.keys().next().value;
      if (oldest === undefined) break;
      this.#drop(oldest);
      this.#onEvict();
    }
  }

  #drop(digest: string): void {
    const entry = this.#entries.get(digest);
    if (!entry) return;
    this.#entries.delete(digest);
    this.#bytes -= entry.identity.token.length;
  }
}

export function digestOf(token: string): string {
  return hash('sha256', token, 'base64');
}
