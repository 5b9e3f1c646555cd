import type { NumericRange } from './access-paths.ts';

/**
 * Which intervals hold a number. Intervals with both ends are kept by the power of two of their width and, within it, sorted by
 * their low end: those that can hold `v` start in `(v - 2^(k+1), v]`, at least half of them do. Half-open ones are sorted by
 * their only end, and a stab visits matches alone. Cost: O(widths × log n + 2 × matches), whatever the distribution.
 */
export class RangeIndex<T> {
  readonly #lows = new SortedList<T>();
  readonly #highs = new SortedList<T>();
  readonly #widths = new Map<number, SortedList<T>>();
  readonly #unbounded = new Set<T>();

  get size(): number {
    let size = this.#lows.size + this.#highs.size + this.#unbounded.size;
    for (const list of this.#widths.values()) size += list.size;
    return size;
  }

  add(range: NumericRange, item: T): void {
    if (range.low > range.high) return;
    if (range.low === -Infinity && range.high === Infinity) this.#unbounded.add(item);
    else this.#listOf(range).add(keyOf(range), item);
  }

  remove(range: NumericRange, item: T): void {
    this.#unbounded.delete(item);
    const list = this.#listOf(range);
    list.remove(keyOf(range), item);
    if (list.size === 0 && list !== this.#lows && list !== this.#highs) this.#widths.delete(widthOf(range));
  }

  /** May visit intervals whose end is open at `value`, or that end shortly before it: the caller tests what it must. */
  stab(value: number, visit: (item: T) => void): void {
    this.#unbounded.forEach(visit);
    this.#lows.between(-Infinity, value, visit);
    this.#highs.between(value, Infinity, visit);
    for (const [width, list] of this.#widths) list.between(value - 2 ** (width + 1), value, visit);
  }

  #listOf(range: NumericRange): SortedList<T> {
    if (range.high === Infinity) return this.#lows;
    if (range.low === -Infinity) return this.#highs;
    const width = widthOf(range);
    let list = this.#widths.get(width);
    if (!list) this.#widths.set(width, (list = new SortedList()));
    return list;
  }
}

function keyOf(range: NumericRange): number {
  return range.low === -Infinity ? range.high : range.low;
}

/** A point counts as the narrowest width; the subtraction in `stab` then still finds its own low end. */
function widthOf(range: NumericRange): number {
  const width = range.high - range.low;
  return width > 0 ? Math.min(1_023, Math.max(-1_000, Math.floor(Math.log2(width)))) : -1_000;
}

const CHUNK = 256;

/** Numbers in order with an item each, in chunks, so that adding the millionth moves a few hundred and not a million. */
class SortedList<T> {
  readonly #chunks: { keys: number[]; items: T[] }[] = [];
  size = 0;

  add(key: number, item: T): void {
    this.size += 1;
    const index = Math.max(0, this.#firstChunk(key));
    let chunk = this.#chunks[Math.min(index, this.#chunks.length - 1)];
    if (!chunk) this.#chunks.push((chunk = { keys: [], items: [] }));
    const at = lowerBound(chunk.keys, key);
    chunk.keys.splice(at, 0, key);
    chunk.items.splice(at, 0, item);
    if (chunk.keys.length <= CHUNK) return;
    const half = CHUNK >> 1;
    this.#chunks.splice(this.#chunks.indexOf(chunk) + 1, 0, { keys: chunk.keys.splice(half), items: chunk.items.splice(half) });
  }

  remove(key: number, item: T): void {
    for (let index = this.#firstChunk(key); index < this.#chunks.length; index += 1) {
      const chunk = this.#chunks[index];
      if (!chunk || (chunk.keys[0] ?? Infinity) > key) return;
      for (let at = lowerBound(chunk.keys, key); chunk.keys[at] === key; at += 1) {
        if (chunk.items[at] !== item) continue;
        chunk.keys.splice(at, 1);
        chunk.items.splice(at, 1);
        if (chunk.keys.length === 0) this.#chunks.splice(index, 1);
        this.size -= 1;
        return;
      }
    }
  }

  /** Visits items with `from <= key <= to`. */
  between(from: number, to: number, visit: (item: T) => void): void {
    for (let index = this.#firstChunk(from); index < this.#chunks.length; index += 1) {
      const chunk = this.#chunks[index];
      if (!chunk) return;
      for (let at = lowerBound(chunk.keys, from); at < chunk.keys.length; at += 1) {
        if ((chunk.keys[at] ?? Infinity) > to) return;
        visit(chunk.items[at] as T);
      }
    }
  }

  /** The first chunk whose last key is not below `key`; the number of chunks where there is none. */
  #firstChunk(key: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#chunks[middle]?.keys.at(-1) ?? Infinity) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Index of the first key that is not below `key`. */
function lowerBound(keys: readonly number[], key: number): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] ?? Infinity) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
