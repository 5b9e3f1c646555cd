import type { ServerResponse } from 'node:http';
import type { Wheel, WheelEntry } from '../kit/wheel.ts';
import type { Session } from '../live/session.ts';
import type { CloseReason, FrameCodec, Transport } from '../live/transport.ts';
import type { ConnectionSlot } from './connections.ts';
import type { GraphqlSseOptions } from './graphql-sse.ts';
import { endsDistinct } from './sse-codec.ts';
import type { TurnWriter } from './turn.ts';

export type SseShared = { readonly options: GraphqlSseOptions; readonly wheel: Wheel; readonly turn: TurnWriter };

const KEEP_ALIVE = Buffer.from(':\n\n');

/**
 * One event stream. Reserved (no response yet; what is written waits, bounded) → open → closed. A distinct stream is opened as soon
 * as its session is; the stream of a reservation when its GET arrives.
 */
export class SseStream implements Transport, WheelEntry {
  readonly name = 'sse';
  readonly codec: FrameCodec;
  wheelSlot = -1;
  wheelRounds = 0;
  session: Session | null = null;
  /** Active operations with the callback that ends each. */
  readonly operations = new Map<string, () => void>();

  readonly #shared: SseShared;
  readonly #onClosed: () => void;
  #slot: ConnectionSlot | null = null;
  #state: 'reserved' | 'open' | 'closed' = 'reserved';
  #res: ServerResponse | null = null;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #wrote = false;
  #ending = false;
  #onDrain: (() => void) | null = null;

  /** `onClosed` is called once, when nothing more can be sent. */
  constructor(shared: SseShared, codec: FrameCodec, onClosed: () => void) {
    this.#shared = shared;
    this.codec = codec;
    this.#onClosed = onClosed;
  }

  get state(): 'reserved' | 'open' | 'closed' {
    return this.#state;
  }

  /** Gives it a place among the connections and a time by which it must be open. */
  reserve(slot: ConnectionSlot, ms: number): void {
    this.#slot = slot;
    this.#shared.wheel.schedule(this, ms);
  }

  authenticated(session: Session): void {
    this.session = session;
    this.#slot?.authenticated();
  }

  /** Sends the head and whatever was written before. */
  open(res: ServerResponse, headers: Record<string, string>): void {
    this.#state = 'open';
    this.#res = res;
    res.on('close', () => this.#gone('client'));
    res.on('error', () => this.#gone('client'));
    res.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // Proxies such as nginx would hold events back to fill a buffer.
      'x-accel-buffering': 'no',
      ...headers,
    });
    // Some browsers report a stream as open only after its first bytes.
    res.write(`:\n\nretry: ${this.#shared.options.retryMs}\n\n`);
    for (const frame of this.#waiting) this.#send(frame);
    this.#waiting = [];
    this.#waitingBytes = 0;
    // An operation that was over before the stream opened may have ended it just now.
    if (this.#res) this.#shared.wheel.schedule(this, this.#shared.options.keepAliveMs);
  }

  start(id: string, begin: (onEnd: () => void) => void, onEnd: () => void): void {
    const end = (): void => {
      if (this.operations.get(id) === end) this.operations.delete(id);
      onEnd();
    };
    this.operations.set(id, end);
    begin(end);
  }

  // ---- Transport ------------------------------------------------------------------------------------------------------------

  write(frame: Buffer): void {
    if (this.#state === 'closed' || this.#ending) return;
    if (this.#state === 'open') return this.#send(frame);
    this.#waitingBytes += frame.length;
    this.#waiting.push(frame);
    if (this.#waitingBytes > this.#shared.options.maxBytesBeforeOpen) this.#gone('not_opened');
  }

  #send(frame: Buffer): void {
    const res = this.#res;
    if (!res || this.#ending) return;
    if (res.writableCorked === 0) this.#shared.turn.cork(res);
    res.write(frame);
    this.#wrote = true;
    if (this.codec.kind === 'sse-distinct' && endsDistinct(frame)) this.#finish('complete');
  }

  bufferedBytes(): number {
    return this.#res ? this.#res.writableLength : this.#waitingBytes;
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
    // A comment goes through the same queue as the events, so its callback comes when all before it have left.
    this.#res?.write(KEEP_ALIVE, this.#flushed);
  }

  readonly #flushed = (): void => {
    const listener = this.#onDrain;
    if (!listener || this.#state !== 'open') return;
    if (this.bufferedBytes() > 0) {
      this.#res?.write(KEEP_ALIVE, this.#flushed);
      return;
    }
    this.#onDrain = null;
    listener();
  };

  /** spec/protocol.md section 4: refusals that would repeat themselves end every operation, the others let the client come back. */
  close(reason: CloseReason): void {
    if (this.#state !== 'open') return this.#gone(reason.label);
    if (this.#ending) return;
    if (reason.reconnect === 'never') {
      const errors = JSON.stringify([{ message: reason.reason, extensions: { code: reason.label.toUpperCase() } }]);
      for (const id of this.operations.keys()) this.#res?.write(this.codec.error(id, errors));
    }
    const retry = reason.reconnect === 'later' ? this.#shared.options.retryMs * 5 : this.#shared.options.retryMs;
    this.#res?.write(`: closed ${reason.code} ${reason.reason}\nretry: ${retry}\n\n`);
    this.#finish(reason.label);
  }

  /** Ends the response once what was written has left; the peer has `closeTimeoutMs` to take it. */
  #finish(label: string): void {
    this.#ending = true;
    this.#slot?.release(label);
    // Later, because the session may be in the middle of writing the frame that ends the stream.
    queueMicrotask(() => this.#stopWork());
    // Node 24 writes the last chunk of a corked response before the chunks that wait in it, which the peer then never sees.
    while (this.#res !== null && this.#res.writableCorked > 0) this.#res.uncork();
    this.#res?.end();
    this.#shared.wheel.schedule(this, this.#shared.options.closeTimeoutMs);
  }

  #gone(label: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#onDrain = null;
    this.#shared.wheel.cancel(this);
    this.#slot?.release(label);
    this.#stopWork();
    this.#res = null;
    this.#onClosed();
  }

  #stopWork(): void {
    // Requests that still wait to hear whether their operation runs are answered by these.
    for (const end of this.operations.values()) end();
    this.operations.clear();
    this.session?.end();
    this.session = null;
  }

  onDue(): void {
    if (this.#state === 'reserved') return this.#gone('not_opened');
    if (this.#ending) {
      this.#res?.destroy();
      return;
    }
    if (!this.#wrote) this.#res?.write(KEEP_ALIVE);
    this.#wrote = false;
    this.#shared.wheel.schedule(this, this.#shared.options.keepAliveMs);
  }
}
