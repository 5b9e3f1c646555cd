import { hash } from 'node:crypto';
import { ownMember } from '../kit/json.ts';
import { validTraceparent } from '../kit/traceparent.ts';
import { actionOf } from './action.ts';
import { debeziumId } from './debezium.ts';
import type { Decoded, DecodedBody } from './decoded.ts';
import { deltaOf } from './delta.ts';
import { type Reject, reject } from './errors.ts';
import { MAX_ID_LENGTH, audienceOf, keyOf, tenantOf, versionOf } from './event-fields.ts';
import { type EventFrame, frameOf, imagesOf, integerText, rawText } from './event-frame.ts';
import { eventTime, timeOfMillis } from './event-time.ts';
import type { LiveEvent } from './live-event.ts';
import { type LiveType, valueAt } from './live-type.ts';

export type MapResult =
  | { readonly kind: 'event'; readonly event: LiveEvent; readonly publicId: string }
  /** Nothing to tell anybody, and nothing wrong. */
  | { readonly kind: 'drop'; readonly reason: string }
  | Reject;

/**
 * What a record means to one live type. Pure and total. Normative: spec/envelope.md.
 * `publicId` is the id by which the producer knows the event: a CloudEvent's `id` without its source, else `event.id`.
 */
export function mapEvent(decoded: Decoded, type: LiveType): MapResult {
  if (decoded.kind === 'reject') return decoded;
  if (decoded.kind === 'tombstone') return { kind: 'drop', reason: 'tombstone' };
  const frame = frameOf(decoded, type);
  if (frame.kind === 'reject') return frame;
  const action = actionOf(frame, type);
  if (action.kind !== 'action') return action;
  const images = imagesOf(frame, type, action.action);
  if (images.kind === 'reject') return images;
  const { entity } = images;

  const tenant = tenantOf(frame, entity, type);
  if (typeof tenant === 'object') return tenant;
  const key = keyOf(frame, entity, type);
  if (typeof key === 'object' && key !== null) return key;
  const version = versionOf(frame, entity, type);
  if (typeof version === 'object' && version !== null) return version;
  const at = timeOf(decoded, frame, type);
  if (typeof at === 'object') return at;
  const audience = audienceOf(frame, entity, type);
  if (audience.kind === 'reject') return audience;
  const id = idOf(frame, type, key);
  if (typeof id === 'object') return id;

  const event: LiveEvent = {
    id,
    tenant,
    type: type.name,
    key,
    action: action.action,
    version,
    at,
    entity: entity.value,
    before: images.before?.value ?? null,
    raw: rawText(frame, entity),
    delta: deltaOf(frame, images, type),
    audience,
    bytes: decoded.record.value?.byteLength ?? 0,
    traceparent: traceparentOf(decoded, frame),
    receivedAt: decoded.receivedAt,
  };
  return { kind: 'event', event, publicId: frame.event ? frame.event.attributes.id : id };
}

/** An id alone is unique per source only (CloudEvents 1.0, `id`); a source is a URI reference and has no blank. */
function idOf(frame: EventFrame, type: LiveType, key: string | null): string | Reject {
  const position = frame.change ? debeziumId(frame.change, key) : null;
  if (position !== null) return position;
  if (frame.event) return `${frame.event.attributes.source} ${frame.event.attributes.id}`;
  if (frame.change) return digestOf(frame);
  const value = valueAt(frame.payload.value, type.eventId) ?? null;
  if (value === null) return digestOf(frame);
  const id = typeof value === 'string' ? value : integerText(frame, { value, path: [...frame.payload.path, ...type.eventId] });
  if (id !== null && id !== '' && id.length <= MAX_ID_LENGTH) return id;
  return reject(
    'EVENT_ID_INVALID',
    `the event id at ${type.eventId.join('.')} must be a non-empty string or an integer of at most ${MAX_ID_LENGTH} characters`,
  );
}

function digestOf({ payload: { document } }: EventFrame): string {
  return `sha256:${hash('sha256', document.bytes, 'base64url')}`;
}

function timeOf(decoded: DecodedBody, frame: EventFrame, type: LiveType): string | Reject {
  const told = frame.change?.time ?? frame.event?.attributes.time ?? null;
  if (told !== null) return told;
  const value = frame.change ? null : (valueAt(frame.payload.value, type.at) ?? null);
  if (value === null) return timeOfMillis(decoded.record.timestamp);
  return eventTime(value) ?? reject('EVENT_TIME_INVALID', `the time at ${type.at.join('.')} must be RFC 3339 with a zone, or a Unix time`);
}

function traceparentOf({ record }: DecodedBody, frame: EventFrame): string | null {
  const all = frame.event?.attributes.all;
  return validTraceparent(record.headers.get('traceparent') ?? (all ? ownMember(all, 'traceparent') : undefined));
}
