import type { LiveEvent } from '../events/live-event.ts';
import type { AccessPath } from './access-paths.ts';
import { addToBucket, type Bucket, removeFromBucket } from './bucket.ts';
import { TRUE } from './filter.ts';
import { type Comparable, type FieldLayout, Row } from './filter-values.ts';
import { ACTION_BITS, type Matcher } from './matcher.ts';
import { RangeIndex } from './range-index.ts';
import { ContainsIndex, PrefixIndex } from './text-index.ts';

/** What the index holds. `stamp` belongs to the index: an entry found on two paths is visited once. */
export interface Indexed {
  readonly matcher: Matcher;
  stamp: number;
}

/**
 * The groups of one channel and one generation. Looking up an event costs the groups that it finds, not those that exist; nothing is
 * allocated. A channel has one tenant, so nothing here can find a group of another.
 */
export class SubscriptionIndex<T extends Indexed> {
  readonly #byId = new Map<string, Bucket<T>>();
  readonly #fields: (FieldIndex<T> | undefined)[];
  readonly #scan = new Set<T>();
  readonly #row: Row;
  readonly #check: (entry: T) => void;
  #serial = 0;
  #action = 0;
  #visit: ((entry: T) => void) | null = null;
  size = 0;

  constructor(layout: FieldLayout) {
    this.#fields = layout.fields.map(() => undefined);
    this.#row = new Row(layout);
    // One closure for the life of the index: a closure per event would be garbage per event.
    this.#check = (entry) => {
      if (entry.stamp === this.#serial) return;
      entry.stamp = this.#serial;
      const { matcher } = entry;
      if ((matcher.actions & this.#action) === 0) return;
      if (matcher.residual !== null && matcher.residual(this.#row) !== TRUE) return;
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
    for (const path of entry.matcher.paths) this.#register(path, entry);
  }

  remove(entry: T): void {
    this.size -= 1;
    for (const path of entry.matcher.paths) this.#unregister(path, entry);
  }

  /** Calls `visit` once for each entry that matches. `visit` must not call `match`, `add` or `remove` of this index. */
  match(event: LiveEvent, visit: (entry: T) => void): void {
    this.#serial += 1;
    this.#action = ACTION_BITS[event.action];
    this.#row.load(event);
    this.#visit = visit;
    const check = this.#check;
    if (event.key !== null) this.#byId.get(event.key)?.forEach(check);
    for (let field = 0; field < this.#fields.length; field += 1) {
      const index = this.#fields[field];
      if (index !== undefined) index.find(this.#row.get(field), check);
    }
    this.#scan.forEach(check);
    this.#visit = null;
  }

  #register(path: AccessPath, entry: T): void {
    if (path.kind === 'scan') this.#scan.add(entry);
    else if (path.kind === 'ids') for (const id of path.ids) addToBucket(this.#byId, id, entry);
    else (this.#fields[path.field] ??= new FieldIndex()).add(path, entry);
  }

  #unregister(path: AccessPath, entry: T): void {
    if (path.kind === 'scan') this.#scan.delete(entry);
    else if (path.kind === 'ids') for (const id of path.ids) removeFromBucket(this.#byId, id, entry);
    else this.#fields[path.field]?.remove(path, entry);
  }
}

type FieldPath = Exclude<AccessPath, { kind: 'scan' | 'ids' }>;

/** All that can be looked up by the value of one field. */
class FieldIndex<T> {
  readonly #equal = new Map<Comparable, Bucket<T>>();
  readonly #ranges = new RangeIndex<T>();
  readonly #prefixes = new PrefixIndex<T>();
  readonly #contains = new ContainsIndex<T>();

  add(path: FieldPath, entry: T): void {
    if (path.kind === 'equal') for (const value of path.values) addToBucket(this.#equal, value, entry);
    else if (path.kind === 'range') this.#ranges.add(path.range, entry);
    else if (path.kind === 'prefix') this.#prefixes.add(path.text, entry);
    else this.#contains.add(path.text, entry);
  }

  remove(path: FieldPath, entry: T): void {
    if (path.kind === 'equal') for (const value of path.values) removeFromBucket(this.#equal, value, entry);
    else if (path.kind === 'range') this.#ranges.remove(path.range, entry);
    else if (path.kind === 'prefix') this.#prefixes.remove(path.text, entry);
    else this.#contains.remove(path.text, entry);
  }

  find(value: ReturnType<Row['get']>, visit: (entry: T) => void): void {
    // A missing field matches nothing. A list takes `contains` and `isNull`, neither of which has a path that could find it.
    if (value === undefined || (typeof value === 'object' && value !== null)) return;
    this.#equal.get(value)?.forEach(visit);
    if (typeof value === 'number') this.#ranges.stab(value, visit);
    else if (typeof value === 'string') {
      this.#prefixes.find(value, visit);
      this.#contains.find(value, visit);
    }
  }
}
