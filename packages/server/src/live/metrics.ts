import { LATENCY_BUCKETS, type Metrics } from '../kit/metrics.ts';

export type LiveMetrics = ReturnType<typeof createLiveMetrics>;

/** Plain numbers on the hot path; the registry reads them at each scrape. */
export class LiveCounts {
  subscriptions = 0;
  groups = 0;
  feeds = 0;
  behind = 0;
  /** (event, group) pairs that matched. */
  matched = 0;
  /** (event, subscription) pairs written. */
  delivered = 0;
  bytesSent = 0;
  /** What sending each event as it came to every session of its tenant would have cost. */
  bytesFullFanOut = 0;
  executions = 0;
  caughtUp = 0;
  wentBehind = 0;
  gaps = 0;
  enrichmentOverflows = 0;
  enrichmentFailures = 0;
  faults = 0;
}

export function createLiveMetrics(metrics: Metrics) {
  const counts = new LiveCounts();
  const gauge = (name: string, help: string, read: () => number): void => {
    metrics.gauge(`live_${name}`, help, [], (self) => self.set(read()));
  };
  const total = (name: string, help: string, read: () => number): void => {
    let seen = 0;
    const counter = metrics.counter(`live_${name}_total`, help);
    // Prometheus counters only grow by `inc`; the difference since the last scrape is handed over.
    Object.assign(counter, {
      collect: () => {
        const now = read();
        counter.inc(now - seen);
        seen = now;
      },
    });
  };
  gauge('subscriptions', 'Running subscriptions.', () => counts.subscriptions);
  gauge('groups', 'Groups of subscriptions that share their work.', () => counts.groups);
  gauge('feeds', 'Channels that are attached to.', () => counts.feeds);
  gauge('sharing_factor', 'Subscriptions per group.', () => (counts.groups === 0 ? 0 : counts.subscriptions / counts.groups));
  gauge('behind', 'Subscriptions that catch up from history.', () => counts.behind);
  gauge('bytes_saved', 'Full fan-out of every event to every session of its tenant, minus what was sent.', () =>
    Math.max(0, counts.bytesFullFanOut - counts.bytesSent),
  );
  total('matched', 'Pairs of event and group that matched.', () => counts.matched);
  total('delivered', 'Events written to subscriptions.', () => counts.delivered);
  total('bytes_sent', 'Bytes of event frames written.', () => counts.bytesSent);
  total('executions', 'Selections executed for a group and an event.', () => counts.executions);
  total('went_behind', 'Times that a subscription went behind.', () => counts.wentBehind);
  total('caught_up', 'Times that a subscription reached the present again.', () => counts.caughtUp);
  total('gaps', 'GAP events written.', () => counts.gaps);
  total('enrichment_overflows', 'Times that a group had more enrichments in flight than allowed.', () => counts.enrichmentOverflows);
  total(
    'enrichment_failures',
    'Enrichments that failed as a whole; the event was delivered without its enriched part.',
    () => counts.enrichmentFailures,
  );
  total('faults', 'Faults inside the live room; the log has the particulars.', () => counts.faults);
  return {
    counts,
    refused: metrics.counter('live_refused_total', 'Subscriptions and sessions refused or ended, by error code.', ['code']),
    enrichment: metrics.histogram('live_enrichment_seconds', 'From match to enriched payload.', LATENCY_BUCKETS),
    delivery: metrics.histogram('live_publish_to_delivery_seconds', 'From intake of an event to the last write for it.', LATENCY_BUCKETS),
    catchUpRetries: metrics.counter('live_catch_up_retries_total', 'Pages of history that could not be read at the first try.'),
  };
}

export type SessionMetrics = ReturnType<typeof createSessionMetrics>;

export function createSessionMetrics(metrics: Metrics, open: () => number) {
  metrics.gauge('sessions', 'Open sessions.', [], (self) => self.set(open()));
  return {
    opened: metrics.counter('sessions_opened_total', 'Sessions opened.', ['transport']),
    refused: metrics.counter('sessions_refused_total', 'Sessions refused, by error code.', ['code']),
    closed: metrics.counter('sessions_closed_total', 'Sessions closed from this side, by reason.', ['reason']),
    operations: metrics.counter('session_operations_total', 'Operations started in sessions, by what they turned out to be.', ['outcome']),
  };
}
