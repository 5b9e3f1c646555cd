import { expect, it } from 'vitest';
import { Turns } from './redis-turns.ts';

it('runs as many at a time as it may, in the order in which they came, whatever becomes of them', async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  let [running, most] = [0, 0];
  const work = (n: number) => async (): Promise<number> => {
    begun.push(n);
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => ends.push(resolve));
    running -= 1;
    if (n === 1) throw new Error('a fault');
    return n;
  };
  const all = Promise.allSettled([0, 1, 2, 3, 4].map((n) => turns.take(work(n))));
  for (let i = 0; i < 5; i++) {
    while (ends.length === 0) await Promise.resolve();
    ends.shift()!();
  }
  expect((await all).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
  expect([begun, most]).toEqual([[0, 1, 2, 3, 4], 2]);
});
