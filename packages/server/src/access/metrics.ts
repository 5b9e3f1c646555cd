import type { Counter } from 'prom-client';
import type { Metrics } from '../kit/metrics.ts';

export type AccessMetrics = {
  /** By outcome: `verified`, `cached`, `anonymous` or an error code. */
  readonly authentications: Counter<'outcome'>;
  /** By outcome: `ok` or `failed`. */
  readonly keyFetches: Counter<'outcome'>;
  readonly evictions: Counter;
};

export function createAccessMetrics(metrics: Metrics, cachedTokens: () => number): AccessMetrics {
  metrics.gauge('access_cached_tokens', 'Verified tokens remembered', [], (gauge) => gauge.set(cachedTokens()));
  return {
    authentications: metrics.counter('access_authentications_total', 'Authentications by outcome', ['outcome']),
    keyFetches: metrics.counter('access_key_fetches_total', "Fetches of issuers' key sets by outcome", ['outcome']),
    evictions: metrics.counter('access_cache_evictions_total', 'Verified tokens forgotten because the cache was full'),
  };
}
