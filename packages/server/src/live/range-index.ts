import type { NumericRange } from './access-paths.ts';

/**
 * Which intervals hold a number. Intervals with both ends are kept by the power of two of their width and, within it, sorted by
 * their low end: those that can hold `v` start in `(v - 2^(k+1), v]`, at least half of them do, and their high end stands beside the low one. Half-open ones are
 * sorted by their only end, and a stab visits matches alone. Cost: O(widths × log n + 2 × matches), whatever the distribution. Open ends are moved
 * to the next number, so that what is visited holds the number.
 */
export class RangeIndex {
  readonly #lows = new SortedList();
  readonly #highs = new SortedList();
  readonly #widths = new Map<number, SortedList>();
  readonly #unbounded = new Map<number, number>();

  get size(): number {
    let size = this.#lows.size + this.#highs.size;
    for (const count of this.#unbounded.values()) size += count;
    for (const list of this.#widths.values()) size += list.size;
    return size;
  }

  /** A posting is an integer from 0 on. */
  add(range: NumericRange, posting: number): void {
    const { low, high } = closed(range);
    if (low > high) return;
    if (low === -Infinity && high === Infinity) this.#unbounded.set(posting, (this.#unbounded.get(posting) ?? 0) + 1);
    else if (high === Infinity) this.#lows.add(low, high, posting);
    else if (low === -Infinity) this.#highs.add(high, high, posting);
    else {
      const width = widthOf(low, high);
      let list = this.#widths.get(width);
      if (!list) this.#widths.set(width, (list = new SortedList()));
      list.add(low, high, posting);
    }
  }

  remove(range: NumericRange, posting: number): void {
    const { low, high } = closed(range);
    if (low === -Infinity && high === Infinity) {
      const count = this.#unbounded.get(posting) ?? 0;
      if (count > 1) this.#unbounded.set(posting, count - 1);
      else this.#unbounded.delete(posting);
    } else if (high === Infinity) this.#lows.remove(low, posting);
    else if (low === -Infinity) this.#highs.remove(high, posting);
    else {
      const width = widthOf(low, high);
      const list = this.#widths.get(width);
      list?.remove(low, posting);
      if (list?.size === 0) this.#widths.delete(width);
    }
  }

  /** Visits the postings of intervals that hold `value`. */
  stab(value: number, visit: (posting: number) => void): void {
    for (const posting of this.#unbounded.keys()) visit(posting);
    this.#lows.between(-Infinity, value, -Infinity, visit);
    this.#highs.between(value, Infinity, value, visit);
    for (const [width, list] of this.#widths) list.between(value - 2 ** (width + 1), value, value, visit);
  }
}

/** The same numbers between two ends that belong to it. */
function closed({ low, lowOpen, high, highOpen }: NumericRange): { readonly low: number; readonly high: number } {
  return { low: lowOpen ? nextUp(low) : low, high: highOpen ? -nextUp(-high) : high };
}

const double = new Float64Array(1);
const bits = new BigInt64Array(double.buffer);

/** The next double above; IEEE 754-2019, section 5.3.1. */
function nextUp(value: number): number {
  if (value === Infinity) return Number.NaN;
  if (value === 0) return Number.MIN_VALUE;
  double[0] = value;
  bits[0]! += value > 0 ? 1n : -1n;
  return double[0];
}

/** A point counts as the narrowest width; the subtraction in `stab` then still finds its own low end. */
function widthOf(low: number, high: number): number {
  const width = high - low;
  return width > 0 ? Math.min(1_023, Math.max(-1_000, Math.floor(Math.log2(width)))) : -1_000;
}

const CHUNK = 128;

class Chunk {
  readonly keys = new Float64Array(CHUNK);
  readonly ends = new Float64Array(CHUNK);
  readonly postings = new Int32Array(CHUNK);
  size = 0;

  insert(at: number, key: number, end: number, posting: number): void {
    for (const array of [this.keys, this.ends, this.postings]) array.copyWithin(at + 1, at, this.size);
    this.keys[at] = key;
    this.ends[at] = end;
    this.postings[at] = posting;
    this.size += 1;
  }

  delete(at: number): void {
    for (const array of [this.keys, this.ends, this.postings]) array.copyWithin(at, at + 1, this.size);
    this.size -= 1;
  }

  /** The upper half, in a chunk of its own. */
  split(): Chunk {
    const upper = new Chunk();
    const from = this.size >> 1;
    upper.keys.set(this.keys.subarray(from, this.size));
    upper.ends.set(this.ends.subarray(from, this.size));
    upper.postings.set(this.postings.subarray(from, this.size));
    upper.size = this.size - from;
    this.size = from;
    return upper;
  }
}

/**
 * Numbers in order, each with another number and a posting, in chunks, so that adding the millionth moves a few hundred bytes. The last keys of all chunks stand
 * together: a search then stays in a few cache lines until it knows its chunk.
 */
class SortedList {
  readonly #chunks: Chunk[] = [];
  /** Last key of each chunk; as long as or longer than the chunks. */
  #lasts = new Float64Array(8);
  size = 0;

  add(key: number, end: number, posting: number): void {
    this.size += 1;
    if (this.#chunks.length === 0) this.#place(0, new Chunk());
    const index = Math.min(lowerBound(this.#lasts, this.#chunks.length, key), this.#chunks.length - 1);
    const chunk = this.#chunks[index]!;
    chunk.insert(lowerBound(chunk.keys, chunk.size, key), key, end, posting);
    if (chunk.size === CHUNK) this.#place(index + 1, chunk.split());
    this.#lasts[index] = chunk.keys[chunk.size - 1]!;
  }

  remove(key: number, posting: number): void {
    for (let index = lowerBound(this.#lasts, this.#chunks.length, key); index < this.#chunks.length; index += 1) {
      const chunk = this.#chunks[index]!;
      if (chunk.keys[0]! > key) return;
      for (let at = lowerBound(chunk.keys, chunk.size, key); at < chunk.size && chunk.keys[at] === key; at += 1) {
        if (chunk.postings[at] !== posting) continue;
        chunk.delete(at);
        this.size -= 1;
        if (chunk.size === 0) this.#drop(index);
        else this.#lasts[index] = chunk.keys[chunk.size - 1]!;
        return;
      }
    }
  }

  /** Visits what has `from <= key <= to` and an end of at least `end`. */
  between(from: number, to: number, end: number, visit: (posting: number) => void): void {
    const first = lowerBound(this.#lasts, this.#chunks.length, from);
    for (let index = first; index < this.#chunks.length; index += 1) {
      const chunk = this.#chunks[index]!;
      for (let at = index === first ? lowerBound(chunk.keys, chunk.size, from) : 0; at < chunk.size; at += 1) {
        if (chunk.keys[at]! > to) return;
        if (chunk.ends[at]! >= end) visit(chunk.postings[at]!);
      }
    }
  }

  #place(index: number, chunk: Chunk): void {
    this.#chunks.splice(index, 0, chunk);
    if (this.#chunks.length > this.#lasts.length) {
      const grown = new Float64Array(this.#lasts.length * 2);
      grown.set(this.#lasts);
      this.#lasts = grown;
    }
    this.#lasts.copyWithin(index + 1, index, this.#chunks.length - 1);
    this.#lasts[index] = chunk.size > 0 ? chunk.keys[chunk.size - 1]! : Infinity;
  }

  #drop(index: number): void {
    this.#chunks.splice(index, 1);
    this.#lasts.copyWithin(index, index + 1, this.#chunks.length + 1);
  }
}

/** Index of the first of `count` keys that is not below `key`. */
function lowerBound(keys: Float64Array, count: number, key: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
