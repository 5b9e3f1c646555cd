import type { Duplex } from 'node:stream';
import { FrameChain } from './frame-chain.ts';
import { type Outlet, outletOf, type PortUser, type SocketPort } from './socket-port.ts';

/** The sockets that have been written to in this turn of the event loop, all flushed by one immediate at its end. */
export class SocketTurn {
  #dirty: TurnSocket[] = [];
  #spare: TurnSocket[] = [];
  #scheduled = false;
  /** Chains of two frames, by the second: whoever got the same first one goes on with the same object. */
  readonly #pairs = new Map<Buffer, FrameChain>();
  #lastPair: FrameChain | null = null;
  /** Chains whose bytes are kept until the end of this turn. */
  readonly #joined: FrameChain[] = [];
  #flushing = false;
  readonly #flush = (): void => this.flush();

  add(socket: TurnSocket): void {
    this.#dirty.push(socket);
    if (!this.#scheduled) this.#schedule();
  }

  pair(first: Buffer, second: Buffer): FrameChain {
    const last = this.#lastPair;
    if (last?.frame === second && last.before === first) return last;
    let pair = this.#pairs.get(second);
    if (pair?.before !== first) {
      this.#pairs.set(second, (pair = new FrameChain(first, second)));
      // Also where all that is written to are blocked: pairs are kept for a turn.
      if (!this.#scheduled) this.#schedule();
    }
    return (this.#lastPair = pair);
  }

  /**
   * Joined once for all that are flushed at the turn's end. Kept no longer: a socket that takes nothing holds its chain and with it every shorter
   * one, and the joined bytes of each, which have left to others long ago, would be held beside what it is counted for.
   */
  bytesOf(chain: FrameChain): Buffer {
    if (!this.#flushing || chain.joined !== null) return chain.bytes();
    this.#joined.push(chain);
    return (chain.joined = chain.bytes());
  }

  flush(): void {
    const sockets = this.#dirty;
    this.#dirty = this.#spare;
    this.#spare = sockets;
    this.#scheduled = false;
    this.#lastPair = null;
    if (this.#pairs.size > 0) this.#pairs.clear();
    this.#flushing = true;
    for (const socket of sockets) socket.flush();
    this.#flushing = false;
    sockets.length = 0;
    for (const chain of this.#joined) chain.joined = null;
    this.#joined.length = 0;
  }

  #schedule(): void {
    this.#scheduled = true;
    setImmediate(this.#flush);
  }
}

/**
 * A socket that is written to once a turn. Frames of the turn wait here and leave in one system call; what the operating system does not
 * take stays with the port, and frames wait here until it has left. It is the base of what a connection is, not a part of it, because a
 * delivery to thousands of connections costs what it touches.
 */
export abstract class TurnSocket implements PortUser {
  protected readonly socket: Duplex;
  readonly #turn: SocketTurn;
  readonly #port: SocketPort<unknown>;
  readonly #target: unknown;
  #pending: Buffer | FrameChain | null = null;
  /** Is among the turn's sockets. */
  #listed = false;
  /** The port holds bytes. */
  #blocked = false;
  #ending = false;
  #gone = false;
  #onDrain: (() => void) | null = null;

  constructor(socket: Duplex, turn: SocketTurn, outlet: Outlet = outletOf(socket)) {
    this.socket = socket;
    this.#turn = turn;
    this.#port = outlet.port;
    this.#target = outlet.target;
  }

  protected send(frame: Buffer): void {
    if (this.#ending || this.#gone) return;
    const pending = this.#pending;
    if (pending === null) this.#pending = frame;
    else this.#pending = pending instanceof FrameChain ? pending.with(frame) : this.#turn.pair(pending, frame);
    if (this.#listed || this.#blocked) return;
    this.#listed = true;
    this.#turn.add(this);
  }

  /** Writes what waits, unless earlier bytes have not left yet. */
  flush(): void {
    this.#listed = false;
    const pending = this.#pending;
    if (pending === null || this.#blocked) return;
    this.#pending = null;
    if (!this.#port.write(this.#target, pending instanceof FrameChain ? this.#turn.bytesOf(pending) : pending, this)) this.#blocked = true;
    else if (this.#onDrain !== null || this.#ending) this.#drained();
  }

  /** Bytes that were sent and that the operating system has not taken. */
  bufferedBytes(): number {
    return (this.#pending?.length ?? 0) + (this.#blocked ? this.#port.held(this.#target) : 0);
  }

  /** Calls `listener` once when `bufferedBytes` has fallen to zero. One listener at a time. */
  onDrain(listener: () => void): void {
    this.#onDrain = listener;
    if (!this.#blocked && this.#pending === null) queueMicrotask(() => this.#drained());
  }

  /** Nobody wants to hear of it any more. */
  protected forgetDrain(): void {
    this.#onDrain = null;
  }

  /** Ends the socket's sending half when all that was sent has left. Nothing is sent from here on. */
  protected endAfterSent(): void {
    if (this.#ending || this.#gone) return;
    this.#ending = true;
    this.flush();
    this.#drained();
  }

  /** The socket has closed, or is not to be written to again. */
  protected dropSent(): void {
    this.#gone = true;
    this.#pending = null;
    this.#onDrain = null;
  }

  onPortFree(): void {
    this.#blocked = false;
    if (this.#pending !== null) this.flush();
    else this.#drained();
  }

  onPortFailed(): void {
    this.dropSent();
    this.socket.destroy();
  }

  #drained(): void {
    if (this.#blocked || this.#pending !== null || this.#gone) return;
    const listener = this.#onDrain;
    this.#onDrain = null;
    listener?.();
    if (this.#ending) this.socket.end();
  }
}
