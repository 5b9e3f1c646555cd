import { LATENCY_BUCKETS, type Metrics } from '../kit/metrics.ts';
import type { EventTrace, TraceOutcome } from './event-trace.ts';

/** Made once per process; each worker takes its part by the name of its source. */
export interface IngestMetrics {
  forSource(source: string, gauges: IngestGauges): SourceMetrics;
}

export type SourceMetrics = ReturnType<ReturnType<typeof declare>>;

/** What the gauges look up at each scrape. */
export type IngestGauges = {
  readonly held: () => number;
  readonly parked: () => number;
  readonly breakerOpen: () => number;
  /** The last known figure where the source does not answer. */
  readonly lag: () => Promise<number>;
};

export function createIngestMetrics(metrics: Metrics, trace: Pick<EventTrace, 'listeners' | 'skipped'>): IngestMetrics {
  const sources = new Map<string, IngestGauges>();
  const gauge = (name: string, help: string, read: (gauges: IngestGauges) => number | Promise<number>): void => {
    metrics.gauge(name, help, ['source'], async (all) => {
      for (const [source, gauges] of sources) all.set({ source }, await read(gauges));
    });
  };
  gauge('ingest_held_records', 'Records pulled and not settled', ({ held }) => held());
  gauge('ingest_parked_keys', 'Keys that wait for a retry', ({ parked }) => parked());
  gauge('ingest_breaker_open', '1 while dead letters pause the source', ({ breakerOpen }) => breakerOpen());
  gauge('ingest_lag_records', 'Records appended to the source and not settled', ({ lag }) => lag());
  metrics.gauge('ingest_trace_listeners', 'Who follows the trace now', [], (all) => all.set(trace.listeners));
  metrics.gauge('ingest_trace_skipped', 'Entries of the trace that its listeners were too slow for, since the start', [], (all) =>
    all.set(trace.skipped),
  );
  const childrenFor = declare(metrics);
  return {
    forSource(source, gauges) {
      sources.set(source, gauges);
      return childrenFor(source);
    },
  };
}

/** Children are made once per source: looking a label up costs more than counting. */
function declare(metrics: Metrics) {
  const events = metrics.counter('ingest_events_total', 'Events, and records that are none, by what became of them', ['source', 'outcome']);
  const records = metrics.counter('ingest_records_total', 'Records pulled from the source', ['source']);
  const rejects = metrics.counter('ingest_rejected_total', 'Records that became dead letters, by code', ['source', 'code']);
  const hidden = metrics.counter('ingest_hidden_total', 'Published events that name nobody who may see them', ['source']);
  const retries = metrics.counter('ingest_retries_total', 'Records parked for another attempt to publish', ['source']);
  const publishFailures = metrics.counter('ingest_publish_failures_total', 'Calls to publish that failed', ['source']);
  const sourceFailures = metrics.counter('ingest_source_failures_total', 'Calls to the source that failed', ['source']);
  const trips = metrics.counter('ingest_breaker_trips_total', 'Times that a flood of dead letters paused the source', ['source']);
  const latency = metrics.histogram('ingest_latency_seconds', 'From pulled to published', LATENCY_BUCKETS, ['source']);
  return (source: string) => ({
    records: records.labels({ source }),
    outcome: childByOutcome((outcome) => events.labels({ source, outcome })),
    rejected: (code: string) => rejects.inc({ source, code }),
    hidden: hidden.labels({ source }),
    retries: retries.labels({ source }),
    publishFailures: publishFailures.labels({ source }),
    sourceFailures: sourceFailures.labels({ source }),
    breakerTrips: trips.labels({ source }),
    latency: latency.labels({ source }),
  });
}

type Child = { inc(): void };

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
