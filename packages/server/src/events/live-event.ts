import type { JsonObject } from '../kit/json.ts';
import type { LiveAction } from './live-type.ts';

/** One change of one entity (or one message of a plain stream) in one tenant: what mapping makes of a record. */
export type LiveEvent = {
  /** Unique per (tenant, type) within the duplicate window. */
  readonly id: string;
  readonly tenant: string;
  /** `LiveType.name` */
  readonly type: string;
  /** Canonical entity id: the key field's value as a string; for several key fields the JSON array of their strings; null for a plain stream. */
  readonly key: string | null;
  readonly action: LiveAction;
  /** Per-entity increasing, where the producer has one. */
  readonly version: number | null;
  /** RFC 3339, UTC. */
  readonly at: string;
  /** The entity's image, for filters and carried fields. For DELETED, the last image known to the event. */
  readonly entity: JsonObject;
  /** The image before the change, where the event brings it. */
  readonly before: JsonObject | null;
  /** JSON text of the image exactly as published: digits of numbers and order of keys survive. One line. */
  readonly raw: string;
  /** Changed keys with their new values (JSON text of an object), or null where the event does not tell. */
  readonly delta: string | null;
  readonly audience: Audience;
  /** Bytes of the record that it came from; the measure for history bounds. */
  readonly bytes: number;
  /** W3C traceparent of the producer, or null. */
  readonly traceparent: string | null;
  /** When ingest took the record in, ms since the epoch; for latency metrics. */
  readonly receivedAt: number;
};

export type Audience =
  | { readonly kind: 'public' }
  | { readonly kind: 'tenant' }
  /** Visible to these users and to members of these groups, nobody else. Both empty: hidden from everybody. */
  | { readonly kind: 'members'; readonly users: readonly string[]; readonly groups: readonly string[] };
