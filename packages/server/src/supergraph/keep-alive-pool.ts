import { type Socket, connect } from 'node:net';
import type { Clock, Timer } from '../kit/clock.ts';
import { type Exchange, type ExchangeRequest, type Exchanger, PendingExchange } from './http-exchange.ts';
import { HttpResponse, type Reading } from './http-response.ts';

/** An idle connection is used no longer than this, or than a second less than the server says: it might be closing it just then. */
const IDLE_MS = 4_000;
const HINT_MARGIN_MS = 1_000;
/** Of one connection, kept for as long as it is open. */
const READ_BUFFER = 16_384;

/**
 * HTTP/1.1 to one `http:` origin: a POST is one write of one string, an answer mostly one read. No stream, no parser in WebAssembly, no
 * object per header; this runs for every fetch of every query. At most one request on a connection, at most `connections` of them; what
 * finds none waits in order (SubgraphClient bounds how much).
 */
export class KeepAlivePool implements Exchanger {
  readonly #host: string;
  readonly #address: { readonly host: string; readonly port: number };
  readonly #max: number;
  readonly #clock: Clock;
  readonly #open = new Set<Connection>();
  /** The last used comes first, so that those not needed grow old. */
  readonly #idle: Connection[] = [];
  readonly #waiting = new Set<PendingExchange>();
  #sweep: Timer | null = null;
  #closed = false;

  constructor(origin: string, connections: number, clock: Clock) {
    const { host, hostname, port } = new URL(origin);
    this.#host = host;
    this.#address = { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? 80 : Number(port) };
    this.#max = connections;
    this.#clock = clock;
  }

