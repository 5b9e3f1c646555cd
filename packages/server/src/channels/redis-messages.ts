import type { LiveEvent } from '../events/live-event.ts';
import type { JsonObject } from '../kit/json.ts';
import type { ChannelName } from './channels.ts';

/** What is stored and sent: the event on one line, without what is known from its channel or contained in `raw`. */
export function encodeEvent(event: LiveEvent): string {
  const { entity: _entity, tenant: _tenant, type: _type, ...rest } = event;
  return JSON.stringify(rest);
}

export function decodeEvent(payload: string, { tenant, type }: ChannelName): LiveEvent {
  const rest = JSON.parse(payload) as Omit<LiveEvent, 'entity' | 'tenant' | 'type'>;
  return { ...rest, tenant, type, entity: JSON.parse(rest.raw) as JsonObject };
}

/** Events of one channel within a message, not yet decoded. */
export type ChannelPart = { readonly name: string; readonly epoch: string; readonly first: number; readonly payloads: readonly string[] };

export type EventsMessage =
  | { readonly kind: 'events'; readonly run: string; readonly seq: number; readonly parts: readonly ChannelPart[] }
  /** A watcher's picture has come to this version. */
  | { readonly kind: 'seen'; readonly run: string; readonly watcher: string; readonly version: number };

/** Null where it is nothing that this version of Millrace writes. */
export function parseEventsMessage(text: string, wanted: (name: string) => boolean): EventsMessage | null {
  const end = text.indexOf('\n');
  const [kind, run = '', second = '', watcher = ''] = (end === -1 ? text : text.slice(0, end)).split('\t');
  const number = Number(second);
  if (!Number.isSafeInteger(number)) return null;
  if (kind === 'a') return { kind: 'seen', run, watcher, version: number };
  if (kind !== 'e' || end === -1) return null;
  const parts = parseParts(text, end + 1, wanted);
  return parts && { kind: 'events', run, seq: number, parts };
}

function parseParts(text: string, from: number, wanted: (name: string) => boolean): ChannelPart[] | null {
  const parts: ChannelPart[] = [];
  for (let at = from; at < text.length;) {
    const headEnd = lineEnd(text, at);
    const [name = '', epoch = '', first, n] = text.slice(at, headEnd).split('\t');
    const [offset, count] = [Number(first), Number(n)];
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(count)) return null;
    at = headEnd + 1;
    const payloads: string[] | null = wanted(name) ? [] : null;
    for (let i = 0; i < count; i++) {
      if (at > text.length) return null;
      const end = lineEnd(text, at);
      payloads?.push(text.slice(at, end));
      at = end + 1;
    }
    if (payloads) parts.push({ name, epoch, first: offset, payloads });
  }
  return parts;
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}

/** Channels that became interesting, or are so no more. Versions of a partition grow by one. */
export type InterestNote = { readonly version: number; readonly kind: 'added' | 'removed'; readonly names: readonly string[] };

export function parseNote(text: string): InterestNote | null {
  const [version, sign, ...names] = text.split('\t');
  const number = Number(version);
  if (!Number.isSafeInteger(number) || (sign !== '+' && sign !== '-')) return null;
  return { version: number, kind: sign === '+' ? 'added' : 'removed', names };
}
