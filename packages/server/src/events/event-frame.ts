import { findPath, oneLine, textOf } from '../kit/json-bytes.ts';
import { type Json, type JsonObject, isJsonObject } from '../kit/json.ts';
import type { CloudEvent, DebeziumChange, DecodedBody, Payload } from './decoded.ts';
import { type Reject, reject } from './errors.ts';
import { type LiveAction, type LiveType, type Path, valueAt } from './live-type.ts';
import { kindOf } from './cloud-event.ts';

/** A record as one live type sees it: its format has chosen which envelope counts. */
export type EventFrame = {
  readonly kind: 'frame';
  /** What the live type's paths lead through: the body, a CloudEvent's data, or Debezium's change object. */
  readonly payload: Payload;
  readonly event: CloudEvent | null;
  readonly change: DebeziumChange | null;
};

export function frameOf({ document, envelope }: DecodedBody, type: LiveType): EventFrame | Reject {
  const plain: EventFrame = { kind: 'frame', payload: { document, path: [], value: document.value }, event: null, change: null };
  if (type.format === 'JSON') return plain;
  if (envelope.kind === 'invalid') return envelope.error;
  if (envelope.kind === 'debezium' && type.format !== 'CLOUDEVENTS') {
    return { kind: 'frame', payload: envelope.change, event: envelope.event, change: envelope };
  }
  const event = envelope.kind === 'debezium' ? envelope.event : envelope.kind === 'cloudevent' ? envelope : null;
  if (event && type.format !== 'DEBEZIUM') return { kind: 'frame', payload: event.data, event, change: null };
  if (type.format === 'AUTO') return plain;
  return reject(
    'FORMAT_MISMATCH',
    `${type.name} takes ${type.format} only, and this is ${envelope.kind === 'plain' ? 'plain JSON' : envelope.kind}`,
  );
}

/** An object within a payload's document; `path` leads to it from the document's root. */
export type Image = { readonly value: JsonObject; readonly path: Path };

export type Images = { readonly kind: 'images'; readonly entity: Image; readonly before: Image | null };

const DEBEZIUM_AFTER: Path = ['after'];
const DEBEZIUM_BEFORE: Path = ['before'];

/** For DELETED the image before stands in where the entity is gone: absent, or a whole body without the first key field. */
export function imagesOf(frame: EventFrame, type: LiveType, action: LiveAction): Images | Reject {
  const { payload, change } = frame;
  const entityPath = change ? DEBEZIUM_AFTER : type.entity;
  const current = valueAt(payload.value, entityPath) ?? null;
  const before = imageAt(payload, change ? DEBEZIUM_BEFORE : type.before);
  if (action === 'DELETED' && before && (current === null || isEmptyOfKey(current, entityPath, type))) {
    return { kind: 'images', entity: before, before };
  }
  if (current === null) return reject('ENTITY_MISSING', missingReason(frame, entityPath));
  if (!isJsonObject(current)) {
    return reject('ENTITY_INVALID', `the entity${placeOf(entityPath)} must be an object, got ${kindOf(current)}`);
  }
  return { kind: 'images', entity: { value: current, path: [...payload.path, ...entityPath] }, before };
}

function imageAt(payload: Payload, path: Path): Image | null {
  const value = path.length === 0 ? undefined : valueAt(payload.value, path);
  return isJsonObject(value) ? { value, path: [...payload.path, ...path] } : null;
}

function isEmptyOfKey(current: Json, entityPath: Path, type: LiveType): boolean {
  const first = type.key[0];
  return entityPath.length === 0 && first !== undefined && (valueAt(current, first.path) ?? null) === null;
}

function missingReason({ event, change }: EventFrame, path: Path): string {
  if (change) return 'the change event has no row image (after, or before for a delete)';
  if (event && path.length === 0) return 'the CloudEvent has no data';
  return `nothing stands at the entity${placeOf(path)}`;
}

function placeOf(path: Path): string {
  return path.length === 0 ? '' : ` path ${path.join('.')}`;
}

/** The image exactly as published, on one line. */
export function rawText({ payload: { document } }: EventFrame, image: Image): string {
  const { bytes, text } = document;
  // Around valid JSON `trim` finds JSON's white space only.
  if (image.path.length === 0) return oneLine(text.trim());
  const span = findPath(bytes, 0, bytes.length, image.path);
  // Null cannot happen for a path that led somewhere in the parsed value; losing exactness is then better than losing the event.
  return span ? oneLine(textOf(bytes, span.start, span.end)) : JSON.stringify(image.value);
}

export type Found = { readonly value: Json; readonly path: Path };

/** Looked up in the entity, then in the whole payload, then among a CloudEvent's attributes. Null counts as absent. */
export function lookUp(frame: EventFrame, entity: Image, path: Path): Found | null {
  const inEntity = valueAt(entity.value, path) ?? null;
  if (inEntity !== null) return { value: inEntity, path: [...entity.path, ...path] };
  const inPayload = valueAt(frame.payload.value, path) ?? null;
  if (inPayload !== null) return { value: inPayload, path: [...frame.payload.path, ...path] };
  const attribute = frame.event ? (valueAt(frame.event.attributes.all, path) ?? null) : null;
  return attribute === null ? null : { value: attribute, path: [] };
}

/** Decimal digits of an integer, exact beyond 2^53 too because they come from the text. Null where it is no integer. */
export function integerText({ payload: { document } }: EventFrame, { value, path }: Found): string | null {
  if (typeof value !== 'number') return null;
  if (Number.isSafeInteger(value)) return String(value);
  const span = findPath(document.bytes, 0, document.bytes.length, path);
  const text = span ? textOf(document.bytes, span.start, span.end) : '';
  return /^-?\d{1,64}$/.test(text) ? text : null;
}
