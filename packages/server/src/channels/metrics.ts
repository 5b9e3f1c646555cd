import type { Metrics } from '../kit/metrics.ts';

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
