import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SettlementWindow } from './settlement-window.ts';

/** The same, said plainly. */
class Naive {
  top: number;
  readonly out = new Set<number>();
  constructor(committed: number) {
    this.top = committed;
  }
  get committed(): number {
    return this.out.size === 0 ? this.top : Math.min(...this.out) - 1;
  }
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('take' as const), gap: fc.constantFrom(1, 1, 1, 2, 700) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('settle' as const), index: fc.nat(50) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), index: fc.nat() }) },
);

describe('SettlementWindow', () => {
  it('agrees with a set of outstanding positions, over restarts too', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.array(step, { maxLength: 120 }), (start, steps) => {
        let window = new SettlementWindow(start, 1_000_000);
        const naive = new Naive(start);
        for (const s of steps) {
          if (s.kind === 'take') {
            const position = naive.top + s.gap;
            window.skipTo(position - 1);
            window.take(position);
            naive.top = position;
            naive.out.add(position);
          } else if (s.kind === 'settle') {
            const position = [...naive.out][s.index % Math.max(1, naive.out.size)] ?? naive.top + 1;
            expect(window.settle(position)).toBe(naive.out.delete(position));
            expect(window.settle(position)).toBe(false);
          } else {
            const [taken, outstanding, committed] = [window.top, window.outstanding(), window.committed];
            window = new SettlementWindow(committed, 1_000_000);
            window.restore(taken, outstanding);
          }
          expect(window.outstanding()).toEqual([...naive.out]);
          expect(window.top).toBe(naive.top);
          expect(window.committed).toBe(naive.committed);
          expect(window.room).toBe(1_000_000 - (naive.top - naive.committed));
        }
      }),
      { numRuns: 300 },
    );
  });
});
