import { isUtf8 } from 'node:buffer';
import type { Duplex } from 'node:stream';
import { deflated, inflated } from './deflate.ts';
import { FrameReader, type FrameSink, type ReaderLimits, TEXT, type Violation } from './frame-reader.ts';
import type { Outlet } from './socket-port.ts';
import { type SocketTurn, TurnSocket } from './turn-socket.ts';

/** What all sockets of a server share. */
export type WebSocketShared = {
  readonly turn: SocketTurn;
  readonly limits: Omit<ReaderLimits, 'compression'>;
  /** Readers for sockets that are between messages: one for each kind serves all of them. */
  readonly resting: { plain: FrameReader | null; compressed: FrameReader | null };
};

export function sharedWebSockets(turn: SocketTurn, limits: Omit<ReaderLimits, 'compression'>): WebSocketShared {
  return { turn, limits, resting: { plain: null, compressed: null } };
}

/** The socket's listeners are functions that all sockets share; this is how they find whose it is. */
const OWNER = Symbol('millrace.webSocket');

type Owned = Duplex & { [OWNER]?: WebSocketConnection };

/**
 * The server's end of a WebSocket (RFC 6455) on a socket after its upgrade: messages in, frames out, the closing handshake. Extended by what
 * the messages mean. It sets no timers: whoever extends it ends a socket whose peer does not answer.
 */
export abstract class WebSocketConnection extends TurnSocket implements FrameSink {
  readonly #shared: WebSocketShared;
  readonly #compressed: boolean;
  /** Its own only in the middle of a message. */
  #reader: FrameReader | null = null;
  #closing: 'no' | 'asked' | 'answered' = 'no';
  #closed = false;

  constructor(socket: Duplex, shared: WebSocketShared, compressed: boolean, outlet?: Outlet) {
    super(socket, shared.turn, outlet);
    this.#shared = shared;
    this.#compressed = compressed;
  }

  /** A message of the client. Not called after `closeWith` or the client's close frame. */
  protected abstract onText(data: Buffer): void;
  protected abstract onBinary(): void;
  /** Any frame but a message: the peer is there. */
  protected abstract onControl(): void;
  /** The client broke the protocol; the socket closes with the violation's code. */
  protected abstract onBroken(violation: Violation): void;
  /** The client leaves. The socket closes when what was sent has left, which is the extender's to put a limit on. */
  protected abstract onLeaving(): void;
  /** The socket has closed, for whatever reason. Called once. */
  protected abstract onClosed(): void;

  /** Begins to listen. `head` are bytes that came with the upgrade request. */
  protected listen(head: Buffer): void {
    (this.socket as Owned)[OWNER] = this;
    this.socket.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    if (head.length > 0) this.#read(head);
    this.socket.resume();
  }

  /** Sends frames made by ws-frame.ts, compressed where that was agreed on. Nothing after `closeWith`. */
  protected sendFrames(frames: Buffer): void {
    if (this.#closing === 'no') this.send(this.#compressed ? deflated(frames) : frames);
  }

  /** Begins the closing handshake. `reason` has at most 123 bytes of UTF-8. */
  protected closeWith(code: number, reason: string): void {
    if (this.#closing !== 'no') return;
    this.#closing = 'asked';
    this.send(closeFrame(code, reason));
    this.flush();
  }

  /** Without a handshake, where the peer does not play its part. */
  protected terminate(): void {
    this.dropSent();
    this.socket.destroy();
  }

  // ---- the reader -------------------------------------------------------------------------------------------------------------

  onMessage(data: Buffer, opcode: number, compressed: boolean): void {
    if (this.#closing !== 'no') return;
    if (!compressed) return opcode === TEXT ? this.onText(data) : this.onBinary();
    const outcome = inflated(data, this.#shared.limits.maxMessageBytes);
    if (outcome.kind === 'too big') return this.onViolation({ code: 1009, reason: 'Message too big' });
    if (outcome.kind === 'broken') return this.onViolation({ code: 1007, reason: 'the compressed message is broken' });
    if (opcode !== TEXT) return this.onBinary();
    if (!isUtf8(outcome.data)) return this.onViolation({ code: 1007, reason: 'the text is not UTF-8' });
    this.onText(outcome.data);
  }

  onPing(data: Buffer): void {
    if (this.#closing !== 'no') return;
    this.onControl();
    this.answerPing(pongFrameOf(data));
  }

  /** Bounded by whoever knows how much a client may ask for without reading. */
  protected abstract answerPing(frame: Buffer): void;

  onPong(): void {
    if (this.#closing === 'no') this.onControl();
  }

  /** RFC 6455 section 5.5.1: the answer repeats the code. The server ends the connection as soon as both have said goodbye. */
  onClose(code: number): void {
    if (this.#closing === 'no') {
      this.onControl();
      this.send(code === 1005 ? EMPTY_CLOSE : closeFrame(code, ''));
    }
    this.#closing = 'answered';
    this.onLeaving();
    this.endAfterSent();
  }

  /** Its close frame is the last thing that it hears; whatever it still sends is thrown away until the socket is closed. */
  onViolation(violation: Violation): void {
    this.onBroken(violation);
    this.closeWith(violation.code, violation.reason);
    this.endAfterSent();
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return;
    const { resting, limits } = this.#shared;
    const kind = this.#compressed ? 'compressed' : 'plain';
    const reader = this.#reader ?? resting[kind] ?? new FrameReader({ ...limits, compression: this.#compressed });
    // While it reads nobody else may have it: what a message starts may come round to another socket.
    if (resting[kind] === reader) resting[kind] = null;
    this.#reader = reader;
    reader.read(chunk, this);
    if (!reader.resting) return;
    this.#reader = null;
    resting[kind] = reader;
  }

  // ---- the socket -------------------------------------------------------------------------------------------------------------

  /** Called by the shared listeners only. */
  socketData(chunk: Buffer): void {
    this.#read(chunk);
  }

  /** The peer has nothing more to say. Without a close frame before, that is an abnormal closure. */
  socketEnded(): void {
    if (this.#closed) return;
    this.onLeaving();
    this.endAfterSent();
  }

  socketClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader = null;
    this.dropSent();
    this.onClosed();
  }
}

function onData(this: Owned, chunk: Buffer): void {
  this[OWNER]?.socketData(chunk);
}

function onEnd(this: Owned): void {
  this[OWNER]?.socketEnded();
}

/** A reset is how many clients leave; `close` follows. Without a listener it would end the process. */
function onError(this: Owned): void {
  this.destroy();
}

function onClose(this: Owned): void {
  this[OWNER]?.socketClosed();
}

const EMPTY_CLOSE: Buffer = Buffer.from([0x88, 0x00]);

function closeFrame(code: number, reason: string): Buffer {
  const length = 2 + Buffer.byteLength(reason);
  if (length > 125) throw new RangeError(`the reason of a close frame has ${length - 2} bytes, 123 at most`);
  const frame = Buffer.allocUnsafe(2 + length);
  frame[0] = 0x88;
  frame[1] = length;
  frame.writeUInt16BE(code, 2);
  frame.write(reason, 4);
  return frame;
}

function pongFrameOf(data: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(2 + data.length);
  frame[0] = 0x8a;
  frame[1] = data.length;
  data.copy(frame, 2);
  return frame;
}
