/** graphql-transport-ws, the client's side: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md */
export const SUBPROTOCOL = 'graphql-transport-ws';

export type ClientMessage =
  | { readonly type: 'connection_init'; readonly payload?: { readonly authorization: string } }
  | { readonly type: 'subscribe'; readonly id: string; readonly payload: SubscribePayload }
  | { readonly type: 'complete'; readonly id: string }
  | { readonly type: 'ping' }
  | { readonly type: 'pong'; readonly payload?: unknown };

export type SubscribePayload = {
  readonly query: string;
  readonly operationName?: string | undefined;
  readonly variables: Readonly<Record<string, unknown>>;
};

export type GraphqlError = {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: Readonly<Record<string, unknown>>;
};

export type ExecutionResult = {
  readonly data?: Readonly<Record<string, unknown>> | null;
  readonly errors?: readonly GraphqlError[];
  readonly extensions?: Readonly<Record<string, unknown>>;
};

export type ServerMessage =
  | { readonly type: 'connection_ack' }
  | { readonly type: 'ping'; readonly payload?: unknown }
  | { readonly type: 'pong' }
  | { readonly type: 'next'; readonly id: string; readonly payload: ExecutionResult }
  | { readonly type: 'error'; readonly id: string; readonly payload: readonly GraphqlError[] }
  | { readonly type: 'complete'; readonly id: string };

/** Null for anything that is not a message of the protocol. */
export function parseServerMessage(data: unknown): ServerMessage | null {
  if (typeof data !== 'string') return null;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return null;
  }
  return isServerMessage(value) ? value : null;
}

function isServerMessage(value: unknown): value is ServerMessage {
  if (!isObject(value)) return false;
  const { type, id, payload } = value;
  if (type === 'connection_ack' || type === 'ping' || type === 'pong') return true;
  if (typeof id !== 'string') return false;
  if (type === 'next') return isObject(payload);
  if (type === 'error') return Array.isArray(payload) && payload.every((error) => isObject(error) && typeof error['message'] === 'string');
  return type === 'complete';
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
