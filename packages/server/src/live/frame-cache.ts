import type { Outbox } from './outbox.ts';

/** Ids longer than this are unique to a client (UUIDs) and would fill the table without being met again. */
const SHORT_ID = 4;
const SLOTS = 512;
/** No slot: the frame is made for this one subscription. */
export const NO_SLOT = -1;

/**
 * Frames of the payload at hand by (codec, operation id). Most clients number their operations 1, 2, 3: a thousand members then need a
 * handful of frames. Slots are numbered once; a new payload makes all of them stale by raising one number.
 */
export class FrameCache {
  readonly #slots = new Map<string, number>();
  readonly #frames: Buffer[] = [];
  readonly #stamps = new Uint32Array(SLOTS);
  #stamp = 0;
  #payload: Buffer = Buffer.alloc(0);
  #cursor = '';

  /** The slot for a subscription's frames, or NO_SLOT. */
  slotFor(outbox: Outbox, operationId: string): number {
    if (operationId.length > SHORT_ID) return NO_SLOT;
    const key = `${outbox.codec.kind}:${operationId}`;
    const present = this.#slots.get(key);
    if (present !== undefined) return present;
    if (this.#slots.size >= SLOTS) return NO_SLOT;
    const slot = this.#slots.size;
    this.#slots.set(key, slot);
    return slot;
  }

  begin(payload: Buffer, cursor: string): void {
    this.#payload = payload;
    this.#cursor = cursor;
    // Wraps after 2^32 payloads; a stamp from exactly so long ago cannot have survived unused in a slot that is in use, clear to be sure.
    this.#stamp = (this.#stamp + 1) >>> 0;
    if (this.#stamp === 0) this.#stamps.fill(0);
    if (this.#stamp === 0) this.#stamp = 1;
  }

  frame(outbox: Outbox, operationId: string, slot: number): Buffer {
    if (slot === NO_SLOT) return outbox.codec.next(operationId, this.#payload, this.#cursor);
    if (this.#stamps[slot] === this.#stamp) return this.#frames[slot] as Buffer;
    const frame = outbox.codec.next(operationId, this.#payload, this.#cursor);
    this.#frames[slot] = frame;
    this.#stamps[slot] = this.#stamp;
    return frame;
  }
}
