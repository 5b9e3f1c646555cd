import { isSampled } from './traceparent.ts';
import type { Span, SpanName, Tracer } from './tracer.ts';

export type RecordedSpan = {
  readonly name: SpanName;
  readonly parent: string | null;
  readonly traceparent: string;
  readonly attributes: Map<string, string | number>;
  /** Undefined until it ends; null where nothing failed. */
  failure: string | null | undefined;
};

/** For tests: keeps what is recorded. Roots are sampled where `roots` is true. */
export class RecordingTracer implements Tracer {
  readonly enabled = true;
  readonly spans: RecordedSpan[] = [];
  readonly #roots: boolean;

  constructor(roots = false) {
    this.#roots = roots;
  }

  child(name: SpanName, parent: string | null, attributes = {}): Span | null {
    return parent !== null && isSampled(parent) ? this.#record(name, parent, attributes) : null;
  }

  root(name: SpanName, attributes = {}): Span | null {
    return this.#roots ? this.#record(name, null, attributes) : null;
  }

  #record(name: SpanName, parent: string | null, attributes: Readonly<Record<string, string | number>>): Span {
    const id = String(this.spans.length + 1).padStart(16, '0');
    const traceparent = `00-${parent?.slice(3, 35) ?? id.repeat(2)}-${id}-01`;
    const span: RecordedSpan = { name, parent, traceparent, attributes: new Map(Object.entries(attributes)), failure: undefined };
    this.spans.push(span);
    return {
      traceparent,
      set: (key, value) => void span.attributes.set(key, value),
      end: (failure) => void (span.failure = failure ?? null),
    };
  }
}
