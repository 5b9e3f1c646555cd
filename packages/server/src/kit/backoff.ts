import type { Random } from './random.ts';

export type BackoffOptions = {
  /** Ms before the first retry. */
  readonly baseMs: number;
  /** Ms that no pause exceeds. */
  readonly maxMs: number;
};

/**
 * Ms to wait after the `attempt`-th failure (from 1): doubles from `baseMs` up to `maxMs`, half of it random, so that those who
 * failed together do not come back together.
 */
export function backoffMs(attempt: number, { baseMs, maxMs }: BackoffOptions, random: Random): number {
  const exponent = Math.min(Math.max(attempt - 1, 0), 30);
  const ceiling = Math.min(maxMs, baseMs * 2 ** exponent);
  return Math.round(ceiling / 2 + random.next() * (ceiling / 2));
}
