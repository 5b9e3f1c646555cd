/**
 * Room for short lists of integers in one array, in blocks of powers of two. A million lists as arrays of their own would be a million objects,
 * each of them a cache miss and some hundred bytes; here a list is a place in memory. Freed blocks are used again by lists of their size.
 */
export class PostingPool {
  /** Replaced when it grows: not to be kept across `allocate`. */
  cells = new Int32Array(1_024);
  #used = 0;
  /** First free block of each size, -1 where there is none; a free block's first cell says which is next. */
  readonly #free: number[] = [];

  /** The place of a block of 2^`order` cells. */
  allocate(order: number): number {
    const free = this.#free[order] ?? -1;
    if (free >= 0) {
      this.#free[order] = this.cells[free]!;
      return free;
    }
    const size = 1 << order;
    if (this.#used + size > this.cells.length) {
      const grown = new Int32Array(Math.max(this.cells.length * 2, this.#used + size));
      grown.set(this.cells);
      this.cells = grown;
    }
    const at = this.#used;
    this.#used += size;
    return at;
  }

  release(at: number, order: number): void {
    this.cells[at] = this.#free[order] ?? -1;
    this.#free[order] = at;
  }
}
