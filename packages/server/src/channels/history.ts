import type { ChannelEvent } from './channels.ts';

/** Why an event left history; a label of the metric. */
export type EvictionReason = 'count' | 'bytes' | 'age' | 'global' | 'disposed';

/**
 * The last events of one channel in a ring, addressed by offset. Grows by doubling up to the bound on count, so that a channel with
 * three events costs little; an event costs its entry and nothing else.
 */
export class History {
  #entries: (ChannelEvent | undefined)[] = [];
  #times = new Float64Array(0);
  #top: number;
  #count = 0;
  #bytes = 0;

  constructor(top: number) {
    this.#top = top;
  }

  /** The offset of the newest event ever added. */
  get top(): number {
    return this.#top;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The offset of the oldest event still here; `top + 1` where there is none. */
  get first(): number {
    return this.#top - this.#count + 1;
  }

  /** The next offset is `top + 1`. `at`: ms since the epoch. */
  push(entry: ChannelEvent, at: number): void {
    if (this.#count === this.#entries.length) this.#grow();
    this.#top += 1;
    const slot = this.#top & (this.#entries.length - 1);
    this.#entries[slot] = entry;
    this.#times[slot] = at;
    this.#count += 1;
    this.#bytes += entry.event.bytes;
  }

  /** Undefined where the offset is not here. */
  at(offset: number): ChannelEvent | undefined {
    return offset < this.first || offset > this.#top ? undefined : this.#entries[offset & (this.#entries.length - 1)];
  }

  /** When the oldest was added; Infinity where there is none. */
  get oldestAt(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : (this.#times[this.first & (this.#entries.length - 1)] ?? 0);
  }

  /** Removes the oldest event. */
  shift(): void {
    if (this.#count === 0) return;
    const slot = this.first & (this.#entries.length - 1);
    this.#bytes -= this.#entries[slot]?.event.bytes ?? 0;
    this.#entries[slot] = undefined;
    this.#count -= 1;
  }

  clear(): void {
    this.#entries = [];
    this.#times = new Float64Array(0);
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const length = Math.max(4, this.#entries.length * 2);
    const entries = new Array<ChannelEvent | undefined>(length);
    const times = new Float64Array(length);
    const mask = this.#entries.length - 1;
    for (let offset = this.first; offset <= this.#top; offset++) {
      entries[offset & (length - 1)] = this.#entries[offset & mask];
      times[offset & (length - 1)] = this.#times[offset & mask] ?? 0;
    }
    this.#entries = entries;
    this.#times = times;
  }
}
