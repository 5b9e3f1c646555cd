import { closeReasons } from '../live/close-reasons.ts';
import type { CloseReason } from '../live/transport.ts';
import type { GraphqlRequest } from '../live/session.ts';
import { isJsonObject, type Json, type JsonObject, ownMember } from '../kit/json.ts';

/**
 * graphql-transport-ws, decided. Nothing here touches a socket: a message and a phase give a decision, and
 * `graphql-ws-connection.ts` carries it out. The table and its invariants are spec/protocol.md section 3.2.
 */
export type Phase = 'waiting' | 'opening' | 'ready' | 'closed';

export type ClientMessage =
  | { readonly type: 'connection_init'; readonly payload: JsonObject | null }
  | { readonly type: 'subscribe'; readonly id: string; readonly request: GraphqlRequest }
  | { readonly type: 'complete'; readonly id: string }
  | { readonly type: 'ping'; readonly payload: JsonObject | null }
  | { readonly type: 'pong' }
  | { readonly type: 'invalid'; readonly why: string };

export type MessageType = ClientMessage['type'];

export type Decision =
  | { readonly kind: 'authenticate'; readonly payload: JsonObject | null }
  | { readonly kind: 'start'; readonly id: string; readonly request: GraphqlRequest }
  | { readonly kind: 'stop'; readonly id: string }
  | { readonly kind: 'pong'; readonly payload: JsonObject | null }
  | { readonly kind: 'close'; readonly reason: CloseReason }
  | { readonly kind: 'ignore' };

export type ProtocolLimits = {
  /** UTF-16 units of an operation id. */
  readonly maxIdLength: number;
  /** Messages of any kind before the connection is acknowledged. */
  readonly maxMessagesBeforeAck: number;
};

export const PROTOCOL_LIMITS: ProtocolLimits = { maxIdLength: 256, maxMessagesBeforeAck: 16 };

type Cell = 'authenticate' | 'start' | 'stop' | 'pong' | 'ignore' | 'too-many-init' | 'unauthorized' | 'bad-request';

/** Every phase and every message. A new phase or type does not compile until its cells are decided. */
export const TABLE: { readonly [P in Phase]: { readonly [M in MessageType]: Cell } } = {
  waiting: {
    connection_init: 'authenticate',
    subscribe: 'unauthorized',
    complete: 'ignore',
    ping: 'pong',
    pong: 'ignore',
    invalid: 'bad-request',
  },
  opening: {
    connection_init: 'too-many-init',
    subscribe: 'unauthorized',
    complete: 'ignore',
    ping: 'pong',
    pong: 'ignore',
    invalid: 'bad-request',
  },
  ready: { connection_init: 'too-many-init', subscribe: 'start', complete: 'stop', ping: 'pong', pong: 'ignore', invalid: 'bad-request' },
  closed: { connection_init: 'ignore', subscribe: 'ignore', complete: 'ignore', ping: 'ignore', pong: 'ignore', invalid: 'ignore' },
};

const IGNORE: Decision = { kind: 'ignore' };

/** `taken` tells whether an operation with this id is active on the connection. */
export function decide(phase: Phase, message: ClientMessage, taken: (id: string) => boolean): Decision {
  const cell = TABLE[phase][message.type];
  switch (message.type) {
    case 'connection_init':
      if (cell === 'authenticate') return { kind: 'authenticate', payload: message.payload };
      return cell === 'too-many-init' ? { kind: 'close', reason: closeReasons.tooManyInit } : IGNORE;
    case 'subscribe':
      if (cell === 'unauthorized') return { kind: 'close', reason: closeReasons.unauthorized };
      if (cell !== 'start') return IGNORE;
      return taken(message.id)
        ? { kind: 'close', reason: duplicate(message.id) }
        : { kind: 'start', id: message.id, request: message.request };
    case 'complete':
      return cell === 'stop' && taken(message.id) ? { kind: 'stop', id: message.id } : IGNORE;
    case 'ping':
      return cell === 'pong' ? { kind: 'pong', payload: message.payload } : IGNORE;
    case 'pong':
      return IGNORE;
    case 'invalid':
      return cell === 'bad-request' ? { kind: 'close', reason: badRequest(message.why) } : IGNORE;
  }
}

/** The reason as the protocol words it; ids are cut so that it fits a close frame. */
function duplicate(id: string): CloseReason {
  return { ...closeReasons.duplicateSubscriber, reason: fitReason('Subscriber for ', id, ' already exists') };
}

