import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PostingPool } from './posting-pool.ts';
import { ContainsIndex, PrefixIndex } from './text-index.ts';

const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '😀', '_'), maxLength: 8 });
const needle = text.filter((one) => one !== '');

function found(index: PrefixIndex | ContainsIndex, value: string): Set<number> {
  const out = new Set<number>();
  index.find(value, (item) => out.add(item));
  return out;
}

describe.each([
  { name: 'prefixes', make: () => new PrefixIndex(new PostingPool()), holds: (value: string, one: string) => value.startsWith(one) },
  { name: 'needles', make: () => new ContainsIndex(new PostingPool()), holds: (value: string, one: string) => value.includes(one) },
])('the index of $name', ({ make, holds }) => {
  it('finds exactly those that the value has, while they come and go', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(needle, fc.boolean()), { maxLength: 40 }),
        fc.array(text, { minLength: 1, maxLength: 10 }),
        (needles, values) => {
          const index = make();
          for (const [at, [one]] of needles.entries()) index.add(one, at);
          const check = (present: (at: number) => boolean): void => {
            for (const value of values) {
              const actual = found(index, value);
              for (const [at, [one]] of needles.entries()) {
                expect(actual.has(at)).toBe(present(at) && holds(value, one));
              }
            }
          };
          check(() => true);
          for (const [at, [one, leaves]] of needles.entries()) if (leaves) index.remove(one, at);
          check((at) => needles[at]?.[1] === false);
        },
      ),
      { numRuns: 300 },
    );
  });
});
