import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NumericRange } from './access-paths.ts';
import { RangeIndex } from './range-index.ts';

const finite = fc.oneof(
  fc.integer({ min: -20, max: 20 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, 1e-300, -1e-300, 1e300, Number.MAX_VALUE, -Number.MAX_VALUE),
);
const range: fc.Arbitrary<NumericRange> = fc
  .record({
    low: fc.oneof(finite, fc.constant(-Infinity)),
    high: fc.oneof(finite, fc.constant(Infinity)),
    lowOpen: fc.boolean(),
    highOpen: fc.boolean(),
  })
  .map((one) =>
    one.low > one.high && Number.isFinite(one.low) && Number.isFinite(one.high) ? { ...one, low: one.high, high: one.low } : one,
  );

function holds({ low, high, lowOpen, highOpen }: NumericRange, value: number): boolean {
  return (lowOpen ? value > low : value >= low) && (highOpen ? value < high : value <= high);
}

function stabbed(index: RangeIndex, value: number): Set<number> {
  const out = new Set<number>();
  index.stab(value, (item) => out.add(item));
  return out;
}

describe('the index of intervals', () => {
  it('visits exactly the intervals that hold the value, while intervals come and go', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(range, fc.boolean()), { maxLength: 60 }),
        fc.array(finite, { minLength: 1, maxLength: 10 }),
        (ranges, values) => {
          const index = new RangeIndex();
          for (const [at, [one]] of ranges.entries()) index.add(one, at);
          const check = (present: (at: number) => boolean): void => {
            // Ends of intervals are where mistakes sit.
            for (const value of [...values, ...ranges.flatMap(([one]) => [one.low, one.high]).filter(Number.isFinite)]) {
              const found = stabbed(index, value);
              for (const [at, [one]] of ranges.entries()) {
                expect(found.has(at)).toBe(present(at) && holds(one, value));
              }
            }
          };
          check(() => true);
          for (const [at, [one, leaves]] of ranges.entries()) if (leaves) index.remove(one, at);
          check((at) => ranges[at]?.[1] === false);
          for (const [at, [one, leaves]] of ranges.entries()) if (!leaves) index.remove(one, at);
          expect(index.size).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('visits no other among many, whatever their widths', () => {
    const index = new RangeIndex();
    const ranges: NumericRange[] = Array.from({ length: 20_000 }, (_, at) => ({
      low: at,
      high: at + (at % 100) * (at % 7 === 0 ? 10 : 0.01),
      lowOpen: false,
      highOpen: false,
    }));
    for (const [at, one] of ranges.entries()) index.add(one, at);
    for (const value of [5, 777.5, 12_345.005, 19_999]) {
      const matching = ranges.filter((one) => holds(one, value)).length;
      let visited = 0;
      index.stab(value, () => (visited += 1));
      expect(visited).toBe(matching);
    }
  });
});
