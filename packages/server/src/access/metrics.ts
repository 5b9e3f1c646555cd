import type { Metrics } from '../kit/metrics.ts';

export type AccessMetrics = ReturnType<typeof createAccessMetrics>;

export function createAccessMetrics(metrics: Metrics, cachedTokens: () => number) {
  metrics.gauge('access_cached_tokens', 'Verified tokens remembered', [], (gauge) => gauge.set(cachedTokens()));
  return {
    /** By outcome: `verified`, `cached`, `anonymous` or an error code. */
    authentications: metrics.counter('access_authentications_total', 'Authentications by outcome', ['outcome']),
    /** By outcome: `ok` or `failed`. */
    keyFetches: metrics.counter('access_key_fetches_total', "Fetches of issuers' key sets by outcome", ['outcome']),
    evictions: metrics.counter('access_cache_evictions_total', 'Verified tokens forgotten because the cache was full'),
  };
}
