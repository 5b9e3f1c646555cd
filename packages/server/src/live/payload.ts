import type { ChannelName, Position } from '../channels/channels.ts';
import type { LiveEvent } from '../events/live-event.ts';
import { type LiveType, valueAt } from '../events/live-type.ts';
import type { Json } from '../kit/json.ts';
import type { LiveSource } from '../supergraph/generation.ts';
import type { CursorSigner } from './cursors.ts';

/** One message of one group: JSON text of the execution result, and the cursor within it. */
export type Payload = { readonly bytes: Buffer; readonly cursor: string };

/** `text` lacks its closing brace (`ExecutionText`). A cursor is base64url and needs no escaping. */
export function payloadOf(text: string, cursor: string): Payload {
  return { bytes: Buffer.from(`${text},"extensions":{"cursor":"${cursor}"}}`), cursor };
}

const INTERNAL_ERROR = '"errors":[{"message":"internal error","extensions":{"code":"INTERNAL"}}]';

/** Stands for an event whose selection could not be executed: said to the client, instead of leaving the event out. */
export const FAILED_TEXT = `{${INTERNAL_ERROR},"data":null`;

/** What the event alone answers, with an error that says that the rest is missing, unless it has one already. */
export function withError(text: string): string {
  return text.startsWith('{"errors"') ? text : `{${INTERNAL_ERROR},${text.slice(1)}`;
}

/** An event at its place in a channel. Cursor and source are made once, for whichever group asks first. */
export class Moment {
  readonly event: LiveEvent;
  readonly epoch: string;
  readonly offset: number;
  readonly #signer: CursorSigner;
  #cursor: string | null = null;
  #source: LiveSource | null = null;
  #sourceType: LiveType | null = null;

  constructor(event: LiveEvent, position: Position, signer: CursorSigner) {
    this.event = event;
    this.epoch = position.epoch;
    this.offset = position.offset;
    this.#signer = signer;
  }

  get cursor(): string {
    return (this.#cursor ??= this.#signer.sign(this.offset));
  }

  /** While generations change, two descriptions of a type are in use; the last one asked for is kept. */
  source(type: LiveType): LiveSource {
    if (this.#source === null || this.#sourceType !== type) {
      this.#source = sourceOf(this.event, this.cursor, type);
      this.#sourceType = type;
    }
    return this.#source;
  }
}

function sourceOf(event: LiveEvent, cursor: string, type: LiveType): LiveSource {
  const entity: Record<string, Json> = Object.create(null) as Record<string, Json>;
  entity['__typename'] = type.name;
  for (const { field, path } of type.key) setPresent(entity, field, valueAt(event.entity, path));
  for (const { field, path } of type.carried) setPresent(entity, field, valueAt(event.entity, path));
  return {
    cursor,
    action: event.action,
    id: event.key,
    at: event.at,
    raw: event.raw,
    delta: event.delta,
    missed: null,
    entity,
  };
}

function setPresent(entity: Record<string, Json>, field: string, value: Json | undefined): void {
  if (value !== undefined) entity[field] = value;
}

/** Stands for events that are gone; `cursor` is of the position before what follows (spec/delivery.md section 5). */
export function gapSource(cursor: string, missed: number | null, now: number): LiveSource {
  return { cursor, action: 'GAP', id: null, at: new Date(now).toISOString(), raw: null, delta: null, missed, entity: null };
}

/** A loss as a group tells it: `from` is the last position before it, `top` the one before what follows. */
export type Gap = { readonly channel: ChannelName; readonly from: Position; readonly top: Position; readonly missed: number | null };
