import type { FigureResult } from './results.ts';
import type { Target } from './row.ts';

/** `uncertain`: the limit lies among what the runs measured, so that another five runs may well say the opposite. */
export type Verdict = 'met' | 'missed' | 'uncertain';

type Limits = Pick<Target, 'atLeast' | 'atMost'>;

export type Judgement = {
  /** Ratio of medians, or the median itself. */
  readonly value: number;
  /** The least and the most that any run, or any turn of both subjects, gave. */
  readonly low: number;
  readonly high: number;
  readonly verdict: Verdict;
};

/**
 * The median decides, unless the limit lies strictly between the extremes of the runs: the true median of five independent runs lies between
 * their extremes with a probability of 1 - 2 × (1/2)^5 = 94 %, whatever their distribution. Runs of two subjects take turns, so the extremes
 * of a ratio are those of the turns: what slowed down both in one turn does not count as noise. One run alone tells nothing about noise.
 */
export function judge(own: FigureResult, other: FigureResult | null, target: Limits): Judgement {
  const value = own.median / (other?.median ?? 1);
  const [low, high] = extremes(own.runs, other?.runs ?? null);
  const limit = limitOf(target);
  const certain = own.runs.length > 1 && !(low < limit && limit < high);
  const met = target.atLeast === undefined ? value <= limit : value >= limit;
  return { value, low, high, verdict: certain ? (met ? 'met' : 'missed') : 'uncertain' };
}

export function limitOf({ atLeast, atMost }: Limits): number {
  return atLeast ?? atMost ?? Number.NaN;
}

function extremes(own: readonly number[], other: readonly number[] | null): readonly [number, number] {
  if (other === null) return [Math.min(...own), Math.max(...own)];
  // A subject that failed half-way has fewer turns than the other.
  if (own.length !== other.length) return [Math.min(...own) / Math.max(...other), Math.max(...own) / Math.min(...other)];
  const turns = own.map((value, turn) => value / other[turn]!);
  return [Math.min(...turns), Math.max(...turns)];
}
