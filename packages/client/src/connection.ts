import { backOffMs, type BackOff } from './back-off.ts';
import { reconnectAfter } from './close-codes.ts';
import { LiveError } from './errors.ts';
import { type ClientMessage, parseServerMessage, type ServerMessage, SUBPROTOCOL } from './protocol.ts';

export type ClientState =
  /** No subscription, no socket. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly attempt: number }
  | { readonly kind: 'open' }
  /** Down; the next attempt comes after `retryInMs`. */
  | { readonly kind: 'waiting'; readonly retryInMs: number; readonly code: number; readonly reason: string }
  /** Down for good: by `close`, or by a code after which another attempt would be refused as well. */
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string };

/** What a socket must be able to do: browsers' and Node's WebSocket, and the one of the package `ws`. */
export interface SocketLike {
  readonly readyState: number;
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void;
  addEventListener(type: 'error', listener: () => void): void;
}

export type SocketConstructor = new (url: string, protocols: string) => SocketLike;

/** `refused`: the server's words about the token shown last (`TOKEN_EXPIRED`), so that a cached one is not shown again. */
export type TokenSource = (request: { readonly refused: string | null }) => string | null | Promise<string | null>;

export type ConnectionOptions = {
  readonly url: string;
  readonly token: TokenSource | null;
  readonly socket: SocketConstructor;
  readonly backOff: BackOff;
  readonly ackTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  readonly lingerMs: number;
  readonly random: () => number;
};

export interface ConnectionHost {
  onState(state: ClientState): void;
  /** The server has acknowledged; operations may be sent. */
  onOpen(): void;
  /** Messages about operations only. */
  onMessage(message: ServerMessage & { readonly id: string }): void;
  /** The token could not be had; the connection tries again by itself. */
  onTokenFailed(error: LiveError): void;
}

/** Codes in 4xxx that this client itself closes with. */
const CLOSE = { normal: 1000, badResponse: 4004, ackTimeout: 4418, pongTimeout: 4499 } as const;

/** A connection that stood this long was a good one: the next failure starts counting from the beginning. */
const STABLE_MS = 5_000;

