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

/** Lengths of the pieces that needles are kept by. Long needles by long pieces: few needles share six characters, many share three. */
const LENGTHS = [6, 3, 2, 1] as const;

type Pieces<T> = { readonly length: number; readonly needles: Map<string, Bucket<T>> };

/**
 * Needles by one of their pieces of six (three, two, one) characters, the one with the fewest needles at the time. A value is looked up by
 * each of its pieces of the lengths that occur; what is found still has to be tested. Every needle that is tested in vain costs
 * cache misses: with 50,000 needles among a million subscriptions, pieces of three characters cost three times as much an event.
 */
export class ContainsIndex<T> {
  readonly #byLength: readonly Pieces<T>[] = LENGTHS.map((length) => ({ length, needles: new Map() }));
  readonly #chosen = new Map<T, Map<string, string>>();

  add(needle: string, item: T): void {
    const pieces = this.#piecesFor(needle);
    let chosen = this.#chosen.get(item);
    if (!chosen) this.#chosen.set(item, (chosen = new Map()));
    if (!pieces || chosen.has(needle)) return;
    const piece = rarest(needle, pieces);
    chosen.set(needle, piece);
    addToBucket(pieces.needles, piece, item);
  }

  remove(needle: string, item: T): void {
    const chosen = this.#chosen.get(item);
    const piece = chosen?.get(needle);
    if (!chosen || piece === undefined) return;
    chosen.delete(needle);
    if (chosen.size === 0) this.#chosen.delete(item);
    const pieces = this.#piecesFor(needle);
    if (pieces) removeFromBucket(pieces.needles, piece, item);
  }

  find(value: string, visit: (item: T) => void): void {
    for (const { length, needles } of this.#byLength) {
      if (needles.size === 0) continue;
      for (let at = 0; at + length <= value.length; at += 1) needles.get(value.slice(at, at + length))?.forEach(visit);
    }
  }

  #piecesFor(needle: string): Pieces<T> | undefined {
    return this.#byLength.find(({ length }) => length <= needle.length);
  }
}

function rarest<T>(needle: string, { length, needles }: Pieces<T>): string {
  let best = needle.slice(0, length);
  for (let at = 1; at + length <= needle.length; at += 1) {
    const other = needle.slice(at, at + length);
    if (bucketSize(needles.get(other)) < bucketSize(needles.get(best))) best = other;
  }
  return best;
}
