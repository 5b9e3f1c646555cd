import { ExportResultCode } from '@opentelemetry/core';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Logger } from '../../kit/log.ts';
import { serverErrors } from '../errors.ts';
import type { TracingMetrics } from './metrics.ts';

export type BoundedSpansOptions = {
  /** Spans that wait or are on their way. What comes beyond is dropped, the newest first. */
  readonly queue: number;
  /** Spans of one request. */
  readonly batch: number;
  /** Ms that spans wait for others. */
  readonly delayMs: number;
  /** Ms after which a request counts as failed. */
  readonly exportMs: number;
};

export const BOUNDED_SPANS: BoundedSpansOptions = { queue: 4_096, batch: 512, delayMs: 1_000, exportMs: 10_000 };

/**
 * The SDK's batch processor behind a bound that is counted: the SDK's own queue drops without a number that Prometheus could see. Spans on their way
 * to a collector that does not answer count against the bound until the request ends, so memory has one limit.
 */
export class BoundedSpans implements SpanProcessor {
  readonly #inner: BatchSpanProcessor;
  readonly #metrics: TracingMetrics;
  readonly #log: Logger;
  readonly #bound: number;
  #held = 0;
  #overflowing = false;

  constructor(exporter: SpanExporter, metrics: TracingMetrics, log: Logger, options: BoundedSpansOptions = BOUNDED_SPANS) {
    this.#metrics = metrics;
    this.#log = log;
    this.#bound = options.queue;
    this.#inner = new BatchSpanProcessor({
      exporter: { export: (spans, done) => this.#export(exporter, spans, done), shutdown: () => exporter.shutdown() },
      maxQueueSize: options.queue,
      maxExportBatchSize: Math.min(options.batch, options.queue),
      scheduledDelayMillis: options.delayMs,
      exportTimeoutMillis: options.exportMs,
    });
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#held >= this.#bound) return this.#drop();
    this.#overflowing = false;
    this.#hold(1);
    this.#inner.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#inner.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#inner.shutdown();
  }

  #drop(): void {
    this.#metrics.dropped.inc();
    // Once for each time that the queue fills: a line for each span would be a second flood.
    if (!this.#overflowing)
      this.#log.warn({ code: serverErrors.TRACING_OVERFLOW.code, queue: this.#bound }, 'spans are dropped: the collector does not keep up');
    this.#overflowing = true;
  }

  #export(exporter: SpanExporter, spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    exporter.export(spans, (result) => {
      this.#hold(-spans.length);
      if (result.code === ExportResultCode.SUCCESS) this.#metrics.exported.inc(spans.length);
      else this.#metrics.failed.inc(spans.length);
      done(result);
    });
  }

  #hold(change: number): void {
    this.#held += change;
    this.#metrics.queued.set(this.#held);
  }
}
