import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/**
 * One registry per process. Names are `millrace_<room>_<what>[_total|_seconds|_bytes]`; label values come from closed sets
 * (codes, room names), never from clients. Hot paths keep the child that `labels()` returns and call `inc()` on it.
 */
export class Metrics {
  readonly registry = new Registry();

  counter<L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter<L>({ name: `millrace_${name}`, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  /** `collect` is called at each scrape, which waits for it, for figures that are cheaper to look up than to keep. */
  gauge<L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    collect?: (gauge: Gauge<L>) => void | Promise<void>,
  ): Gauge<L> {
    return new Gauge<L>({
      name: `millrace_${name}`,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      ...(collect
        ? {
            collect() {
              return collect(this);
            },
          }
        : {}),
    });
  }

  histogram<L extends string = never>(name: string, help: string, buckets: readonly number[], labelNames: readonly L[] = []): Histogram<L> {
    return new Histogram<L>({
      name: `millrace_${name}`,
      help,
      buckets: [...buckets],
      labelNames: [...labelNames],
      registers: [this.registry],
    });
  }

  /** Prometheus text exposition format. */
  text(): Promise<string> {
    return this.registry.metrics();
  }
}

/** Seconds, from a tenth of a millisecond to ten seconds. */
export const LATENCY_BUCKETS: readonly number[] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
