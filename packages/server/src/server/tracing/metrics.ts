import type { Metrics } from '../../kit/metrics.ts';

export type TracingMetrics = ReturnType<typeof createTracingMetrics>;

export function createTracingMetrics(metrics: Metrics) {
  return {
    exported: metrics.counter('tracing_exported_spans_total', 'Spans that the collector has taken'),
    failed: metrics.counter('tracing_failed_spans_total', 'Spans that were sent and not taken'),
    dropped: metrics.counter(
      'tracing_dropped_spans_total',
      'Spans thrown away because the queue to the collector was full (TRACING_OVERFLOW)',
    ),
    queued: metrics.gauge('tracing_queued_spans', 'Spans that wait for the collector'),
  };
}
