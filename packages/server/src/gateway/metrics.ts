import { LATENCY_BUCKETS, type Metrics } from '../kit/metrics.ts';

export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

export function createGatewayMetrics(metrics: Metrics) {
  return {
    /** outcome: ok, errors (ran with errors), refused, live, stream, internal. */
    operations: metrics.counter('gateway_operations_total', 'Operations by transport, type and outcome.', ['transport', 'type', 'outcome']),
    seconds: metrics.histogram(
      'gateway_operation_seconds',
      'From request to result of queries and mutations, to the start of subscriptions.',
      LATENCY_BUCKETS,
      ['type'],
    ),
    running: metrics.gauge('gateway_operations_running', 'Queries and mutations under way.'),
    masked: metrics.counter('gateway_errors_masked_total', 'Errors of unknown origin, shown as INTERNAL.'),
    http: metrics.counter('gateway_http_requests_total', 'Requests to the HTTP address by method and status.', ['method', 'status']),
  };
}
