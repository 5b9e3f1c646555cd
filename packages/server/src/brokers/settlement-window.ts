/**
 * Which positions above the committed one are out and which are settled: one byte each in a ring. Settlement comes in any order;
 * what is committed is the highest position below which nothing is out.
 */
export class SettlementWindow {
  readonly #capacity: number;
  #ring = new Uint8Array(1024);
  /** Everything up to here is settled or does not exist. */
  #base: number;
  /** The highest position that was taken out of the log. */
  #top: number;

  /** `capacity`: positions that may lie between the first unsettled one and the last one taken. */
  constructor(committed: number, capacity: number) {
    this.#capacity = capacity;
    this.#base = committed;
    this.#top = committed;
  }

  get committed(): number {
    return this.#base;
  }

  get top(): number {
    return this.#top;
  }

  /** Positions that may still be taken. */
  get room(): number {
    return this.#capacity - (this.#top - this.#base);
  }

  /** Takes a position, in ascending order; those skipped do not exist (any more). */
  take(position: number): void {
    if (position - this.#base >= this.#ring.length) this.#grow(position - this.#base + 1);
    this.#top = position;
    this.#ring[position & (this.#ring.length - 1)] = 1;
  }

  /** False where the position is not out. */
  settle(position: number): boolean {
    const mask = this.#ring.length - 1;
    if (position <= this.#base || position > this.#top || this.#ring[position & mask] !== 1) return false;
    this.#ring[position & mask] = 0;
    if (position === this.#base + 1) this.#advance();
    return true;
  }

  /** Positions that are out, ascending. */
  outstanding(): readonly number[] {
    const out: number[] = [];
    const mask = this.#ring.length - 1;
    for (let position = this.#base + 1; position <= this.#top; position++) if (this.#ring[position & mask] === 1) out.push(position);
    return out;
  }

  /** As it was before a restart: of the positions up to `top` exactly these are out. */
  restore(top: number, outstanding: readonly number[]): void {
    for (const position of outstanding) this.take(position);
    if (top - this.#base >= this.#ring.length) this.#grow(top - this.#base + 1);
    this.#top = Math.max(this.#top, top);
    this.#advance();
  }

  /** Nothing is out: moves past positions that do not exist. */
  skipTo(position: number): void {
    if (this.#base !== this.#top || position <= this.#top) return;
    this.#base = position;
    this.#top = position;
  }

  #advance(): void {
    const mask = this.#ring.length - 1;
    while (this.#base < this.#top && this.#ring[(this.#base + 1) & mask] !== 1) this.#base += 1;
  }

  #grow(needed: number): void {
    let length = this.#ring.length;
    while (length <= needed) length *= 2;
    const ring = new Uint8Array(length);
    const mask = this.#ring.length - 1;
    for (let position = this.#base + 1; position <= this.#top; position++) ring[position & (length - 1)] = this.#ring[position & mask] ?? 0;
    this.#ring = ring;
  }
}
