import { hash } from 'node:crypto';
import { decode } from '../events/decode.ts';
import { eventErrors, type Reject } from '../events/errors.ts';
import type { LiveType } from '../events/live-type.ts';
import { decodeError, mapRecord, publicIdOf, sinkIdOf, sinkKeyOf } from '../events/map-record.ts';
import type { RawRecord } from '../events/record.ts';
import { type PostedBody, splitBody } from '../events/split-body.ts';
import { topicOf } from '../events/topic-of.ts';
import type { ErrorSpec } from '../kit/errors.ts';
import { brokersErrors } from './errors.ts';
import type { SinkRecord } from './event-sink.ts';

/** PORT. What the events address makes of a body, without effects: which events it holds, and what is wrong with the others. */
export interface EventIntake {
  /** Total: never throws. */
  inspect(body: PostedBody): Inspection;
}

export type Inspection =
  /** In the order sent; `single`: the request was one event, not a list of one. */
  { readonly kind: 'items'; readonly single: boolean; readonly items: readonly IntakeItem[] } | Refusal;

export type IntakeItem =
  /** `id` is what the producer knows the event by; null where it gave none and none is needed. */
  | { readonly kind: 'event'; readonly id: string | null; readonly record: SinkRecord }
  /** `letter`: what a dead letter keeps; null where the record belongs to no topic that it could be redriven to. */
  | (Refusal & { readonly id: string | null; readonly letter: RawRecord | null });

export type Refusal = { readonly kind: 'refused'; readonly spec: ErrorSpec; readonly reason: string };

/** The live types of the running generation by topic. */
export interface TopicTypes {
  has(topic: string): boolean;
  /** Empty for an unknown topic. */
  typesOf(topic: string): readonly LiveType[];
  /** The topics that have any, for the refusal of another. */
  names(): Iterable<string>;
}

export type IntakeOptions = { readonly maxEvents?: number; readonly maxEventBytes?: number };

/** Topics named in a refusal, so that a typing error is seen at once. */
const TOPICS_NAMED = 8;

/** The intake on the functions of the events room: split, decode, map. */
export function createEventIntake(topics: TopicTypes, options: IntakeOptions = {}): EventIntake {
  return {
    inspect(body) {
      const split = splitBody(options.maxEvents === undefined ? body : { ...body, maxEvents: options.maxEvents });
      if (split.kind === 'reject') return refusal(split);
      return { kind: 'items', single: split.single, items: split.records.map((raw) => inspectOne(raw, topics, options)) };
    },
  };
}

function inspectOne(raw: RawRecord, topics: TopicTypes, { maxEventBytes: maxBytes }: IntakeOptions): IntakeItem {
  const decoded = decode(raw, maxBytes === undefined ? { receivedAt: raw.timestamp } : { receivedAt: raw.timestamp, maxBytes });
  const topic = topicOf(raw.topic, decoded, topics);
  const types = topic === null ? NO_TYPES : topics.typesOf(topic);
  if (topic === null || types.length === 0) return withoutTopic(topic, decodeError(decoded), publicIdOf(decoded, NO_TYPES), topics);
  const record = topic === raw.topic ? raw : { ...raw, topic };
  const outcome = mapRecord(decoded, types);
  if (outcome.kind === 'reject') return { ...refusal(outcome), id: publicIdOf(decoded, types), letter: record };
  if (outcome.kind === 'events') {
    return { kind: 'event', id: outcome.publicId, record: sinkRecord(record, sinkIdOf(outcome.events), sinkKeyOf(outcome.events, types)) };
  }
  // Dropped by the mapping, as the schema says: it goes through the log like any other, so that `events tail` shows it.
  return { kind: 'event', id: publicIdOf(decoded, types), record: sinkRecord(record, `drop\u0000${digest(record)}`, null) };
}

/** Bytes that are no event are told before the topic is asked for: with broken JSON nobody could have found it. */
function withoutTopic(topic: string | null, broken: Reject | null, id: string | null, topics: TopicTypes): IntakeItem {
  const reason = topic === null ? (broken ? refusal(broken) : TOPIC_MISSING) : topicUnknown(topic, topics.names());
  return { ...reason, id, letter: null };
}

const NO_TYPES: readonly LiveType[] = [];

const TOPIC_MISSING: Refusal = {
  kind: 'refused',
  spec: brokersErrors.TOPIC_MISSING,
  reason: 'no topic: add ?topic=… to the address, or send a CloudEvent whose type or source is one',
};

function sinkRecord({ topic, headers, value, timestamp }: RawRecord, eventId: string, key: string | null): SinkRecord {
  return { topic, key, headers, value, timestamp, eventId };
}

function digest(record: RawRecord): string {
  return hash('sha256', record.value ?? '', 'base64url');
}

function refusal(reject: Reject): Refusal {
  return { kind: 'refused', spec: eventErrors[reject.code], reason: reject.reason };
}

function topicUnknown(topic: string, topics: Iterable<string>): Refusal {
  const known = [...topics].sort();
  const named = known.slice(0, TOPICS_NAMED).join(', ');
  const more = known.length > TOPICS_NAMED ? `, and ${known.length - TOPICS_NAMED} more` : '';
  const got = /^[\w.:/-]{1,100}$/.test(topic) ? `${topic} is no known topic` : 'the topic is not known';
  const reason = known.length === 0 ? `${got}: no schema with @live has been pushed yet` : `${got}; known are ${named}${more}`;
  return { kind: 'refused', spec: brokersErrors.TOPIC_UNKNOWN, reason };
}
