import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';
import { seededRandom } from './random.ts';

describe('backoff', () => {
  test('doubles up to its bound, half of it random', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -5, max: 10_000 }),
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1_000, max: 60_000 }),
        fc.integer(),
        (attempt, baseMs, maxMs, seed) => {
          const ms = backoffMs(attempt, { baseMs, maxMs }, seededRandom(seed));
          const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(30, Math.max(0, attempt - 1)));
          expect(ms).toBeGreaterThanOrEqual(Math.floor(ceiling / 2));
          expect(ms).toBeLessThanOrEqual(Math.ceil(ceiling));
        },
      ),
    );
  });
});
