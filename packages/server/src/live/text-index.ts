import { addToBucket, type Bucket, bucketSize, removeFromBucket } from './bucket.ts';

/** Prefixes by length: a value is looked up once for each length that occurs. Finds matches alone. */
export class PrefixIndex<T> {
  readonly #byLength = new Map<number, Map<string, Bucket<T>>>();

  add(prefix: string, item: T): void {
    let prefixes = this.#byLength.get(prefix.length);
    if (!prefixes) this.#byLength.set(prefix.length, (prefixes = new Map()));
    addToBucket(prefixes, prefix, item);
  }

  remove(prefix: string, item: T): void {
    const prefixes = this.#byLength.get(prefix.length);
    if (!prefixes) return;
    removeFromBucket(prefixes, prefix, item);
    if (prefixes.size === 0) this.#byLength.delete(prefix.length);
  }

  find(value: string, visit: (item: T) => void): void {
    for (const [length, prefixes] of this.#byLength) {
      if (length <= value.length) prefixes.get(value.slice(0, length))?.forEach(visit);
    }
  }
}

const GRAM = 3;

/**
 * Needles by one of their three-character pieces, the one with the fewest needles at the time (shorter needles by themselves). A value
 * is looked up by each of its pieces; what is found still has to be tested. One needle per item and call of `add`.
 */
export class ContainsIndex<T> {
  readonly #grams = new Map<string, Bucket<T>>();
  readonly #chosen = new Map<T, Map<string, string>>();
  /** How many needles are shorter than a piece, by length. */
  readonly #short = [0, 0, 0];

  add(needle: string, item: T): void {
    let gram = needle.slice(0, GRAM);
    for (let at = 1; at + GRAM <= needle.length; at += 1) {
      const other = needle.slice(at, at + GRAM);
      if (bucketSize(this.#grams.get(other)) < bucketSize(this.#grams.get(gram))) gram = other;
    }
    let chosen = this.#chosen.get(item);
    if (!chosen) this.#chosen.set(item, (chosen = new Map()));
    if (chosen.has(needle)) return;
    chosen.set(needle, gram);
    addToBucket(this.#grams, gram, item);
    if (gram.length < GRAM) this.#short[gram.length] = (this.#short[gram.length] ?? 0) + 1;
  }

  remove(needle: string, item: T): void {
    const chosen = this.#chosen.get(item);
    const gram = chosen?.get(needle);
    if (!chosen || gram === undefined) return;
    chosen.delete(needle);
    if (chosen.size === 0) this.#chosen.delete(item);
    removeFromBucket(this.#grams, gram, item);
    if (gram.length < GRAM) this.#short[gram.length] = (this.#short[gram.length] ?? 0) - 1;
  }

  find(value: string, visit: (item: T) => void): void {
    if (this.#grams.size === 0) return;
    for (let length = 1; length <= GRAM; length += 1) {
      if (length < GRAM && this.#short[length] === 0) continue;
      for (let at = 0; at + length <= value.length; at += 1) this.#grams.get(value.slice(at, at + length))?.forEach(visit);
    }
  }
}
