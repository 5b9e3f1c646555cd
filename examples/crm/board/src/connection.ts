import { type Client as SocketClient, type CloseCode, createClient as createSocket } from 'graphql-ws';
import { Client, subscriptionExchange } from 'urql';

export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** The connection is down; the next attempt is at `until`, ms since the epoch. */
  | { readonly kind: 'waiting'; readonly until: number }
  /** Trying again by itself would not help. */
  | { readonly kind: 'refused'; readonly reason: string };

export type Connection = {
  readonly client: Client;
  state(): ConnectionState;
  /** Called after every change of state; for `useSyncExternalStore`. */
  onState(listener: () => void): () => void;
  /** Called when the connection is back, with whether the subscription could continue where it was. */
  onReturn(listener: (resumed: boolean) => void): () => void;
  close(): void;
};

/** Close codes after which the same would only be refused again; section 3.3 of Millrace's protocol. */
const FINAL_CODES: ReadonlySet<number> = new Set([1008, 1009, 4400, 4401, 4406, 4409, 4429] satisfies (number | CloseCode)[]);
/** The server is well and asks the client to come again soon. */
const SOON_CODES: ReadonlySet<number> = new Set([1001, 1012]);
const BACK_OFF_MS = { first: 400, most: 15_000 } as const;
const PING_MS = 10_000;
const PONG_TIMEOUT_MS = 5_000;

/** urql over graphql-ws: queries, mutations and subscriptions share one socket and one sign-in. */
export function connect(url: string, token: () => Promise<string>): Connection {
  const status = new Status();
  const socket = openSocket(url, token, status);
  const client = new Client({
    url,
    requestPolicy: 'network-only',
    preferGetMethod: false,
    exchanges: [
      subscriptionExchange({
        enableAllOperations: true,
        forwardSubscription: (request) => forward(socket, request, () => (status.resumable = true)),
      }),
    ],
  });
  return {
    client,
    state: () => status.state,
    onState: (listener) => added(status.stateListeners, listener),
    onReturn: (listener) => added(status.returnListeners, listener),
    close: () => void socket.dispose(),
  };
}

class Status {
  state: ConnectionState = { kind: 'connecting' };
  /** A cursor has been received, from which a subscription can continue. */
  resumable = false;
  lastClose = 1006;
  readonly stateListeners = new Set<() => void>();
  readonly returnListeners = new Set<(resumed: boolean) => void>();

  become(next: ConnectionState): void {
    this.state = next;
    for (const listener of this.stateListeners) listener();
  }
}

function openSocket(url: string, token: () => Promise<string>, status: Status): SocketClient {
  const socket: SocketClient = createSocket({
    url,
    connectionParams: async () => ({ authorization: `Bearer ${await token()}` }),
    lazy: true,
    // Closing between the answer to the first query and the subscription would cost a second handshake.
    lazyCloseTimeout: 2_000,
    keepAlive: PING_MS,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: (cause) => !isFinal(cause),
    retryWait: async (retries) => {
      const wait = SOON_CODES.has(status.lastClose) && retries === 0 ? Math.random() * 400 : backOff(retries);
      status.become({ kind: 'waiting', until: Date.now() + wait });
      await waitOr(wait, 'online');
    },
    on: {
      connecting: () => status.become({ kind: 'connecting' }),
      connected: (_socket, _payload, wasRetry) => {
        status.become({ kind: 'live' });
        if (wasRetry) for (const listener of status.returnListeners) listener(status.resumable);
      },
      closed: (event) => {
        const { code, reason } = event as CloseEvent;
        status.lastClose = code;
        if (isFinal(event)) status.become({ kind: 'refused', reason: reason || `code ${code}` });
        else if (status.state.kind === 'live') status.become({ kind: 'connecting' });
      },
      ...watchPongs(() => socket),
    },
  });
  return socket;
}

type Forward = NonNullable<Parameters<typeof subscriptionExchange>[0]['forwardSubscription']>;
type Observable = ReturnType<Forward>;
type Observer = Parameters<Observable['subscribe']>[0];

function forward(socket: SocketClient, request: Parameters<Forward>[0], onCursor: () => void): Observable {
  const variables: Record<string, unknown> = { ...request.variables };
  const payload = { query: request.query ?? '', variables };
  const takesCursor = /\$after\s*:/.test(payload.query);
  const start = (observer: Observer): (() => void) =>
    socket.subscribe(payload, {
      error: (error) => observer.error(error),
      complete: () => observer.complete(),
      next: (result) => {
        const cursor = takesCursor ? cursorOf(result) : null;
        if (cursor !== null) {
          // graphql-ws writes the payload anew at each connection: with the last cursor in it, it continues there.
          variables['after'] = cursor;
          onCursor();
        }
        observer.next(result as Parameters<Observer['next']>[0]);
      },
    });
  if (!/^\s*mutation\b/.test(payload.query)) return { subscribe: (observer) => ({ unsubscribe: start(observer) }) };
  return { subscribe: (observer) => ({ unsubscribe: onlyOnce(socket, observer, start) }) };
}

/** graphql-ws would send a mutation again after a reconnect; whether the first one counted, nobody can tell here. */
function onlyOnce(socket: SocketClient, observer: Observer, start: (observer: Observer) => () => void): () => void {
  const unsubscribe = start(observer);
  const forget = socket.on('closed', () => {
    unsubscribe();
    observer.error(new Error('the connection was lost before the answer came'));
  });
  return () => {
    forget();
    unsubscribe();
  };
}

function added<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function isFinal(cause: unknown): boolean {
  if (!(cause instanceof CloseEvent)) return !(cause instanceof Event || cause instanceof Error);
  return FINAL_CODES.has(cause.code) || (cause.code === 4403 && !cause.reason.startsWith('Token expired'));
}

function backOff(retries: number): number {
  const limit = Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** Math.min(retries, 10));
  return limit / 2 + (Math.random() * limit) / 2;
}

/** Ends early when the browser says that the network is back. */
function waitOr(ms: number, event: 'online'): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      removeEventListener(event, done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener(event, done);
  });
}

/** A socket can be dead without saying so (a laptop that slept): no pong in time counts as closed. */
function watchPongs(socket: () => SocketClient) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    ping: (received: boolean) => {
      if (!received) timer = setTimeout(() => socket().terminate(), PONG_TIMEOUT_MS);
    },
    pong: (received: boolean) => {
      if (received) clearTimeout(timer);
    },
  };
}

function cursorOf(result: { readonly data?: unknown; readonly extensions?: unknown }): string | null {
  const cursor = (result.extensions as { cursor?: unknown } | null | undefined)?.cursor;
  if (typeof cursor === 'string') return cursor;
  const event = (result.data as { dealEvent?: { cursor?: unknown } } | null | undefined)?.dealEvent;
  return typeof event?.cursor === 'string' ? event.cursor : null;
}
