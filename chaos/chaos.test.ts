import { describe, expect, test } from 'vitest';
import { available } from '../tools/services/shared.ts';
import { canMount } from './faults/disk-full.ts';
import { faults } from './faults/index.ts';
import { SHORT } from './lib/run.ts';

/** A short run of every fault with a seed of its own. A failure prints the seed; `npm run chaos -- NAME --seed N` repeats it. */
describe.each(faults.map((fault, index) => ({ fault, name: fault.name, seed: 100 + index })))('$name', ({ fault, seed }) => {
  const here =
    (fault.needs as readonly Parameters<typeof available>[0][]).every((need) => available(need)) &&
    (fault.name !== 'disk-full' || canMount);
  test.skipIf(!here)(
    `every event once or an explicit gap (seed ${seed})`,
    async () => {
      const report = await fault.run({ ...SHORT, seed });
      expect(report.faults, `seed ${seed}: ${JSON.stringify(report)}`).toEqual([]);
      expect(report.recoveryMs).not.toContain(null);
      expect(report.published).toBeGreaterThanOrEqual(SHORT.events);
    },
    SHORT.deadlineMs + 30_000,
  );
});
