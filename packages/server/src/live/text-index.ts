import { eachPiece, HASH_START, hashEnd, hashStep, hashText } from './key-hash.ts';
import { KeyTable } from './key-table.ts';
import type { PostingPool } from './posting-pool.ts';

/** Prefixes by length. A value is hashed once, and looked up on the way at each length that occurs. Finds matches alone. */
export class PrefixIndex {
  readonly #pool: PostingPool;
  /** In ascending order, with the table of each at the same place. */
  readonly #lengths: number[] = [];
  readonly #tables: KeyTable<string>[] = [];

  constructor(pool: PostingPool) {
    this.#pool = pool;
  }

  add(prefix: string, posting: number): void {
    let at = this.#lengths.indexOf(prefix.length);
    if (at < 0) {
      at = this.#lengths.findIndex((length) => length > prefix.length);
      if (at < 0) at = this.#lengths.length;
      this.#lengths.splice(at, 0, prefix.length);
      this.#tables.splice(at, 0, new KeyTable(this.#pool));
    }
    this.#tables[at]!.add(hashText(prefix), prefix, posting);
  }

  remove(prefix: string, posting: number): void {
    const at = this.#lengths.indexOf(prefix.length);
    const table = this.#tables[at];
    table?.remove(hashText(prefix), prefix, posting);
    if (table?.size !== 0) return;
    this.#lengths.splice(at, 1);
    this.#tables.splice(at, 1);
  }

  find(value: string, visit: (posting: number) => void): void {
    let state = HASH_START;
    let done = 0;
    for (let at = 0; at < this.#lengths.length; at += 1) {
      const length = this.#lengths[at]!;
      if (length > value.length) return;
      for (; done < length; done += 1) state = hashStep(state, value.charCodeAt(done));
      const table = this.#tables[at]!;
      table.each(table.slotOfStart(hashEnd(state), value), visit);
    }
  }
}

/** Lengths of the pieces that needles are kept by. Long needles by long pieces: few needles share six characters, many share three. */
const LENGTHS = [6, 3, 2, 1] as const;

/**
 * Needles by one of their pieces of six (three, two, one) characters, the one with the fewest needles at the time. A value is looked up by each of its
 * pieces of the lengths that occur, and what is found is compared. Finds matches alone; a needle that stands twice in a value may be found twice.
 */
export class ContainsIndex {
  readonly #pieces: readonly PieceTable[];
  /** Needle and posting of each record; the tables hold numbers of records. */
  readonly #needles: string[] = [];
  readonly #postings: number[] = [];
  readonly #free: number[] = [];

  constructor(pool: PostingPool) {
    this.#pieces = LENGTHS.map((length) => new PieceTable(length, pool));
  }

  add(needle: string, posting: number): void {
    const pieces = this.#piecesFor(needle);
    if (!pieces) return;
    const record = this.#free.pop() ?? this.#needles.length;
    this.#needles[record] = needle;
    this.#postings[record] = posting;
    pieces.add(pieces.rarest(needle), record);
  }

  remove(needle: string, posting: number): void {
    const pieces = this.#piecesFor(needle);
    if (!pieces) return;
    const record = pieces.removeFirst(needle, (one) => this.#needles[one] === needle && this.#postings[one] === posting);
    if (record < 0) return;
    this.#needles[record] = '';
    this.#free.push(record);
  }

  find(value: string, visit: (posting: number) => void): void {
    for (const pieces of this.#pieces) {
      if (pieces.empty) continue;
      pieces.find(value, (record) => {
        if (value.includes(this.#needles[record]!)) visit(this.#postings[record]!);
      });
    }
  }

  #piecesFor(needle: string): PieceTable | undefined {
    return this.#pieces.find(({ length }) => length <= needle.length);
  }
}

/** Bits of the filter for each piece: about one in nine of the pieces that are not there passes. */
const FILTER_BITS = 8;

/**
 * Records by the hash of a piece. In front of the table stands a bit for each hash: of the twenty pieces of a title hardly one is there, and asking the
 * table for each would cost twenty cache misses. The bits of a hundred thousand pieces are a hundred kilobytes, which stay in the cache.
 */
class PieceTable {
  readonly length: number;
  readonly #table: KeyTable<number>;
  #bits = new Int32Array(32);
  #room = 0;

  constructor(length: number, pool: PostingPool) {
    this.length = length;
    this.#table = new KeyTable(pool);
  }

  get empty(): boolean {
    return this.#table.size === 0;
  }

  add(hash: number, record: number): void {
    this.#table.add(hash, hash, record);
    if (this.#table.size > this.#room) this.#rebuild();
    else this.#mark(hash);
  }

  /** Hash of the needle's piece that the fewest needles are kept by. */
  rarest(needle: string): number {
    let best = 0;
    let fewest = Infinity;
    eachPiece(needle, this.length, (hash) => {
      const count = this.#table.count(this.#table.slotOf(hash, hash));
      if (count >= fewest) return;
      fewest = count;
      best = hash;
    });
    return best;
  }

  /** Takes out the first record under any of the needle's pieces that `wanted` says yes to, and returns it; -1 where there is none. */
  removeFirst(needle: string, wanted: (record: number) => boolean): number {
    let found = -1;
    let under = 0;
    eachPiece(needle, this.length, (hash) => {
      if (found >= 0) return;
      this.#table.each(this.#table.slotOf(hash, hash), (record) => {
        if (found >= 0 || !wanted(record)) return;
        found = record;
        under = hash;
      });
    });
    if (found >= 0) this.#table.remove(under, under, found);
    // Bits of pieces that have gone let some through in vain, until there are many of them.
    if (this.#table.size * 8 < this.#room && this.#room > 4) this.#rebuild();
    return found;
  }

  find(value: string, visit: (record: number) => void): void {
    eachPiece(value, this.length, (hash) => {
      if (this.#passes(hash)) this.#table.each(this.#table.slotOf(hash, hash), visit);
    });
  }

  #passes(hash: number): boolean {
    // Not the lowest bits, by which the table finds its slot.
    const bit = (hash >>> 5) & (this.#bits.length - 1);
    return ((this.#bits[bit]! >>> (hash & 31)) & 1) === 1;
  }

  #mark(hash: number): void {
    const bit = (hash >>> 5) & (this.#bits.length - 1);
    this.#bits[bit]! |= 1 << (hash & 31);
  }

  #rebuild(): void {
    this.#room = Math.max(4, this.#table.size * 2);
    let words = 1;
    while (words * 32 < this.#room * FILTER_BITS) words *= 2;
    this.#bits = new Int32Array(words);
    this.#table.eachHash((hash) => this.#mark(hash));
  }
}
