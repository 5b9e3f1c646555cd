import { LATENCY_BUCKETS, type Metrics } from '../kit/metrics.ts';
import type { TraceOutcome } from './event-trace.ts';

export type IngestMetrics = ReturnType<typeof createIngestMetrics>;

/** What the gauges look up at each scrape. */
export type IngestGauges = {
  readonly held: () => number;
  readonly parked: () => number;
  readonly breakerOpen: () => number;
  /** The last known figure; asking for a fresh one is the worker's part. */
  readonly lag: () => number;
};

export function createIngestMetrics(metrics: Metrics, gauges: IngestGauges) {
  const events = metrics.counter('ingest_events_total', 'Events, and records that are none, by what became of them', ['outcome']);
  return {
    records: metrics.counter('ingest_records_total', 'Records pulled from the source'),
    outcome: childByOutcome((outcome) => events.labels({ outcome })),
    rejects: metrics.counter('ingest_rejected_total', 'Records that became dead letters, by code', ['code']),
    hidden: metrics.counter('ingest_hidden_total', 'Published events that name nobody who may see them'),
    retries: metrics.counter('ingest_retries_total', 'Records parked for another attempt to publish'),
    publishFailures: metrics.counter('ingest_publish_failures_total', 'Calls to publish that failed'),
    sourceFailures: metrics.counter('ingest_source_failures_total', 'Calls to the source that failed'),
    breakerTrips: metrics.counter('ingest_breaker_trips_total', 'Times that a flood of dead letters paused the source'),
    latency: metrics.histogram('ingest_latency_seconds', 'From pulled to published', LATENCY_BUCKETS),
    held: metrics.gauge('ingest_held_records', 'Records pulled and not settled', [], (gauge) => gauge.set(gauges.held())),
    parked: metrics.gauge('ingest_parked_keys', 'Keys that wait for a retry', [], (gauge) => gauge.set(gauges.parked())),
    breakerOpen: metrics.gauge('ingest_breaker_open', '1 while dead letters pause the source', [], (gauge) => gauge.set(gauges.breakerOpen())),
    lag: metrics.gauge('ingest_lag_records', 'Records appended to the source and not settled', [], (gauge) => gauge.set(gauges.lag())),
  };
}

type Child = { inc(): void };

/** One child per outcome, made once: looking a label up costs more than counting. */
function childByOutcome(make: (outcome: TraceOutcome) => Child): Readonly<Record<TraceOutcome, Child>> {
  return {
    published: make('published'),
    duplicate: make('duplicate'),
    stale: make('stale'),
    'no-interest': make('no-interest'),
    dropped: make('dropped'),
    rejected: make('rejected'),
    retry: make('retry'),
  };
}
