import type { FrameCodec, Transport } from './transport.ts';

/** Waits for an outbox to take data again. */
export interface DrainWaiter {
  onDrained(): void;
}

export interface OutboxObserver {
  onCongested(): void;
  onUncongested(): void;
  /** It asks for more and more answers and reads none of them. May be told several times. */
  onUnread?(): void;
}

/** Answers that exist once are written to a full connection too; this many times the bound of them, and it is clear that nobody reads. */
const UNREAD_BOUNDS = 8;

/**
 * What leaves through one connection. The transport merges the frames of a turn into one write; the outbox bounds what the connection
 * may hold (spec/delivery.md section 6, D12). The transport is asked for its true figure only when the frames written since would reach the
 * bound, so that a delivery costs an addition.
 */
export class Outbox {
  readonly codec: FrameCodec;
  readonly #transport: Transport;
  readonly #bound: number;
  readonly #observer: OutboxObserver | null;
  /** Never below what the transport holds: it only gives bytes away between two questions. */
  #held = 0;
  /** Bytes of `write` since the connection became full. */
  #unread = 0;
  #waiters: Set<DrainWaiter> | null = null;
  congested = false;
  closed = false;

  constructor(transport: Transport, bound: number, observer: OutboxObserver | null = null) {
    this.#transport = transport;
    this.codec = transport.codec;
    this.#bound = bound;
    this.#observer = observer;
  }

  /** For frames that can be had again from history. False: not written, the connection holds as much as it may. */
  offer(frame: Buffer): boolean {
    if (this.congested || this.closed) return false;
    this.#held += frame.length;
    if (this.#held > this.#bound && !this.#hasRoom(frame.length)) return false;
    this.#transport.write(frame);
    return true;
  }

  /** For frames that exist once: results, errors, completions. Always written; what comes after may find the bound reached. */
  write(frame: Buffer): void {
    if (this.closed) return;
    this.#held += frame.length;
    this.#transport.write(frame);
    if (this.congested) this.#countUnread(frame.length);
    else if (this.#held > this.#bound) this.#hasRoom(0);
  }

  /** Tells `waiter` once when the connection has drained. Only while congested. */
  wait(waiter: DrainWaiter): void {
    (this.#waiters ??= new Set()).add(waiter);
  }

  /** The connection is gone: nothing is written, nobody is told any more. */
  close(): void {
    this.closed = true;
    const waiters = this.#waiters;
    this.#waiters = null;
    // Pumps of streams end by finding the outbox closed.
    if (waiters) for (const waiter of waiters) waiter.onDrained();
  }

  /** One answer may be as large as it is. What a client asks for on top of it, without reading, would otherwise fill the process. */
  #countUnread(length: number): void {
    this.#unread += length;
    const most = UNREAD_BOUNDS * this.#bound;
    if (this.#unread > most && this.#transport.bufferedBytes() > most) this.#observer?.onUnread?.();
  }

  #hasRoom(length: number): boolean {
    const buffered = this.#transport.bufferedBytes();
    this.#held = buffered + length;
    // A frame larger than the bound must pass through an empty connection, or it would never arrive.
    if (buffered === 0 || this.#held <= this.#bound) return true;
    this.#held = buffered;
    this.congested = true;
    this.#unread = 0;
    this.#transport.onDrain(() => this.#drained());
    this.#observer?.onCongested();
    return false;
  }

  #drained(): void {
    if (this.closed || !this.congested) return;
    this.congested = false;
    this.#held = 0;
    this.#observer?.onUncongested();
    const waiters = this.#waiters;
    this.#waiters = null;
    if (waiters) for (const waiter of waiters) waiter.onDrained();
  }
}
