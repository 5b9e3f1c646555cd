import type { PublishResult } from '../channels/channels.ts';
import type { LiveEvent } from '../events/live-event.ts';
import { toMillraceError } from '../kit/errors.ts';
import type { Span, Tracer } from '../kit/tracer.ts';

/**
 * The events with the span of their mapping as their context. Begins when ingest took the record in, so that the time in the lanes can be
 * seen. A record that came without a context begins a trace here, by ratio: the one place that all sources pass.
 */
export function traceMapped(tracer: Tracer, events: readonly LiveEvent[]): readonly LiveEvent[] {
  return events.map((event) => {
    const attributes = { 'millrace.type': event.type };
    const span =
      event.traceparent === null
        ? tracer.root('ingest.map', attributes, event.receivedAt)
        : tracer.child('ingest.map', event.traceparent, attributes, event.receivedAt);
    if (span === null) return event;
    span.end();
    return { ...event, traceparent: span.traceparent };
  });
}

/** Of one call to publish. What listeners do with an event, in whichever process, is a child of its publication. */
export type PublishSpans = {
  readonly events: readonly LiveEvent[];
  published(results: readonly PublishResult[]): void;
  failed(error: unknown): void;
};

/** Null where no event of the call is sampled. */
export function publishSpans(tracer: Tracer, events: readonly LiveEvent[]): PublishSpans | null {
  const spans = new Map<number, Span>();
  const below = events.map((event, index) => {
    const span = tracer.child('channel.publish', event.traceparent, { 'millrace.type': event.type });
    if (span === null) return event;
    spans.set(index, span);
    return { ...event, traceparent: span.traceparent };
  });
  if (spans.size === 0) return null;
  return {
    events: below,
    published(results) {
      for (const [index, span] of spans) {
        span.set('millrace.result', results[index]?.kind ?? 'unknown');
        span.end();
      }
    },
    failed(error) {
      const { code } = toMillraceError(error);
      for (const span of spans.values()) span.end(code);
    },
  };
}
