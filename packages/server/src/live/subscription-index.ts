import type { LiveEvent } from '../events/live-event.ts';
import type { AccessPath } from './access-paths.ts';
import { TRUE } from './filter.ts';
import { type Comparable, type FieldLayout, Row } from './filter-values.ts';
import { hashKey, hashText } from './key-hash.ts';
import { KeyTable } from './key-table.ts';
import { ACTION_BITS, type Matcher } from './matcher.ts';
import { PostingPool } from './posting-pool.ts';
import { RangeIndex } from './range-index.ts';
import { ContainsIndex, PrefixIndex } from './text-index.ts';

/** What the index holds. `slot` belongs to the index it is in: its number there. */
export interface Indexed {
  readonly matcher: Matcher;
  slot: number;
}

/**
 * A posting is the entry's number with, below it, all that most entries have to say: which actions they want, and whether something is left to test.
 * An entry that an event finds and that has nothing left is told without having been looked at.
 */
const ACTIONS = 7;
const RESIDUAL = 8;
/** It stands in several places and may be found in each of them. */
const REPEATED = 16;
const SHIFT = 5;

/**
 * The groups of one channel and one generation. Looking up an event costs the groups that it finds, not those that exist; nothing is
 * allocated. A channel has one tenant, so nothing here can find a group of another.
 */
export class SubscriptionIndex<T extends Indexed> {
  readonly #pool = new PostingPool();
  readonly #byId = new KeyTable<string>(this.#pool);
  readonly #fields: (FieldIndex | undefined)[];
  readonly #scan = new Set<T>();
  readonly #row: Row;
  readonly #entries: (T | undefined)[] = [];
  readonly #free: number[] = [];
  /** By entry: the event at which one that is REPEATED was found last. */
  #stamps = new Int32Array(64);
  #serial = 0;
  #action = 0;
  #visit: ((entry: T) => void) | null = null;
  readonly #check: (posting: number) => void;
  size = 0;

