import type { Span, SpanName, Tracer } from '../kit/tracer.ts';
import type { Moment } from './payload.ts';

/**
 * Spans of one event below its publication, at most `GROUP_SPANS` for its groups: an event that reaches a million groups of one member each
 * would otherwise crowd every other trace out of the queue. How many there were is an attribute of `live.match`.
 */
export class EventSpans {
  readonly #tracer: Tracer;
  /** Only of sampled events, which are few: a field of every moment would cost all of them. */
  readonly #begun = new WeakMap<Moment, number>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Null where the event is not sampled, which is one comparison. */
  start(name: SpanName, moment: Moment): Span | null {
    return moment.event.traceparent === null ? null : this.#start(name, moment, moment.event.traceparent);
  }

  #start(name: SpanName, moment: Moment, traceparent: string): Span | null {
    if (!this.#tracer.enabled) return null;
    const begun = this.#begun.get(moment) ?? 0;
    if (begun > GROUP_SPANS) return null;
    const span = this.#tracer.child(name, traceparent, { 'millrace.type': moment.event.type });
    if (span !== null) this.#begun.set(moment, begun + 1);
    return span;
  }
}

/** Two for each group: its execution and its delivery. */
export const GROUP_SPANS = 128;