/** One socket at a time, opened when wanted, opened again as the close code allows. Knows nothing of subscriptions. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #host: ConnectionHost;
  #state: ClientState = { kind: 'idle' };
  #wanted = false;
  #socket: SocketLike | null = null;
  #attempt = 0;
  /** On the monotonic clock; null while no connection stands. */
  #openedAt: number | null = null;
  #refused: string | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #linger: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ConnectionOptions, host: ConnectionHost) {
    this.#options = options;
    this.#host = host;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** There is something to subscribe to. */
  want(): void {
    clearTimeout(this.#linger);
    this.#wanted = true;
    if (this.#state.kind === 'idle') void this.#connect();
  }

  /** There is nothing left. The socket stays for `lingerMs`, since the next subscription often follows at once. */
  unwant(): void {
    this.#wanted = false;
    clearTimeout(this.#linger);
    this.#linger = setTimeout(() => {
      if (this.#state.kind !== 'closed') this.#drop({ kind: 'idle' }, CLOSE.normal, 'Done');
    }, this.#options.lingerMs);
  }

  send(message: ClientMessage): void {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  /** For good. */
  close(code: number, reason: string): void {
    if (this.#state.kind !== 'closed') this.#drop({ kind: 'closed', code, reason }, code, reason);
  }

  #become(state: ClientState): void {
    this.#state = state;
    this.#host.onState(state);
  }

  #drop(state: ClientState, code: number, reason: string): void {
    clearTimeout(this.#retry);
    clearTimeout(this.#watch);
    clearTimeout(this.#linger);
    const socket = this.#socket;
    this.#socket = null;
    this.#attempt = 0;
    if (socket) release(socket, code, reason);
    this.#become(state);
  }

  async #connect(): Promise<void> {
    const connecting: ClientState = { kind: 'connecting', attempt: this.#attempt };
    this.#become(connecting);
    let token: string | null = null;
    try {
      token = (await this.#options.token?.({ refused: this.#refused })) ?? null;
    } catch (error) {
      if (this.#state !== connecting) return;
      this.#host.onTokenFailed(new LiveError('TOKEN_FAILED', 'the token could not be fetched', { cause: error }));
      return this.#again(CLOSE.normal, 'Token failed', null);
    }
    // Closed, or given up, while the token was on its way.
    if (this.#state === connecting) this.#open(token);
  }

  #open(token: string | null): void {
    const socket = new this.#options.socket(this.#options.url, SUBPROTOCOL);
    this.#socket = socket;
    socket.addEventListener('open', () => {
      if (socket !== this.#socket) return;
      const authorization = token === null ? null : /^bearer /i.test(token) ? token : `Bearer ${token}`;
      this.send({ type: 'connection_init', ...(authorization === null ? {} : { payload: { authorization } }) });
    });
    socket.addEventListener('message', (event) => this.#receive(socket, event.data));
    socket.addEventListener('close', (event) => this.#closed(socket, event.code, event.reason));
    // A close event follows and says more; without a listener some implementations throw.
    socket.addEventListener('error', () => {});
    this.#watch = setTimeout(() => this.#fail(socket, CLOSE.ackTimeout, 'Connection acknowledgement timeout'), this.#options.ackTimeoutMs);
  }

  #receive(socket: SocketLike, data: unknown): void {
    if (socket !== this.#socket) return;
    const message = parseServerMessage(data);
    if (!message) return this.#fail(socket, CLOSE.badResponse, 'Bad response');
    if (this.#state.kind === 'open') this.#keepAlive(socket);
    if (message.type === 'ping') this.send({ type: 'pong', ...(message.payload === undefined ? {} : { payload: message.payload }) });
    else if (message.type === 'connection_ack') this.#acknowledged(socket);
    else if (message.type !== 'pong') this.#host.onMessage(message);
  }

  #acknowledged(socket: SocketLike): void {
    if (this.#state.kind !== 'connecting') return;
    this.#openedAt = performance.now();
    this.#refused = null;
    this.#keepAlive(socket);
    this.#become({ kind: 'open' });
    this.#host.onOpen();
  }

  /** Silence for the interval: ask. Silence after that: the socket is dead, whatever it says (a laptop that slept). */
  #keepAlive(socket: SocketLike): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.send({ type: 'ping' });
      this.#watch = setTimeout(() => this.#fail(socket, CLOSE.pongTimeout, 'Pong timeout'), this.#options.pongTimeoutMs);
    }, this.#options.pingIntervalMs);
  }

  /** This client gives up on the socket; the close handshake of a dead one would take minutes, so it is not waited for. */
  #fail(socket: SocketLike, code: number, reason: string): void {
    if (socket !== this.#socket) return;
    release(socket, code, reason);
    this.#closed(socket, code === CLOSE.badResponse ? 1002 : 1006, reason);
  }

  #closed(socket: SocketLike, code: number, reason: string): void {
    if (socket !== this.#socket) return;
    this.#socket = null;
    clearTimeout(this.#watch);
    if (!this.#wanted) return this.#drop({ kind: 'idle' }, code, reason);
    const decision = reconnectAfter(code, reason);
    if (decision.kind === 'now')
      return this.#again(code, reason, decision.hintMs ?? this.#options.backOff.firstMs * this.#options.random());
    if (decision.kind === 'later') return this.#again(code, reason, null);
    // A stale token deserves one more chance with a fresh one; `token` is told, so that it does not answer from a cache.
    if (code === 4403 && reason.includes('TOKEN_EXPIRED') && this.#refused === null && this.#options.token) {
      this.#refused = 'TOKEN_EXPIRED';
      return this.#again(code, reason, 0);
    }
    this.#drop({ kind: 'closed', code, reason }, code, reason);
  }

  #again(code: number, reason: string, soonMs: number | null): void {
    // Only a connection that held counts as a success: one that is acknowledged and closed at once, again and again, must come ever slower.
    if (this.#openedAt !== null && performance.now() - this.#openedAt > STABLE_MS) this.#attempt = 0;
    this.#openedAt = null;
    // "At once" holds for the first attempt only: a server that keeps sending clients away must not be hammered.
    const retryInMs =
      soonMs !== null && this.#attempt === 0 ? soonMs : backOffMs(this.#attempt, this.#options.backOff, this.#options.random);
    this.#attempt += 1;
    this.#become({ kind: 'waiting', retryInMs, code, reason });
    this.#retry = setTimeout(() => void this.#connect(), retryInMs);
  }
}

function release(socket: SocketLike, code: number, reason: string): void {
  // Only these codes may be sent by a client; a browser throws at others.
  socket.close(code === 1000 || (code >= 3000 && code < 5000) ? code : 1000, reason.slice(0, 100));
}