  post(request: ExchangeRequest, done: (result: Exchange) => void): void {
    const pending = new PendingExchange(request, this.#clock, done);
    if (this.#closed) return pending.end(BROKEN_CLOSED);
    const connection = (request.fresh ? null : this.#takeIdle()) ?? this.#connect();
    if (connection) return this.#send(connection, pending);
    this.#waiting.add(pending);
    pending.onAbandoned = () => void this.#waiting.delete(pending);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#sweep?.cancel();
    for (const pending of this.#waiting) pending.end(BROKEN_CLOSED);
    this.#waiting.clear();
    for (const connection of this.#open) connection.destroy('closed');
  }

  #send(connection: Connection, pending: PendingExchange): void {
    const text = requestText(this.#host, pending.request);
    if (text === null) {
      this.#free(connection);
      pending.end({ kind: 'broken', beforeAnswer: false, reason: 'a header cannot be sent' });
    } else connection.send(text, pending);
  }

  #takeIdle(): Connection | null {
    const now = this.#clock.monotonic();
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.usable && connection.idleUntil > now) return connection;
      connection.destroy('idle for too long');
    }
    return null;
  }

  #connect(): Connection | null {
    // Where a fresh one is asked for, one that only waits makes room.
    if (this.#open.size >= this.#max) this.#idle.shift()?.destroy('makes room');
    if (this.#open.size >= this.#max) return null;
    const connection = new Connection(this.#address, (ended) => (ended.usable ? this.#free(ended) : this.#gone(ended)));
    this.#open.add(connection);
    return connection;
  }

  /** The connection may take another request. */
  #free(connection: Connection): void {
    const [next] = this.#waiting;
    if (next) {
      this.#waiting.delete(next);
      return this.#send(connection, next);
    }
    connection.idleUntil =
      this.#clock.monotonic() + Math.min(IDLE_MS, (connection.keepAliveMs ?? IDLE_MS + HINT_MARGIN_MS) - HINT_MARGIN_MS);
    this.#idle.push(connection);
    this.#sweep ??= this.#clock.after(IDLE_MS, () => this.#sweepIdle());
  }

  #gone(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    const [next] = this.#waiting;
    if (!next || this.#closed) return;
    this.#waiting.delete(next);
    const fresh = this.#connect();
    if (fresh) this.#send(fresh, next);
  }

  #sweepIdle(): void {
    this.#sweep = null;
    const now = this.#clock.monotonic();
    for (const connection of this.#idle.filter(({ idleUntil }) => idleUntil <= now)) connection.destroy('idle for too long');
    if (this.#idle.length > 0) this.#sweep = this.#clock.after(IDLE_MS, () => this.#sweepIdle());
  }
}

const BROKEN_CLOSED: Exchange = { kind: 'broken', beforeAnswer: true, reason: 'closed' };

class Connection {
  readonly #socket: Socket;
  /** Called when a request has ended and when the connection has: `usable` tells which. */
  readonly #onFree: (connection: Connection) => void;
  #pending: PendingExchange | null = null;
  #response: HttpResponse | null = null;
  usable = true;
  idleUntil = 0;
  keepAliveMs: number | null = null;

  constructor(address: { readonly host: string; readonly port: number }, onFree: (connection: Connection) => void) {
    this.#onFree = onFree;
    const buffer = Buffer.allocUnsafeSlow(READ_BUFFER);
    this.#socket = connect({
      ...address,
      noDelay: true,
      onread: { buffer, callback: (size) => this.#read(size === READ_BUFFER ? buffer : buffer.subarray(0, size)) },
    });
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.destroy(error.code ?? 'connection failed'));
    this.#socket.on('end', () => this.#settle(this.#response?.ended() ?? null, 'the connection was closed'));
    this.#socket.on('close', () => this.destroy('the connection was closed'));
  }

  send(text: string, pending: PendingExchange): void {
    this.#pending = pending;
    this.#response = new HttpResponse(pending.request.responseBytesMax);
    // An answer that nobody waits for would be taken for the next one's.
    pending.onAbandoned = () => this.destroy('abandoned');
    this.#socket.write(text, Buffer.byteLength(text) === text.length ? 'latin1' : 'utf8');
  }

  /** Whoever waits here is told `reason`. */
  destroy(reason: string): void {
    if (!this.usable) return;
    this.usable = false;
    this.#socket.destroy();
    const pending = this.#pending;
    this.#pending = null;
    pending?.end({ kind: 'broken', beforeAnswer: this.#response === null || this.#response.status === 0, reason });
    this.#onFree(this);
  }

  #read(chunk: Buffer): boolean {
    // Bytes that nobody asked for: whatever they are, they are not the next answer.
    if (this.#response === null) this.destroy('the server spoke first');
    else this.#settle(this.#response.read(chunk), '');
    return true;
  }

  #settle(reading: Reading | null, otherwise: string): void {
    const pending = this.#pending;
    const response = this.#response;
    if (reading === null || pending === null || response === null) return this.destroy(otherwise);
    if (reading.kind === 'more') return;
    if (reading.kind === 'broken') return this.destroy(reading.reason);
    this.#pending = null;
    this.#response = null;
    if (reading.kind === 'too-large') {
      pending.end({ kind: 'too-large' });
      return this.destroy('the answer was too large');
    }
    this.keepAliveMs = response.keepAliveMs;
    // First, so that what the answer leads to finds this connection.
    if (reading.reusable) this.#onFree(this);
    else this.destroy('the server closes after each answer');
    pending.end({ kind: 'answer', status: response.status, contentType: response.contentType, text: reading.text });
  }
}

/** Null where a header's value would break out of its line: tokens and ids come from outside. */
function requestText(host: string, { path, headers, body }: ExchangeRequest): string | null {
  let head = `POST ${path} HTTP/1.1\r\nhost: ${host}\r\n`;
  for (const name in headers) {
    const value = headers[name] ?? '';
    if (FORBIDDEN.test(value)) return null;
    head += `${name}: ${value}\r\n`;
  }
  return `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** Anything but printable ASCII and tabs. */
const FORBIDDEN = /[^\t\x20-\x7e]/;
