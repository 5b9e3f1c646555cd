import { type Span, findPath, memberSpans, oneLine, textOf } from '../kit/json-bytes.ts';
import { type Json, isJsonObject } from '../kit/json.ts';
import type { EventFrame, Image } from './event-frame.ts';
import type { LiveType } from './live-type.ts';

/**
 * JSON text of an object: members that changed with their new values exactly as published, members that are gone as null.
 * Null where the event brings no image before the change. Never misses a change: numbers that a double cannot hold are
 * compared by their digits. Where the entity is the whole body, members of the envelope (`before` itself; action, event id and
 * time, unless the image before has them too) do not count as the entity's.
 */
export function deltaOf(
  frame: EventFrame,
  { entity, before }: { readonly entity: Image; readonly before: Image | null },
  type: LiveType,
): string | null {
  if (!before || before === entity) return null;
  const { bytes } = frame.payload.document;
  const now = membersAt(bytes, entity);
  const then = membersAt(bytes, before);
  const parts: string[] = [];
  const envelope = entity.path.length === frame.payload.path.length ? envelopeMembers(type) : null;
  for (const [name, span] of now) {
    if (envelope && (name === envelope.before || (envelope.others.has(name) && !then.has(name)))) continue;
    const old = then.get(name);
    if (!old || differs(bytes, span, old, entity.value[name], before.value[name])) {
      parts.push(`${JSON.stringify(name)}:${oneLine(textOf(bytes, span.start, span.end))}`);
    }
  }
  for (const name of then.keys()) if (!now.has(name)) parts.push(`${JSON.stringify(name)}:null`);
  return `{${parts.join(',')}}`;
}

function membersAt(bytes: Uint8Array, image: Image): Map<string, Span> {
  const span = findPath(bytes, 0, bytes.length, image.path);
  return span ? memberSpans(bytes, span.start, span.end) : new Map();
}

function envelopeMembers(type: LiveType): { readonly before: string | undefined; readonly others: ReadonlySet<string | undefined> } {
  return { before: type.before[0], others: new Set([type.action[0], type.eventId[0], type.at[0]]) };
}

function differs(bytes: Uint8Array, a: Span, b: Span, x: Json | undefined, y: Json | undefined): boolean {
  if (a.end - a.start === b.end - b.start && sameBytes(bytes, a, b)) return false;
  return !isSame(x, y);
}

function sameBytes(bytes: Uint8Array, a: Span, b: Span): boolean {
  for (let i = a.start, j = b.start; i < a.end; i++, j++) if (bytes[i] !== bytes[j]) return false;
  return true;
}

/** Equal for certain. Numbers beyond the safe integers are not: other digits may hide behind the same double. Depth is bounded by decoding. */
function isSame(x: Json | undefined, y: Json | undefined): boolean {
  if (typeof x === 'number') return x === y && Number.isSafeInteger(x);
  if (x === y) return true;
  if (Array.isArray(x)) return Array.isArray(y) && x.length === y.length && x.every((item, i) => isSame(item, (y as readonly Json[])[i]));
  if (!isJsonObject(x) || !isJsonObject(y)) return false;
  const names = Object.keys(x);
  return names.length === Object.keys(y).length && names.every((name) => Object.hasOwn(y, name) && isSame(x[name], y[name]));
}
