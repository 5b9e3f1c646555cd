import type { Metrics } from '../kit/metrics.ts';

export type TransportsMetrics = ReturnType<typeof createTransportsMetrics>;

/** Labels are from closed sets: protocol names, close labels of live/close-reasons.ts, error codes, message types. */
export function createTransportsMetrics(metrics: Metrics) {
  return {
    open: metrics.gauge('transports_connections', 'Open connections by protocol.', ['protocol']),
    unauthenticated: metrics.gauge('transports_connections_unauthenticated', 'Connections that have not introduced themselves yet.'),
    opened: metrics.counter('transports_connections_total', 'Connections taken since the start.', ['protocol']),
    closed: metrics.counter('transports_closed_total', 'Connections ended, by reason; `client` where the client ended it.', [
      'protocol',
      'reason',
    ]),
    refused: metrics.counter('transports_refused_total', 'Connections and requests refused before a session existed.', [
      'protocol',
      'code',
    ]),
    messages: metrics.counter('transports_messages_total', 'Messages received over WebSocket, by type.', ['type']),
    reservations: metrics.gauge('transports_sse_reservations', 'Single-connection streams reserved but not opened.'),
  };
}
