import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FigureResult } from './results.ts';
import { median, spread } from './statistics.ts';
import { judge } from './verdict.ts';

const figure = (...runs: readonly number[]): FigureResult => ({ median: median(runs), spread: spread(runs), runs });

describe('a verdict', () => {
  it('is that of the median where all runs agree', () => {
    expect(judge(figure(5, 6, 7, 6, 5), null, { atMost: 10 })).toEqual({ value: 6, low: 5, high: 7, verdict: 'met' });
    expect(judge(figure(5, 6, 7, 6, 5), null, { atMost: 4 }).verdict).toBe('missed');
    expect(judge(figure(5, 6, 7, 6, 5), null, { atLeast: 5 }).verdict).toBe('met');
    expect(judge(figure(5, 6, 7, 6, 5), null, { atLeast: 7 }).verdict).toBe('missed');
  });

  it('is uncertain where the runs lie on both sides of the limit, whichever side the median is on', () => {
    expect(judge(figure(5, 6, 7, 6, 12), null, { atMost: 10 }).verdict).toBe('uncertain');
    expect(judge(figure(5, 11, 11, 11, 11), null, { atMost: 10 }).verdict).toBe('uncertain');
  });

  it('is not moved by noise away from the limit', () => {
    expect(judge(figure(10, 11, 90, 10, 11), null, { atLeast: 9 }).verdict).toBe('met');
  });

  it('is the median’s where the limit is a value of the runs, such as a count', () => {
    expect(judge(figure(1, 1, 1, 1, 1), null, { atMost: 1 }).verdict).toBe('met');
    expect(judge(figure(1, 1, 1, 1, 2), null, { atMost: 1 }).verdict).toBe('met');
    expect(judge(figure(1, 2, 2, 2, 2), null, { atMost: 1 }).verdict).toBe('missed');
  });

  it('is uncertain after a single run, which tells nothing about noise', () => {
    expect(judge(figure(1), null, { atMost: 10 }).verdict).toBe('uncertain');
  });

  it('on a ratio takes the ratio of the medians, and as noise what differs within a turn', () => {
    // A machine that gets twice as fast from run to run changes no ratio.
    const own = figure(100, 200, 400, 800, 1_600);
    const other = figure(50, 100, 200, 400, 800);
    expect(judge(own, other, { atLeast: 1.9 })).toEqual({ value: 2, low: 2, high: 2, verdict: 'met' });
    expect(judge(figure(100, 100, 100, 100, 100), figure(50, 50, 50, 20, 50), { atLeast: 3 }).verdict).toBe('uncertain');
  });

  it('on a ratio of subjects with unequal runs takes the widest that they allow', () => {
    expect(judge(figure(10, 20), figure(1, 2, 4), { atLeast: 5 })).toEqual({ value: 7.5, low: 2.5, high: 20, verdict: 'uncertain' });
  });

  it('is uncertain exactly where one run is below the limit and another above', () => {
    const runs = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 9 });
    fc.assert(
      fc.property(runs, fc.integer({ min: 1, max: 100 }), (values, limit) => {
        const { verdict } = judge(figure(...values), null, { atMost: limit });
        const divided = values.some((value) => value < limit) && values.some((value) => value > limit);
        if (divided) expect(verdict).toBe('uncertain');
        else expect(verdict).toBe(median(values) <= limit ? 'met' : 'missed');
      }),
    );
  });
});
