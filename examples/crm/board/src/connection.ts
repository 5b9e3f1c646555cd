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
  let state: ConnectionState = { kind: 'connecting' };
  let lastClose = 1006;
  let resumable = false;
  const stateListeners = new Set<() => void>();
  const returnListeners = new Set<(resumed: boolean) => void>();
  const become = (next: ConnectionState): void => {
    state = next;
    for (const listener of stateListeners) listener();
  };

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
      const wait = SOON_CODES.has(lastClose) && retries === 0 ? Math.random() * 400 : backOff(retries);
      become({ kind: 'waiting', until: Date.now() + wait });
      await waitOr(wait, 'online');
    },
    on: {
      connecting: () => become({ kind: 'connecting' }),
      connected: (_socket, _payload, wasRetry) => {
        become({ kind: 'live' });
        if (wasRetry) for (const listener of returnListeners) listener(resumable);
      },
      closed: (event) => {
        lastClose = (event as CloseEvent).code;
        if (isFinal(event)) become({ kind: 'refused', reason: (event as CloseEvent).reason || `code ${lastClose}` });
        else if (state.kind === 'live') become({ kind: 'connecting' });
      },
      ...watchPongs(() => socket),
    },
  });

  const client = new Client({
    url,
    requestPolicy: 'network-only',
    preferGetMethod: false,
    exchanges: [
      subscriptionExchange({
        enableAllOperations: true,
        forwardSubscription: (request) => {
          const variables: Record<string, unknown> = { ...request.variables };
          const payload = { query: request.query ?? '', variables };
          const once = /^\s*mutation\b/.test(request.query ?? '');
          const takesCursor = /\$after\s*:/.test(payload.query);
          return {
            subscribe: (sink) => {
              const unsubscribe = socket.subscribe(payload, {
                ...sink,
                next: (result) => {
                  const cursor = takesCursor ? cursorOf(result) : null;
                  if (cursor !== null) {
                    // graphql-ws writes the payload anew at each connection: with the last cursor in it, it continues there.
                    variables['after'] = cursor;
                    resumable = true;
                  }
                  sink.next(result as never);
                },
              });
              if (!once) return { unsubscribe };
              // graphql-ws would send it again after a reconnect; whether the first one counted, nobody can tell here.
              const forget = socket.on('closed', () => {
                unsubscribe();
                sink.error(new Error('the connection was lost before the answer came'));
              });
              return { unsubscribe: () => (forget(), unsubscribe()) };
            },
          };
        },
      }),
    ],
  });

  return {
    client,
    state: () => state,
    onState: (listener) => added(stateListeners, listener),
    onReturn: (listener) => added(returnListeners, listener),
    close: () => void socket.dispose(),
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
