import {
  type Attributes,
  ROOT_CONTEXT,
  type Span as ApiSpan,
  SpanKind,
  SpanStatusCode,
  type Tracer as ApiTracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { AlwaysOnSampler, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Clock } from '../../kit/clock.ts';
import type { Logger } from '../../kit/log.ts';
import type { Random } from '../../kit/random.ts';
import { isSampled, validTraceparent } from '../../kit/traceparent.ts';
import type { Span, SpanAttributes, SpanName, Tracer } from '../../kit/tracer.ts';
import { BoundedSpans } from './bounded-spans.ts';
import type { TracingMetrics } from './metrics.ts';

export type OpenTelemetryOptions = {
  /** Full URL of OTLP over HTTP, usually …/v1/traces. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of traces that begin here: 0 to 1. */
  readonly ratio: number;
  readonly roles: readonly string[];
};

export type OpenTelemetryDeps = {
  readonly metrics: TracingMetrics;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
};

/** Ms for one request to the collector, its repetitions included. */
const EXPORT_MS = 8_000;

/** Requests at once. One after the other while it runs; the whole queue at the end. */
const CONCURRENT = 16;

/** Characters of an attribute. Ours are names and codes; what is longer is nobody's name. */
const ATTRIBUTE_LENGTH = 256;

const KINDS: Readonly<Record<SpanName, SpanKind>> = {
  'ingest.append': SpanKind.SERVER,
  'ingest.map': SpanKind.INTERNAL,
  'channel.publish': SpanKind.PRODUCER,
  'live.match': SpanKind.CONSUMER,
  'group.execute': SpanKind.INTERNAL,
  'live.deliver': SpanKind.PRODUCER,
  'graphql.operation': SpanKind.SERVER,
  'subgraph.request': SpanKind.CLIENT,
};

/**
 * The tracer on the OpenTelemetry SDK. It registers nothing globally and keeps no context of its own: parents are handed over explicitly, so that
 * no AsyncLocalStorage slows every promise of the process. What is sampled is decided before the SDK sees anything.
 */
export class OpenTelemetryTracer implements Tracer {
  readonly enabled = true;
  readonly #ratio: number;
  readonly #deps: OpenTelemetryDeps;
  readonly #provider: TracerProvider;
  readonly #tracer: ApiTracer;

  constructor({ endpoint, headers, ratio, roles }: OpenTelemetryOptions, deps: OpenTelemetryDeps) {
    this.#ratio = ratio;
    this.#deps = deps;
    const exporter = new OTLPTraceExporter({
      url: endpoint,
      headers: { ...headers },
      timeoutMillis: EXPORT_MS,
      concurrencyLimit: CONCURRENT,
    });
    this.#provider = new TracerProvider({
      resource: resourceFromAttributes({
        'service.name': 'millrace',
        'service.instance.id': deps.random.hex(8),
        'millrace.roles': roles.join(','),
      }),
      sampler: new AlwaysOnSampler(),
      spanLimits: { attributeValueLengthLimit: ATTRIBUTE_LENGTH, attributeCountLimit: 16 },
      spanProcessors: [new BoundedSpans(exporter, deps.metrics, deps.log)],
    });
    this.#tracer = this.#provider.getTracer('millrace');
  }

  child(name: SpanName, parent: string | null, attributes?: SpanAttributes, startedAt?: number): Span | null {
    if (parent === null || validTraceparent(parent) === null || !isSampled(parent)) return null;
    const context = { traceId: parent.slice(3, 35), spanId: parent.slice(36, 52), traceFlags: 1, isRemote: true };
    const span = this.#tracer.startSpan(name, spanOptions(name, attributes, startedAt), trace.setSpanContext(ROOT_CONTEXT, context));
    return new RecordedSpan(span);
  }

  root(name: SpanName, attributes?: SpanAttributes, startedAt?: number): Span | null {
    if (this.#ratio === 0 || this.#deps.random.next() >= this.#ratio) return null;
    return new RecordedSpan(this.#tracer.startSpan(name, spanOptions(name, attributes, startedAt), ROOT_CONTEXT));
  }

  /** Sends what waits, for at most `limitMs`; what is left then is lost. Never rejects. */
  async close(limitMs: number): Promise<void> {
    const over = Promise.withResolvers<void>();
    const timer = this.#deps.clock.after(limitMs, () => {
      this.#deps.log.warn({ limitMs }, 'the collector did not take the last spans in time');
      over.resolve();
    });
    this.#provider.shutdown().then(over.resolve, (error: unknown) => {
      this.#deps.log.warn({ err: error }, 'the last spans were not taken');
      over.resolve();
    });
    await over.promise;
    timer.cancel();
  }
}

function spanOptions(name: SpanName, attributes: SpanAttributes | undefined, startTime: number | undefined) {
  const given: Attributes = { ...attributes };
  return { kind: KINDS[name], attributes: given, ...(startTime === undefined ? {} : { startTime }) };
}

class RecordedSpan implements Span {
  readonly traceparent: string;
  readonly #span: ApiSpan;

  constructor(span: ApiSpan) {
    const { traceId, spanId } = span.spanContext();
    this.#span = span;
    this.traceparent = `00-${traceId}-${spanId}-01`;
  }

  set(name: string, value: string | number): void {
    this.#span.setAttribute(name, value);
  }

  end(failure?: string): void {
    if (failure !== undefined) {
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
      this.#span.setAttribute('error.type', failure);
    }
    this.#span.end();
  }
}