export function badRequest(why: string): CloseReason {
  return { ...closeReasons.badRequest, reason: fitReason('Bad request: ', why, '') };
}

/** A close frame takes at most 123 bytes of UTF-8 (RFC 6455 section 5.5). The middle part is cut at a whole character. */
export function fitReason(before: string, middle: string, after: string): string {
  const room = 123 - Buffer.byteLength(before) - Buffer.byteLength(after);
  // A lone surrogate would not survive UTF-8, and some clients refuse a reason with U+FFFD.
  const clean = middle.toWellFormed();
  if (Buffer.byteLength(clean) <= room) return before + clean + after;
  let cut = '';
  let bytes = 3;
  for (const character of clean) {
    bytes += Buffer.byteLength(character);
    if (bytes > room) break;
    cut += character;
  }
  return `${before}${cut}…${after}`;
}

/** Total: any text gives a message, a wrong one gives `invalid` with what was wrong. Never quotes what the client sent. */
export function parseMessage(text: string, limits: ProtocolLimits = PROTOCOL_LIMITS): ClientMessage {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return invalid('the message is not JSON');
  }
  if (!isJsonObject(value)) return invalid('the message is not a JSON object');
  const type = ownMember(value, 'type');
  switch (type) {
    case 'connection_init':
    case 'ping': {
      const payload = optionalObject(value, 'payload');
      return payload === undefined ? invalid(`payload of ${type} must be an object`) : { type, payload };
    }
    case 'pong':
      return optionalObject(value, 'payload') === undefined ? invalid('payload of pong must be an object') : { type };
    case 'complete': {
      const id = idOf(value, limits);
      return id === null ? invalid(idRule('complete', limits)) : { type, id };
    }
    case 'subscribe':
      return parseSubscribe(value, limits);
    case undefined:
      return invalid('the message has no type');
    default:
      return invalid(typeof type === 'string' ? 'unknown message type' : 'the type must be a string');
  }
}

function parseSubscribe(message: JsonObject, limits: ProtocolLimits): ClientMessage {
  const id = idOf(message, limits);
  if (id === null) return invalid(idRule('subscribe', limits));
  const payload = ownMember(message, 'payload');
  if (!isJsonObject(payload)) return invalid('payload of subscribe must be an object');
  const query = ownMember(payload, 'query');
  if (typeof query !== 'string') return invalid('payload.query must be a string');
  const operationName = ownMember(payload, 'operationName') ?? null;
  if (operationName !== null && typeof operationName !== 'string') return invalid('payload.operationName must be a string');
  const variables = optionalObject(payload, 'variables');
  if (variables === undefined) return invalid('payload.variables must be an object');
  const extensions = optionalObject(payload, 'extensions');
  if (extensions === undefined) return invalid('payload.extensions must be an object');
  return {
    type: 'subscribe',
    id,
    request: { query, operationName, variables: variables ?? {}, extensions: extensions ?? {}, lastCursor: null },
  };
}

function invalid(why: string): ClientMessage {
  return { type: 'invalid', why };
}

function idRule(type: string, limits: ProtocolLimits): string {
  return `id of ${type} must be a string of 1 to ${limits.maxIdLength} characters`;
}

function idOf(message: JsonObject, limits: ProtocolLimits): string | null {
  const id = ownMember(message, 'id');
  return typeof id === 'string' && id.length > 0 && id.length <= limits.maxIdLength ? id : null;
}

/** The object, null where it is absent or null, undefined where it is something else. */
function optionalObject(from: JsonObject, key: string): JsonObject | null | undefined {
  const value = ownMember(from, key);
  if (value === undefined || value === null) return null;
  return isJsonObject(value) ? value : undefined;
}

/** Where connection_init carries the authorization, in order of preference. spec/protocol.md section 1. */
export function authorizationOf(payload: JsonObject | null): string | undefined {
  if (payload === null) return undefined;
  const headers = ownMember(payload, 'headers');
  for (const place of isJsonObject(headers) ? [payload, headers] : [payload]) {
    for (const key of ['authorization', 'Authorization']) {
      const value = ownMember(place, key);
      // An empty field is what a client without a token often sends; it is nothing rather than a bad token.
      if (typeof value === 'string' && value !== '') return value;
    }
  }
  return undefined;
}
