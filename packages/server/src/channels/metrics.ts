import { LATENCY_BUCKETS, type Metrics } from '../kit/metrics.ts';

export type ChannelsMetrics = ReturnType<typeof createChannelsMetrics>;

export function createChannelsMetrics(metrics: Metrics) {
  return {
    published: metrics.counter('channels_published_total', 'Events given to publish, by result', ['result']),
    channels: metrics.gauge('channels_open', 'Channels in memory'),
    listeners: metrics.gauge('channels_listeners', 'Attached listeners'),
    historyEvents: metrics.gauge('channels_history_events', 'Events in the history of all channels'),
    historyBytes: metrics.gauge('channels_history_bytes', 'Bytes of the history of all channels'),
    evicted: metrics.counter('channels_history_evicted_total', 'Events that left history, by bound (count, bytes, age, global, disposed)', [
      'why',
    ]),
    disposed: metrics.counter('channels_disposed_total', 'Channels that nobody listened to for the linger time, disposed of'),
    gaps: metrics.counter('channels_gaps_total', 'History asked for from a position that cannot be continued (evicted, epoch)', ['why']),
    listenerFaults: metrics.counter('channels_listener_faults_total', 'Listeners that threw during fan-out (a fault of Millrace)'),
    journalFailures: metrics.counter('channels_journal_failures_total', 'Publish calls refused because the journal could not be written'),
    journalLoads: metrics.counter('channels_journal_loads_total', 'Channels brought back from the journal'),
  };
}

export type RedisMetrics = ReturnType<typeof createRedisMetrics>;

export function createRedisMetrics(metrics: Metrics) {
  return {
    calls: metrics.counter('channels_redis_calls_total', 'Scripts run in Redis, by script', ['script']),
    failures: metrics.counter('channels_redis_failures_total', 'Scripts that Redis did not run or did not answer, by script', ['script']),
    repeats: metrics.counter(
      'channels_redis_repeats_total',
      'Calls tried again at once because a slot or a master has moved, or another try may work',
    ),
    latency: metrics.histogram('channels_redis_call_seconds', 'Time of one call, its repetitions included', LATENCY_BUCKETS),
    queued: metrics.gauge('channels_redis_queued_commands', 'Commands waiting for Redis’s answer'),
    queuedBytes: metrics.gauge('channels_redis_queued_bytes', 'Bytes of commands waiting for Redis’s answer'),
    overloaded: metrics.counter('channels_redis_overloaded_total', 'Commands not sent because too many wait'),
    connections: metrics.gauge('channels_redis_connections', 'Open connections, by use (commands, subscriptions, topology)', ['use']),
    connectionLosses: metrics.counter('channels_redis_connection_losses_total', 'Connections that ended unasked', ['use']),
    lag: metrics.gauge('channels_redis_lag_seconds', 'For how long at most Redis has had events that have not arrived here'),
    resyncs: metrics.counter(
      'channels_redis_resyncs_total',
      'Partitions compared with Redis channel by channel (subscribed, lost, run: another server answers)',
      ['why'],
    ),
    refilled: metrics.counter('channels_redis_refilled_events_total', 'Events that were not heard and were read from history'),
    gaps: metrics.counter('channels_redis_gaps_total', 'Gaps told to listeners (epoch, evicted)', ['why']),
    badMessages: metrics.counter('channels_redis_bad_messages_total', 'Messages or replies that are not of the form this version writes'),
    interesting: metrics.gauge('channels_redis_interesting_channels', 'Channels in the picture of who is listened to'),
    blindPartitions: metrics.gauge(
      'channels_redis_blind_partitions',
      'Partitions without a usable picture: events are sent to Redis unasked',
    ),
    attachWaits: metrics.counter(
      'channels_redis_attach_waits_total',
      'Attachments that waited for the lease of a publisher or of a server to end',
    ),
  };
}
