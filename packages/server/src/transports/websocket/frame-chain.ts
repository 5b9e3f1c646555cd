/**
 * The frames that a socket gets in one turn, the last one first. Sockets that get the same frames share the chain, so that a burst
 * of ten events for five thousand sockets is joined to one buffer once, and a delivery allocates nothing.
 */
export class FrameChain {
  readonly before: FrameChain | Buffer;
  readonly frame: Buffer;
  /** Bytes of all frames. */
  readonly length: number;
  /** The bytes, only while a turn's end hands them to everybody who has this chain: see `SocketTurn.bytesOf`. */
  joined: Buffer | null = null;
  #next: FrameChain | null = null;

  constructor(before: FrameChain | Buffer, frame: Buffer) {
    this.before = before;
    this.frame = frame;
    this.length = before.length + frame.length;
  }

  /** This chain with one more frame: the same object for everybody who goes on in the same way. */
  with(frame: Buffer): FrameChain {
    if (this.#next?.frame === frame) return this.#next;
    return (this.#next = new FrameChain(this, frame));
  }

  bytes(): Buffer {
    return this.joined ?? this.#join();
  }

  #join(): Buffer {
    const bytes = Buffer.allocUnsafe(this.length);
    let end = this.length - this.frame.copy(bytes, this.length - this.frame.length);
    let link = this.before;
    while (link instanceof FrameChain) {
      end -= link.frame.copy(bytes, end - link.frame.length);
      link = link.before;
    }
    link.copy(bytes, 0);
    return bytes;
  }
}
