import type { Comparable } from './filter-values.ts';
import type { PostingPool } from './posting-pool.ts';

/** A slot: the key's hash, how many postings it has, the posting itself or the place of the block, and the block's order. */
const WIDTH = 4;
const COUNT = 1;
const REF = 2;
const ORDER = 3;
const LEAST = 16;
/** A list above this remembers where each posting stands, so that leaving does not search. */
const LONG = 512;

/**
 * Postings (integers from 0 on) by key: an open-addressed hash table whose slots lie in one array, four to a cache line. A key with one posting
 * has it in its slot; the lists of others lie in a pool. What an event finds costs the slot, the key and the list, however many keys there are.
 *
 * Hashes come from key-hash.ts; keys are compared, so a hash decides nothing. A posting that stands twice under a key may be found twice.
 */
export class KeyTable<K extends Comparable> {
  readonly #pool: PostingPool;
  #slots = new Int32Array(LEAST * WIDTH);
  #keys: (K | undefined)[] = Array.from({ length: LEAST }, () => undefined);
  #mask = LEAST - 1;
  /** Positions within long lists. */
  #long: Map<K, Map<number, number>> | null = null;
  size = 0;

  constructor(pool: PostingPool) {
    this.#pool = pool;
  }

  /** The slot of the key, or -1. Valid until the next change. */
  slotOf(hash: number, key: K): number {
    const slots = this.#slots;
    for (let slot = hash & this.#mask; slots[slot * WIDTH + COUNT] !== 0; slot = (slot + 1) & this.#mask) {
      if (slots[slot * WIDTH] === hash && this.#keys[slot] === key) return slot;
    }
    return -1;
  }

  /** The slot of the key that `text` starts with, among keys of one length whose hash is given; -1 where there is none. */
  slotOfStart(hash: number, text: string): number {
    const slots = this.#slots;
    for (let slot = hash & this.#mask; slots[slot * WIDTH + COUNT] !== 0; slot = (slot + 1) & this.#mask) {
      if (slots[slot * WIDTH] === hash && text.startsWith(this.#keys[slot] as string)) return slot;
    }
    return -1;
  }

  count(slot: number): number {
    return slot < 0 ? 0 : this.#slots[slot * WIDTH + COUNT]!;
  }

  /** `visit` must not change the table or the pool. */
  each(slot: number, visit: (posting: number) => void): void {
    if (slot < 0) return;
    const count = this.#slots[slot * WIDTH + COUNT]!;
    const ref = this.#slots[slot * WIDTH + REF]!;
    if (count === 1) return visit(ref);
    const { cells } = this.#pool;
    for (let at = ref; at < ref + count; at += 1) visit(cells[at]!);
  }

  eachHash(visit: (hash: number) => void): void {
    for (let slot = 0; slot <= this.#mask; slot += 1) if (this.#slots[slot * WIDTH + COUNT] !== 0) visit(this.#slots[slot * WIDTH]!);
  }

  add(hash: number, key: K, posting: number): void {
    const slot = this.slotOf(hash, key);
    if (slot < 0) return this.#insert(hash, key, posting);
    const base = slot * WIDTH;
    const count = this.#slots[base + COUNT]!;
    const positions = count > LONG ? this.#positionsOf(slot) : null;
    if (positions?.has(posting)) return;
    if (count === 1) this.#spread(base);
    else if (count === 1 << this.#slots[base + ORDER]!) this.#enlarge(base);
    this.#pool.cells[this.#slots[base + REF]! + count] = posting;
    positions?.set(posting, count);
    this.#slots[base + COUNT] = count + 1;
  }

  /** Removes one occurrence; an emptied key goes with it. */
  remove(hash: number, key: K, posting: number): void {
    const slot = this.slotOf(hash, key);
    if (slot < 0) return;
    const base = slot * WIDTH;
    const count = this.#slots[base + COUNT]!;
    if (count === 1) {
      if (this.#slots[base + REF] === posting) this.#vacate(slot);
      return;
    }
    const at = this.#placeOf(slot, posting);
    if (at < 0) return;
    const { cells } = this.#pool;
    const ref = this.#slots[base + REF]!;
    const last = cells[ref + count - 1]!;
    cells[ref + at] = last;
    this.#slots[base + COUNT] = count - 1;
    const positions = this.#long?.get(key);
    if (positions) {
      positions.delete(posting);
      if (last !== posting) positions.set(last, at);
      if (count - 1 <= LONG) this.#long?.delete(key);
    }
    if (count === 2) this.#gather(base);
  }

  #insert(hash: number, key: K, posting: number): void {
    if ((this.size + 1) * 2 > this.#mask + 1) this.#resize((this.#mask + 1) * 2);
    const slot = this.#freeSlot(hash);
    this.#slots.set([hash, 1, posting, 0], slot * WIDTH);
    this.#keys[slot] = key;
    this.size += 1;
  }

  #freeSlot(hash: number): number {
    let slot = hash & this.#mask;
    while (this.#slots[slot * WIDTH + COUNT] !== 0) slot = (slot + 1) & this.#mask;
    return slot;
  }

  /** From the slot to a block of two. */
  #spread(base: number): void {
    const at = this.#pool.allocate(1);
    this.#pool.cells[at] = this.#slots[base + REF]!;
    this.#slots[base + REF] = at;
    this.#slots[base + ORDER] = 1;
  }

  #enlarge(base: number): void {
    const order = this.#slots[base + ORDER]!;
    const from = this.#slots[base + REF]!;
    const to = this.#pool.allocate(order + 1);
    this.#pool.cells.copyWithin(to, from, from + (1 << order));
    this.#pool.release(from, order);
    this.#slots[base + REF] = to;
    this.#slots[base + ORDER] = order + 1;
  }

  /** The one that is left goes back to the slot. */
  #gather(base: number): void {
    const at = this.#slots[base + REF]!;
    const only = this.#pool.cells[at]!;
    this.#pool.release(at, this.#slots[base + ORDER]!);
    this.#slots[base + REF] = only;
    this.#slots[base + ORDER] = 0;
  }

  #placeOf(slot: number, posting: number): number {
    const count = this.#slots[slot * WIDTH + COUNT]!;
    if (count > LONG) return this.#positionsOf(slot).get(posting) ?? -1;
    const ref = this.#slots[slot * WIDTH + REF]!;
    const at = this.#pool.cells.subarray(ref, ref + count).indexOf(posting);
    return at;
  }

  /** Made when a list is long and somebody joins or leaves. */
  #positionsOf(slot: number): Map<number, number> {
    const key = this.#keys[slot] as K;
    this.#long ??= new Map();
    let positions = this.#long.get(key);
    if (positions) return positions;
    positions = new Map();
    const ref = this.#slots[slot * WIDTH + REF]!;
    const count = this.#slots[slot * WIDTH + COUNT]!;
    for (let at = 0; at < count; at += 1) positions.set(this.#pool.cells[ref + at]!, at);
    this.#long.set(key, positions);
    return positions;
  }

  /** Empties a slot; those after it that stand further from their place than they must move up, so that no search ends too early. */
  #vacate(slot: number): void {
    let hole = slot;
    for (let next = (hole + 1) & this.#mask; this.#slots[next * WIDTH + COUNT] !== 0; next = (next + 1) & this.#mask) {
      const home = this.#slots[next * WIDTH]! & this.#mask;
      if (((next - home) & this.#mask) < ((next - hole) & this.#mask)) continue;
      this.#slots.copyWithin(hole * WIDTH, next * WIDTH, (next + 1) * WIDTH);
      this.#keys[hole] = this.#keys[next];
      hole = next;
    }
    this.#slots.fill(0, hole * WIDTH, (hole + 1) * WIDTH);
    this.#keys[hole] = undefined;
    this.size -= 1;
    if (this.#mask + 1 > LEAST && this.size * 8 < this.#mask + 1) this.#resize((this.#mask + 1) / 2);
  }

  #resize(capacity: number): void {
    const slots = this.#slots;
    const keys = this.#keys;
    this.#slots = new Int32Array(capacity * WIDTH);
    this.#keys = Array.from({ length: capacity }, () => undefined);
    this.#mask = capacity - 1;
    for (let slot = 0; slot < keys.length; slot += 1) {
      if (slots[slot * WIDTH + COUNT] === 0) continue;
      const to = this.#freeSlot(slots[slot * WIDTH]!);
      this.#slots.set(slots.subarray(slot * WIDTH, (slot + 1) * WIDTH), to * WIDTH);
      this.#keys[to] = keys[slot];
    }
  }
}
