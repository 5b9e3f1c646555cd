import type { Decoded } from './decoded.ts';
import type { Reject } from './errors.ts';
import { MAX_ID_LENGTH } from './event-fields.ts';
import type { LiveEvent } from './live-event.ts';
import { type LiveType, valueAt } from './live-type.ts';
import { mapEvent } from './map-event.ts';
import { cloudEventOf } from './topic-of.ts';

/** What a record means to all live types of its topic together. */
export type RecordOutcome =
  /** At least one type made an event of it; that others could not is normal on a topic of several kinds of records. */
  | { readonly kind: 'events'; readonly events: readonly LiveEvent[]; readonly publicId: string }
  | { readonly kind: 'drop'; readonly reason: string }
  /** No type made an event of it and at least one had to refuse it: the first refusal. */
  | Reject;

/** `types` are the live types of the record's topic, at least one. */
export function mapRecord(decoded: Decoded, types: readonly LiveType[]): RecordOutcome {
  const events: LiveEvent[] = [];
  let publicId = '';
  let firstReject: Reject | null = null;
  let dropReason = 'no live type';
  for (const type of types) {
    const result = mapEvent(decoded, type);
    if (result.kind === 'event') {
      if (events.length === 0) publicId = result.publicId;
      events.push(result.event);
    } else if (result.kind === 'drop') dropReason = result.reason;
    else firstReject ??= result;
  }
  if (events.length > 0) return { kind: 'events', events, publicId };
  return firstReject ?? { kind: 'drop', reason: dropReason };
}

/** Why a record is no event whatever its topic: its bytes, or an envelope that breaks its own rules. To be told before its topic is asked for. */
export function decodeError(decoded: Decoded): Reject | null {
  if (decoded.kind === 'reject') return decoded;
  return decoded.kind === 'body' && decoded.envelope.kind === 'invalid' ? decoded.envelope.error : null;
}

/** The id by which the producer knows a record that became no event, as far as it can be told. */
export function publicIdOf(decoded: Decoded, types: readonly LiveType[]): string | null {
  const event = cloudEventOf(decoded);
  if (event) return event.attributes.id;
  if (decoded.kind !== 'body') return null;
  for (const { eventId } of types) {
    const id = valueAt(decoded.document.value, eventId);
    if (typeof id === 'string' && id.length <= MAX_ID_LENGTH) return id;
  }
  return null;
}

/**
 * Identity of a record for the duplicate check of a log that all tenants of a topic share. A producer's ids are unique per
 * tenant only; without the tenant one company's event would swallow another's.
 */
export function sinkIdOf(events: readonly LiveEvent[]): string {
  const first = events[0];
  return first ? JSON.stringify([first.tenant, first.id]) : '';
}

/**
 * The key that keeps records in order: of one entity, so that other entities pass; of the whole tenant where the topic feeds several
 * live types (one record may change two entities, and has one key only) or a plain stream, whose order is all it has.
 */
export function sinkKeyOf(events: readonly LiveEvent[], types: readonly LiveType[]): string | null {
  const first = events[0];
  if (!first) return null;
  return JSON.stringify(types.length === 1 && first.key !== null ? [first.tenant, first.key] : [first.tenant]);
}
