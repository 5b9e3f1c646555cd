import { type BackOff, DEFAULT_BACK_OFF } from './back-off.ts';
import { type ClientState, Connection, type SocketConstructor, type TokenSource } from './connection.ts';
import { LiveError } from './errors.ts';
import { type IterateOptions, LiveIterator, type LiveItem } from './iterator.ts';
import { type AnySubscription, type SubscribeOptions, Subscription, type SubscriptionLink } from './subscription.ts';

export type LiveClientOptions = {
  /** `ws://127.0.0.1:4000/graphql` or `wss://…` */
  readonly url: string;
  /** Called for every connection; a JWT with or without `Bearer `, or null for an anonymous one. Called again when a token has expired. */
  readonly token?: TokenSource;
  /** Default: the global WebSocket (browsers, Node ≥ 22). */
  readonly webSocket?: SocketConstructor;
  readonly backOff?: Partial<BackOff>;
  /** Ms to wait for the server's acknowledgement. Default 10,000. */
  readonly ackTimeoutMs?: number;
  /** Ms of silence after which the server is asked for a sign of life. Default 20,000. */
  readonly pingIntervalMs?: number;
  /** Ms that the sign of life may take. Default 10,000. */
  readonly pongTimeoutMs?: number;
  /** Ms that the connection stays after the last subscription has ended. Default 1,000. */
  readonly lingerMs?: number;
  readonly onState?: (state: ClientState) => void;
  /** The token could not be fetched; it is tried again with back-off. */
  readonly onTokenError?: (error: LiveError) => void;
  /** For tests: 0 ≤ x < 1. */
  readonly random?: () => number;
};

export const CLIENT_DEFAULTS = { ackTimeoutMs: 10_000, pingIntervalMs: 20_000, pongTimeoutMs: 10_000, lingerMs: 1_000 } as const;

export interface LiveClient {
  readonly state: ClientState;
  /** Starts at once, or as soon as there is a connection. Throws CLIENT_CLOSED after `close`. */
  subscribe<T = unknown>(options: SubscribeOptions<T>): Subscription<T>;
  /** The same as an async iterable, with a bounded buffer. Ends with `break`, `return()`, or the subscription's end; throws its error. */
  iterate<T = unknown>(options: IterateOptions): AsyncIterableIterator<LiveItem<T>>;
  onState(listener: (state: ClientState) => void): () => void;
  /** Ends every subscription and the connection, for good. */
  close(): void;
}

export function createLiveClient(options: LiveClientOptions): LiveClient {
  return new SocketLiveClient(options);
}

class SocketLiveClient implements LiveClient, SubscriptionLink {
  readonly #connection: Connection;
  readonly #subscriptions = new Set<AnySubscription>();
  /** By the id in frames; only those that the server knows. */
  readonly #started = new Map<string, AnySubscription>();
  readonly #listeners = new Set<(state: ClientState) => void>();
  #ids = 0;

  constructor(options: LiveClientOptions) {
    if (options.onState) this.#listeners.add(options.onState);
    this.#connection = new Connection(
      {
        ...CLIENT_DEFAULTS,
        ...defined(options),
        token: options.token ?? null,
        socket: options.webSocket ?? globalThis.WebSocket,
        backOff: { ...DEFAULT_BACK_OFF, ...options.backOff },
        random: options.random ?? Math.random,
      },
      {
        onState: (state) => this.#stateChanged(state),
        onOpen: () => this.#subscriptions.forEach((subscription) => subscription.connected()),
        onMessage: (message) => {
          const subscription = this.#started.get(message.id);
          // A frame that was on its way when the subscription ended.
          if (!subscription) return;
          if (message.type === 'next') return subscription.receive(message.payload);
          this.#started.delete(message.id);
          if (message.type === 'error') subscription.refuse(message.payload);
          else subscription.complete();
        },
        onTokenFailed: (error) => options.onTokenError?.(error),
      },
    );
  }

  get state(): ClientState {
    return this.#connection.state;
  }

  subscribe<T>(options: SubscribeOptions<T>): Subscription<T> {
    const { state } = this.#connection;
    if (state.kind === 'closed') throw new LiveError('CLIENT_CLOSED', `the client is closed: ${state.reason}`, { closeCode: state.code });
    const subscription = new Subscription(options, this);
    this.#subscriptions.add(subscription);
    this.#connection.want();
    if (this.#connection.state.kind === 'open') subscription.connected();
    return subscription;
  }

  iterate<T>(options: IterateOptions): AsyncIterableIterator<LiveItem<T>> {
    return new LiveIterator<T>(options, (handlers) => this.subscribe<T>(handlers));
  }

  onState(listener: (state: ClientState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#connection.close(1000, 'Done');
  }

  start(subscription: AnySubscription, payload: Parameters<SubscriptionLink['start']>[1]): boolean {
    if (this.#connection.state.kind !== 'open') return false;
    this.#started.set(subscription.id, subscription);
    this.#connection.send({ type: 'subscribe', id: subscription.id, payload });
    return true;
  }

  stop(id: string): void {
    if (this.#started.delete(id)) this.#connection.send({ type: 'complete', id });
  }

  forget(subscription: AnySubscription): void {
    this.#started.delete(subscription.id);
    this.#subscriptions.delete(subscription);
    if (this.#subscriptions.size === 0) this.#connection.unwant();
  }

  nextId(): string {
    this.#ids += 1;
    return String(this.#ids);
  }

  #stateChanged(state: ClientState): void {
    if (state.kind !== 'open') {
      this.#started.clear();
      for (const subscription of this.#subscriptions) subscription.disconnected();
    }
    for (const listener of this.#listeners) listener(state);
    if (state.kind !== 'closed') return;
    const byCaller = state.code === 1000;
    const why = byCaller ? 'the client was closed' : `the server refused the connection: ${state.code} ${state.reason}`;
    const error = new LiveError(byCaller ? 'CLIENT_CLOSED' : 'CONNECTION_REFUSED', why, { closeCode: state.code });
    for (const subscription of this.#subscriptions) subscription.fail(error);
  }
}

/** Without the keys that are undefined, so that they do not hide defaults. */
function defined<T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
