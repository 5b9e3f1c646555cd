import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Comparable } from './filter-values.ts';
import { hashKey } from './key-hash.ts';
import { KeyTable } from './key-table.ts';
import { PostingPool } from './posting-pool.ts';

const key: fc.Arbitrary<Comparable> = fc.oneof(
  fc.constantFrom('', 'a', 'b', 'constructor', '__proto__', '1', 'ä', '😀'),
  fc.integer({ min: -3, max: 40 }),
  fc.constantFrom(0.5, 1e300, true, false, null),
);

/** Few hashes, so that many keys meet and the slots after a hole have to move. */
const hashes = [hashKey, (one: Comparable): number => hashKey(one) & 3, (): number => -1] as const;

describe.each([
  { name: 'spread', hash: hashes[0] },
  { name: 'crowded', hash: hashes[1] },
  { name: 'all alike', hash: hashes[2] },
])('postings by key, hashes $name', ({ hash }) => {
  const step = fc.record({ key, posting: fc.nat(30), add: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.constant(false)) });

  it('are those that a map of lists has, while they come and go', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        // Two tables of one pool: neither may write into the other's lists.
        const pool = new PostingPool();
        const tables = [new KeyTable<Comparable>(pool), new KeyTable<Comparable>(pool)];
        const models = [new Map<Comparable, number[]>(), new Map<Comparable, number[]>()];
        for (const [nth, one] of steps.entries()) {
          const [table, model] = [tables[nth % 2]!, models[nth % 2]!];
          const list = model.get(one.key) ?? [];
          if (one.add) {
            table.add(hash(one.key), one.key, one.posting);
            model.set(one.key, [...list, one.posting]);
          } else {
            table.remove(hash(one.key), one.key, one.posting);
            const at = list.indexOf(one.posting);
            if (at >= 0) model.set(one.key, list.toSpliced(at, 1));
            if (model.get(one.key)?.length === 0) model.delete(one.key);
          }
        }
        for (const [nth, table] of tables.entries()) {
          expect(table.size).toBe(models[nth]!.size);
          for (const [wanted, list] of models[nth]!) {
            const found: number[] = [];
            const slot = table.slotOf(hash(wanted), wanted);
            table.each(slot, (posting) => void found.push(posting));
            expect(found.toSorted((a, b) => a - b)).toEqual(list.toSorted((a, b) => a - b));
            expect(table.count(slot)).toBe(list.length);
          }
          expect(table.slotOf(hash('absent'), 'absent')).toBe(-1);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('many postings', () => {
  it('leave a long list in any order, and the list of the others stays whole', () => {
    const table = new KeyTable<string>(new PostingPool());
    const present = new Set<number>();
    for (let posting = 0; posting < 3_000; posting += 1) {
      table.add(7, 'long', posting);
      present.add(posting);
    }
    for (let nth = 0; nth < 3_000; nth += 1) {
      const posting = (nth * 1_009) % 3_000;
      table.remove(7, 'long', posting);
      present.delete(posting);
      if (nth % 250 !== 0 && present.size > 4) continue;
      const found = new Set<number>();
      table.each(table.slotOf(7, 'long'), (one) => void found.add(one));
      expect(found).toEqual(present);
      expect(table.count(table.slotOf(7, 'long'))).toBe(present.size);
    }
    expect(table.size).toBe(0);
  });

  it('give their room back: what has gone makes place for what comes', () => {
    const pool = new PostingPool();
    const table = new KeyTable<number>(pool);
    const fill = (): void => {
      for (let nth = 0; nth < 2_000; nth += 1) for (let posting = 0; posting < 5; posting += 1) table.add(hashKey(nth), nth, posting);
    };
    fill();
    const room = pool.cells.length;
    for (let round = 0; round < 5; round += 1) {
      for (let nth = 0; nth < 2_000; nth += 1) for (let posting = 0; posting < 5; posting += 1) table.remove(hashKey(nth), nth, posting);
      expect(table.size).toBe(0);
      fill();
    }
    expect(pool.cells.length).toBe(room);
  });
});
