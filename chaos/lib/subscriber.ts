import { WebSocket } from 'ws';
import { Account } from './oracle.ts';

/** Ms between attempts: short, so that recovery times are the server's and not the client's patience. */
const PAUSE_MS = 50;
/** Ms without a message from the server, whose keep-alive pings come more often, after which a connection counts as dead. */
const SILENCE_MS = 20_000;

const QUERY = 'subscription($after: Cursor) { dealEvent(after: $after) { cursor action missed raw } }';

type Raw = { readonly company_id: string; readonly key: string; readonly n: number };
type Message = {
  readonly type: string;
  readonly payload?: {
    readonly data?: { readonly dealEvent: { readonly cursor: string; readonly action: string; readonly raw: Raw | null } };
    readonly errors?: readonly unknown[];
  };
};

export type SubscriberOptions = {
  readonly name: string;
  readonly tenant: string;
  readonly token: string;
  /** Where to connect; every attempt takes the next. */
  readonly urls: () => readonly string[];
  readonly first: number;
};

/** A client as a browser runs it: reconnects whatever happens, goes on by cursor, on any edge. What it is told goes into its account. */
export class Subscriber implements Disposable {
  readonly account: Account;
  readonly #options: SubscriberOptions;
  #socket: WebSocket | null = null;
  #cursor: string | null = null;
  #attempts: number;
  #stopped = false;
  #timer: NodeJS.Timeout | null = null;
  #silence: NodeJS.Timeout | null = null;
  /** Performance time at which an event published at or after a moment was first here, for each moment asked about. */
  readonly #watches: { readonly since: number; seen: number | null }[] = [];
  /** How often a connection was opened. */
  connections = 0;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#attempts = options.first;
    this.account = new Account(options.name, options.tenant);
    this.#connect();
  }

  get primed(): boolean {
    return this.#cursor !== null;
  }

  /** Tells, later, when an event came that was published after now. */
  watch(): () => number | null {
    const watch: { since: number; seen: number | null } = { since: performance.now(), seen: null };
    this.#watches.push(watch);
    return () => (watch.seen === null ? null : watch.seen - watch.since);
  }

  [Symbol.dispose](): void {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#drop();
  }

  #connect(): void {
    const urls = this.#options.urls();
    const url = urls[this.#attempts++ % urls.length]!;
    const socket = new WebSocket(url, 'graphql-transport-ws', { handshakeTimeout: 5_000, rejectUnauthorized: false });
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('open', () => {
      this.connections += 1;
      this.#listen();
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${this.#options.token}` } }));
    });
    socket.on('message', (data: Buffer) => {
      if (socket !== this.#socket) return;
      this.#listen();
      this.#take(socket, JSON.parse(data.toString()) as Message);
    });
    socket.on('close', (code: number, reason: Buffer) => {
      if (socket !== this.#socket) return;
      if (code === 4401 || code === 4403 || code === 4400) this.account.fault(`was refused with ${code} ${reason.toString()}`);
      this.#again();
    });
  }

  #take(socket: WebSocket, { type, payload }: Message): void {
    if (type === 'ping') return socket.send('{"type":"pong"}');
    if (type === 'connection_ack')
      return socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: QUERY, variables: { after: this.#cursor } } }));
    // The server gives a subscription up, as where it drains or a store of its is away: come back, as for a closed connection.
    if (type === 'complete') return this.#again();
    if (type === 'error') {
      const text = JSON.stringify(payload);
      if (text.includes('CURSOR_')) this.account.fault(`its cursor was refused: ${text}`);
      return this.#again();
    }
    const event = payload?.data?.dealEvent;
    if (payload?.errors) this.account.fault(`got errors: ${JSON.stringify(payload.errors).slice(0, 300)}`);
    if (!event) return;
    this.#cursor = event.cursor;
    if (event.action === 'GAP') this.account.gap();
    else if (event.raw) this.#event(event.raw);
  }

  #event(raw: Raw & { readonly at?: number }): void {
    // Primers belong to no key.
    if (raw.n > 0) this.account.event({ tenant: raw.company_id, key: raw.key, n: raw.n });
    const now = performance.now();
    for (const watch of this.#watches) if (watch.seen === null && (raw.at ?? 0) >= watch.since) watch.seen = now;
  }

  #listen(): void {
    if (this.#silence) this.#silence.refresh();
    else this.#silence = setTimeout(() => this.#again(), SILENCE_MS).unref();
  }

  #drop(): void {
    if (this.#silence) clearTimeout(this.#silence);
    this.#silence = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.terminate();
  }

  #again(): void {
    this.#drop();
    if (this.#stopped || this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#connect();
    }, PAUSE_MS);
  }
}
