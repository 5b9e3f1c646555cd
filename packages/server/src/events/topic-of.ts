import { ownMember } from '../kit/json.ts';
import { splitType } from './action.ts';
import type { CloudEvent, Decoded } from './decoded.ts';

/**
 * The topic of a record that came without one, in this order: what the request named (`record.topic`, not empty); a CloudEvent's
 * extension attribute `topic`; its `type` where that is a known topic; its `type` without the last segment, the action, where that
 * is known; its `source` where that is known. Null: nothing names a topic. A topic that nobody knows is returned as it is, so
 * that the refusal can name it.
 */
export function topicOf(named: string, decoded: Decoded, known: { has(topic: string): boolean }): string | null {
  if (named !== '') return named;
  const event = cloudEventOf(decoded);
  if (!event) return null;
  const { all, type, source } = event.attributes;
  const extension = ownMember(all, 'topic');
  if (typeof extension === 'string' && extension !== '') return extension;
  if (known.has(type)) return type;
  const plainStem = type.slice(0, Math.max(0, type.lastIndexOf('.')));
  if (known.has(plainStem)) return plainStem;
  const { stem } = splitType(type);
  if (known.has(stem)) return stem;
  return known.has(source) ? source : plainStem || null;
}

/** The CloudEvent that the record is, or that a change event travels in. */
export function cloudEventOf(decoded: Decoded): CloudEvent | null {
  if (decoded.kind !== 'body') return null;
  const { envelope } = decoded;
  if (envelope.kind === 'cloudevent') return envelope;
  return envelope.kind === 'debezium' ? envelope.event : null;
}
