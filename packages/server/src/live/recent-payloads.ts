import type { Payload } from './payload.ts';

/**
 * What a group made lately, by offset, for members that catch up one after the other. Bounded by count and bytes, the oldest go
 * first. Work in flight is kept as its promise, so that it is not done twice at a time.
 */
export class RecentPayloads {
  readonly #maxCount: number;
  readonly #maxBytes: number;
  readonly #entries = new Map<number, Payload | Promise<Payload>>();
  #epoch = '';
  #bytes = 0;

  constructor(maxCount: number, maxBytes: number) {
    this.#maxCount = maxCount;
    this.#maxBytes = maxBytes;
  }

  get(epoch: string, offset: number): Payload | Promise<Payload> | undefined {
    return epoch === this.#epoch ? this.#entries.get(offset) : undefined;
  }

  put(epoch: string, offset: number, payload: Payload | Promise<Payload>): void {
    if (epoch !== this.#epoch) this.clear();
    this.#epoch = epoch;
    this.delete(offset);
    this.#entries.set(offset, payload);
    this.#bytes += sizeOf(payload);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxCount && this.#bytes <= this.#maxBytes) return;
      this.delete(oldest);
    }
  }

  delete(offset: number): void {
    const present = this.#entries.get(offset);
    if (present === undefined) return;
    this.#bytes -= sizeOf(present);
    this.#entries.delete(offset);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}

function sizeOf(payload: Payload | Promise<Payload>): number {
  return payload instanceof Promise ? 0 : payload.bytes.length;
}
