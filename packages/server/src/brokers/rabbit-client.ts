import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { type AsyncMessage, type Channel, Connection } from 'rabbitmq-client';
import type { Logger } from '../kit/log.ts';
import type { SourceRecord } from './event-source.ts';
import { recordTime } from './record-time.ts';

/** One RabbitMQ cluster as a configuration names it. */
export type RabbitOptions = {
  readonly name: string;
  /** `host:port`, tried in turn. */
  readonly servers: readonly string[];
  readonly vhost: string;
  readonly username: string;
  readonly password: string;
  readonly tls: TlsOptions | null;
  readonly queues: readonly RabbitQueue[];
};

export type RabbitQueue = {
  readonly name: string;
  /** The topic that `@live` names. */
  readonly as: string;
  readonly kind: 'quorum' | 'classic' | 'stream';
  /** Whether queue, exchange and bindings are declared at the start, or must be there. */
  readonly declare: boolean;
  /** Where the broker puts what it gives up itself (delivery limit, age, length). Must exist: RabbitMQ drops silently where it does not. */
  readonly deadLetterExchange: string | null;
  /** Redeliveries after which the broker gives a message up; quorum queues only. */
  readonly deliveryLimit: number | null;
  /** One consumer at a time; another takes over where it goes away. Not for streams. */
  readonly singleActive: boolean;
  readonly bindings: readonly RabbitBinding[];
  /** The header that holds the key of an event; without it messages of the queue stay in order among themselves. */
  readonly keyHeader: string | null;
  /** Where `POST /events` publishes; without it straight to the queue. */
  readonly publish: { readonly exchange: string; readonly routingKey: string } | null;
};

export type RabbitBinding = {
  readonly exchange: string;
  readonly type: 'direct' | 'fanout' | 'topic' | 'headers';
  readonly routingKey: string;
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
};

/** Headers of ours on what the sink publishes: AMQP has no key, no null body, and the client loses a header named `__proto__`. */
export const KEY_HEADER = 'x-millrace-key';
const TOMBSTONE_HEADER = 'x-millrace-tombstone';
const HEADERS_HEADER = 'x-millrace-headers';

export function connectRabbit(options: RabbitOptions, purpose: string, logger: Logger): Connection {
  const { name, servers, vhost, username, password, tls } = options;
  const connection = new Connection({
    hosts: [...servers],
    vhost,
    username,
    password,
    connectionName: `millrace-${name}-${purpose}`,
    acquireTimeout: 5_000,
    connectionTimeout: 5_000,
    heartbeat: 15,
    retryLow: 100,
    retryHigh: 5_000,
    ...(tls === null ? {} : { tls }),
  });
  connection.on('error', (error: Error) =>
    logger.warn({ reason: error.message, broker: name }, 'the connection to RabbitMQ failed; trying again'),
  );
  return connection;
}

/** A frame as the client hands it to its channel; `contentEncoding` decides whether it parses the body. */
type RawFrames = { _onHeader(frame: { fields: { contentEncoding?: string } }): void };

const RAW = 'x-millrace-raw';

/**
 * The client turns bodies of JSON and text into values, and there is no option against it: digits beyond 2^53, white space and broken bytes
 * would be lost before anybody sees them. It leaves alone what has a content encoding, so every message gets one. A test holds this fast.
 */
export function keepBytes(channel: Channel): void {
  const raw = channel as unknown as RawFrames;
  const onHeader = raw._onHeader.bind(channel);
  raw._onHeader = (frame) => {
    frame.fields.contentEncoding ??= RAW;
    onHeader(frame);
  };
}

export function recordOf(message: AsyncMessage, queue: RabbitQueue, position: string, now: number, attempt: number): SourceRecord {
  const given = (message.headers ?? {}) as Readonly<Record<string, unknown>>;
  const key = textOf(given[queue.keyHeader ?? KEY_HEADER]);
  return {
    topic: queue.as,
    key,
    headers: headersOf(message, given),
    value: given[TOMBSTONE_HEADER] === true ? null : (message.body as Buffer),
    timestamp: recordTime((message.timestamp ?? Number.NaN) * 1_000, now),
    position,
    orderKey: key === null || key === '' ? `queue:${queue.name}` : key,
    attempt,
  };
}

/** What the producer set, in lower case, and what AMQP has as properties. */
function headersOf(message: AsyncMessage, given: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  const out = new Map<string, string>();
  if (message.contentType !== undefined) out.set('content-type', message.contentType);
  if (message.contentEncoding !== undefined && message.contentEncoding !== RAW) out.set('content-encoding', message.contentEncoding);
  for (const [name, value] of [
    ['correlation-id', message.correlationId],
    ['reply-to', message.replyTo],
  ] as const)
    if (value !== undefined) out.set(name, value);
  for (const [name, value] of Object.entries(given)) {
    const text = textOf(value);
    // Not ours, and not what the broker itself adds (x-death is a table, x-delivery-count changes with every delivery).
    if (text !== null && !name.startsWith('x-')) out.set(name.toLowerCase(), text);
  }
  for (const [name, text] of packedHeaders(given[HEADERS_HEADER])) out.set(name, text);
  return out;
}

/** Total: a header by this name that anybody else wrote, or wrote wrong, holds nothing. */
function packedHeaders(packed: unknown): readonly (readonly [string, string])[] {
  if (typeof packed !== 'string') return [];
  try {
    const list = JSON.parse(packed) as unknown;
    if (!Array.isArray(list)) return [];
    return list.filter(
      (each): each is [string, string] => Array.isArray(each) && typeof each[0] === 'string' && typeof each[1] === 'string',
    );
  } catch {
    return [];
  }
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : null;
}

type Sent = { readonly key: string | null; readonly headers: ReadonlyMap<string, string>; readonly value: Uint8Array | null };

export function sentHeaders({ key, headers, value }: Sent, keyHeader: string | null): Record<string, string | boolean> {
  const plain = [...headers].filter(([name]) => name !== 'content-type' && !isPacked(name));
  const packed = [...headers].filter(([name]) => isPacked(name));
  return {
    ...Object.fromEntries(plain),
    ...(key === null ? {} : { [keyHeader ?? KEY_HEADER]: key }),
    ...(value === null ? { [TOMBSTONE_HEADER]: true } : {}),
    ...(packed.length === 0 ? {} : { [HEADERS_HEADER]: JSON.stringify(packed) }),
  };
}

/** Names that would change the prototype of the client's table, or pass for headers of ours or the broker's. */
function isPacked(name: string): boolean {
  return name === '__proto__' || name.startsWith('x-');
}
