import { LATENCY_BUCKETS, type Metrics } from '../kit/metrics.ts';

export type BrokersMetrics = ReturnType<typeof createBrokersMetrics>;

export function createBrokersMetrics(metrics: Metrics) {
  return {
    appended: metrics.counter('brokers_appended_total', 'Records given to the embedded log, by outcome', ['status']),
    busy: metrics.counter('brokers_busy_total', 'Appends refused because too many records waited for the disk'),
    commitSeconds: metrics.histogram('brokers_commit_seconds', 'From the start of a group commit to the disk having it', LATENCY_BUCKETS),
    commitRecords: metrics.histogram(
      'brokers_commit_records',
      'Records in one group commit',
      [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500],
    ),
    pending: metrics.gauge('brokers_pending_records', 'Records that wait for the disk'),
    logBytes: metrics.gauge('brokers_log_bytes', 'Bytes of the records in the embedded log'),
    logRecords: metrics.gauge('brokers_log_records', 'Records in the embedded log'),
    removed: metrics.counter('brokers_retention_removed_total', 'Settled records removed by retention'),
    lost: metrics.counter('brokers_retention_lost_total', 'Unsettled records removed by the hard size bound (BROKER_RETENTION_LOSS)'),
    checkpointSeconds: metrics.histogram('brokers_checkpoint_seconds', 'Duration of check-points, in their own thread', LATENCY_BUCKETS),
    delivered: metrics.counter('brokers_delivered_total', 'Records handed to consumers, redeliveries included', ['group']),
    settled: metrics.counter('brokers_settled_total', 'Settlements, by kind', ['group', 'kind']),
    lag: metrics.gauge('brokers_lag_records', 'Records appended and not yet settled', ['group']),
    retries: metrics.gauge('brokers_retries_waiting', 'Records that wait for their next attempt', ['group']),
    redelivered: metrics.counter(
      'brokers_taken_away_total',
      'Records taken away while out, by a rebalance or a lost connection; delivered again',
      ['group'],
    ),
    reconnects: metrics.counter('brokers_reconnects_total', 'Sessions with a broker that ended and were begun again', ['group']),
    jumped: metrics.counter('brokers_offsets_jumped_total', 'Offsets that were skipped unread (BROKER_OFFSET_JUMP)', ['group']),
    deadLetters: metrics.gauge('brokers_dead_letters', 'Dead letters kept'),
    deadLettersAdded: metrics.counter('brokers_dead_letters_added_total', 'Dead letters added'),
    deadLettersEvicted: metrics.counter('brokers_dead_letters_evicted_total', 'Dead letters removed by the bounds on count, bytes and age'),
    deadLettersRedriven: metrics.counter('brokers_dead_letters_redriven_total', 'Dead letters put back into the log'),
    doorRequests: metrics.counter('brokers_door_requests_total', 'Requests to the events address, by code (OK or an error code)', ['code']),
    doorEvents: metrics.counter('brokers_door_events_total', 'Events that came in over HTTP, by outcome', ['status']),
    doorBytes: metrics.counter('brokers_door_bytes_total', 'Bytes of bodies read at the events address, after inflation'),
    doorInFlightBytes: metrics.gauge('brokers_door_in_flight_bytes', 'Bytes of bodies held by requests not yet answered'),
    doorSeconds: metrics.histogram('brokers_door_seconds', 'From the end of the body to the answer', LATENCY_BUCKETS),
  };
}
