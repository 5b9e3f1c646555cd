import type { Json, JsonObject } from '../kit/json.ts';
import type { Reject } from './errors.ts';
import type { Path } from './live-type.ts';
import type { RawRecord } from './record.ts';

/**
 * A record whose bytes were looked into once, before any live type is asked: which envelope it wears and where the payload
 * stands. One decoding serves every live type of the topic.
 */
export type Decoded =
  | Reject
  /** No value: a compacted log forgets a key. Carries no tenant and no image, so it is no event. */
  | { readonly kind: 'tombstone' }
  | DecodedBody;

export type DecodedBody = {
  readonly kind: 'body';
  readonly record: RawRecord;
  /** Ms since the epoch: when Millrace took the record in. */
  readonly receivedAt: number;
  /** The whole body, for live types of format JSON. */
  readonly document: Document;
  readonly envelope: Envelope;
};

/** Parsed JSON with the exact bytes, and their text, that it came from (no byte order mark). */
export type Document = { readonly bytes: Uint8Array; readonly text: string; readonly value: Json | undefined };

export type Envelope =
  /** No envelope that Millrace knows: the paths of the live type lead through the body. */
  | { readonly kind: 'plain' }
  | CloudEvent
  | DebeziumChange
  /** It wears an envelope and breaks its rules. */
  | { readonly kind: 'invalid'; readonly format: 'CLOUDEVENTS' | 'DEBEZIUM'; readonly error: Reject };

export type CloudEvent = {
  readonly kind: 'cloudevent';
  readonly attributes: CloudEventAttributes;
  readonly data: Payload;
};

export type CloudEventAttributes = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** RFC 3339 in UTC, or null. */
  readonly time: string | null;
  /** Every attribute by name, extensions and the four above included. */
  readonly all: JsonObject;
};

export type DebeziumChange = {
  readonly kind: 'debezium';
  /** `c`, `u`, `d`, `r` (a row read by a snapshot), `t` (truncate), `m` (message). */
  readonly op: string;
  readonly source: JsonObject;
  /** Time of the change in the source database, else of the connector; RFC 3339 in UTC, or null. */
  readonly time: string | null;
  /** The object with before, after, source, op. */
  readonly change: Payload;
  /** Where the change event travelled as the data of a CloudEvent. */
  readonly event: CloudEvent | null;
};

/** A value within a document: `path` leads from the document's root to it, so that its exact text can be cut out. */
export type Payload = { readonly document: Document; readonly path: Path; readonly value: Json | undefined };