  constructor(layout: FieldLayout) {
    this.#fields = layout.fields.map(() => undefined);
    this.#row = new Row(layout);
    // One closure for the life of the index: a closure per event would be garbage per event.
    this.#check = (posting) => {
      if ((posting & this.#action) === 0) return;
      const slot = posting >>> SHIFT;
      if ((posting & REPEATED) !== 0) {
        if (this.#stamps[slot] === this.#serial) return;
        this.#stamps[slot] = this.#serial;
      }
      const entry = this.#entries[slot] as T;
      if ((posting & RESIDUAL) !== 0 && entry.matcher.residual?.(this.#row) !== TRUE) return;
      this.#visit?.(entry);
    };
  }

  /** The row last loaded by `match`, or by `load`. */
  load(event: LiveEvent): Row {
    this.#row.load(event);
    return this.#row;
  }

  add(entry: T): void {
    this.size += 1;
    entry.slot = this.#free.pop() ?? this.#entries.length;
    this.#entries[entry.slot] = entry;
    const posting = postingOf(entry);
    if ((posting & REPEATED) !== 0) this.#makeStamp(entry.slot);
    for (const path of entry.matcher.paths) this.#register(path, entry, posting);
  }

  remove(entry: T): void {
    this.size -= 1;
    const posting = postingOf(entry);
    for (const path of entry.matcher.paths) this.#unregister(path, entry, posting);
    this.#entries[entry.slot] = undefined;
    this.#free.push(entry.slot);
  }

  /** Calls `visit` once for each entry that matches. `visit` must not call `match`, `add` or `remove` of this index. */
  match(event: LiveEvent, visit: (entry: T) => void): void {
    this.#nextSerial();
    this.#action = ACTION_BITS[event.action];
    this.#row.load(event);
    this.#visit = visit;
    const check = this.#check;
    if (event.key !== null && this.#byId.size > 0) this.#byId.each(this.#byId.slotOf(hashText(event.key), event.key), check);
    for (let field = 0; field < this.#fields.length; field += 1) {
      const index = this.#fields[field];
      if (index !== undefined) index.find(this.#row.get(field), check);
    }
    for (const entry of this.#scan) {
      const { actions, residual } = entry.matcher;
      if ((actions & this.#action) !== 0 && (residual === null || residual(this.#row) === TRUE)) visit(entry);
    }
    this.#visit = null;
  }

  #register(path: AccessPath, entry: T, posting: number): void {
    if (path.kind === 'scan') this.#scan.add(entry);
    else if (path.kind === 'ids') for (const id of path.ids) this.#byId.add(hashText(id), id, posting);
    else (this.#fields[path.field] ??= new FieldIndex(this.#pool)).add(path, posting);
  }

  #unregister(path: AccessPath, entry: T, posting: number): void {
    if (path.kind === 'scan') this.#scan.delete(entry);
    else if (path.kind === 'ids') for (const id of path.ids) this.#byId.remove(hashText(id), id, posting);
    else this.#fields[path.field]?.remove(path, posting);
  }

  #makeStamp(slot: number): void {
    if (slot >= this.#stamps.length) {
      const grown = new Int32Array(Math.max(slot + 1, this.#stamps.length * 2));
      grown.set(this.#stamps);
      this.#stamps = grown;
    }
    this.#stamps[slot] = 0;
  }

  #nextSerial(): void {
    this.#serial = (this.#serial + 1) | 0;
    // After 2^32 events: what was stamped then must not look as if it had been found now.
    if (this.#serial === 0) this.#stamps.fill(0);
    if (this.#serial === 0) this.#serial = 1;
  }
}

/** The same whenever it is asked, so that what was registered is found again to be taken out. */
function postingOf({ slot, matcher }: Indexed): number {
  const { paths, residual, actions } = matcher;
  return (slot << SHIFT) | (actions & ACTIONS) | (residual === null ? 0 : RESIDUAL) | (mayRepeat(paths) ? REPEATED : 0);
}

function mayRepeat(paths: readonly AccessPath[]): boolean {
  // The ids of a matcher and the values of an equality are different ones, and an event has one of them.
  return paths.length > 1 || paths[0]?.kind === 'contains';
}

type FieldPath = Exclude<AccessPath, { kind: 'scan' | 'ids' }>;

/** All that can be looked up by the value of one field. */
class FieldIndex {
  readonly #equal: KeyTable<Comparable>;
  readonly #ranges = new RangeIndex();
  readonly #prefixes: PrefixIndex;
  readonly #contains: ContainsIndex;

  constructor(pool: PostingPool) {
    this.#equal = new KeyTable(pool);
    this.#prefixes = new PrefixIndex(pool);
    this.#contains = new ContainsIndex(pool);
  }

  add(path: FieldPath, posting: number): void {
    if (path.kind === 'equal') for (const value of path.values) this.#equal.add(hashKey(value), value, posting);
    else if (path.kind === 'range') this.#ranges.add(path.range, posting);
    else if (path.kind === 'prefix') this.#prefixes.add(path.text, posting);
    else this.#contains.add(path.text, posting);
  }

  remove(path: FieldPath, posting: number): void {
    if (path.kind === 'equal') for (const value of path.values) this.#equal.remove(hashKey(value), value, posting);
    else if (path.kind === 'range') this.#ranges.remove(path.range, posting);
    else if (path.kind === 'prefix') this.#prefixes.remove(path.text, posting);
    else this.#contains.remove(path.text, posting);
  }

  find(value: ReturnType<Row['get']>, visit: (posting: number) => void): void {
    // A missing field matches nothing. A list takes `contains` and `isNull`, neither of which has a path that could find it.
    if (value === undefined || (typeof value === 'object' && value !== null)) return;
    if (this.#equal.size > 0) this.#equal.each(this.#equal.slotOf(hashKey(value), value), visit);
    if (typeof value === 'number') this.#ranges.stab(value, visit);
    else if (typeof value === 'string') {
      this.#prefixes.find(value, visit);
      this.#contains.find(value, visit);
    }
  }
}
