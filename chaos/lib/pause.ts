import { setTimeout as sleep } from 'node:timers/promises';
import { between, type Chance } from './chance.ts';

/** Ms from `low` to `high` that the seed chooses. */
export function pause(chance: Chance, low: number, high: number): Promise<void> {
  return sleep(between(chance, low, high));
}
