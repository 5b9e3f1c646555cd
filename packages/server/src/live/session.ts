import type { Identity } from '../access/identity.ts';
import type { JsonObject } from '../kit/json.ts';
import type { Transport } from './transport.ts';

/**
 * PORT. What transports talk to: they parse frames and call this; everything that leaves goes through `Transport.write`.
 * Implemented by `session-host.ts` on top of the gateway's pipeline and live's subscriptions, so that one pipeline serves every transport.
 */
export interface SessionHost {
  /**
   * The client has introduced itself. Rejects with a MillraceError of class `auth` (the transport answers 4403 or HTTP 401/403) or `limit`.
   * `authorization` is the header, connection_init field or cookie as the transport found it.
   */
  open(hello: SessionHello, transport: Transport): Promise<Session>;
  /** False while draining or full: transports refuse new connections before any work (HTTP 503, or close 1013). */
  accepting(): boolean;
}

export type SessionHello = {
  readonly authorization: string | undefined;
  readonly clientName: string | null;
  readonly clientVersion: string | null;
  /** Remote address, for limits only. */
  readonly address: string;
};

export interface Session {
  readonly identity: Identity;
  /** Subscriptions and running operations. */
  readonly operations: number;
  /** Whether an operation with this id is active. */
  has(id: string): boolean;
  /**
   * Starts an operation of any type. Results, errors and completion are written to the transport under `id`.
   * The transport has checked the frame's shape and that `id` is free (`has`).
   *
   * `onEnd` is for transports that have something to do when the operation is over, by itself and not by `stop` or `end`. Those that have not
   * leave it out: a closure for each of a million subscriptions would be a tenth of their memory.
   *
   * `onStart` is given by transports that answer the request itself (graphql-sse, single connection). It is called exactly once,
   * before anything is written under `id`: with null when the operation runs, else with the refusal, and then nothing is
   * written for it and `onEnd` is called. Not called after `stop`.
   */
  start(id: string, request: GraphqlRequest, onEnd?: (() => void) | null, onStart?: (refused: Refusal | null) => void): void;
  /** The client completed it, or went away. Silent: nothing is written for this id afterwards. */
  stop(id: string): void;
  /** The transport is gone. All operations stop. Idempotent. */
  end(): void;
}

/** An operation that never ran: the GraphQL errors as JSON text of a list, and the HTTP status that says the same. */
export type Refusal = { readonly errors: string; readonly status: number };

export type GraphqlRequest = {
  readonly query: string;
  readonly operationName: string | null;
  readonly variables: JsonObject;
  readonly extensions: JsonObject;
  /** SSE: the Last-Event-ID header; taken where the operation itself gives no `after`. */
  readonly lastCursor: string | null;
};
