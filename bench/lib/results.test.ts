import { describe, expect, it } from 'vitest';
import { changes } from './compare.ts';
import { type RowResult, rowResult } from './results.ts';
import type { AnyRow, Target } from './row.ts';
import { median, percentile } from './statistics.ts';

function row(targets: readonly Target[]): AnyRow {
  return {
    name: 'fan-out',
    title: 'Fan-out',
    work: 'Some.',
    stage: { name: 'servers', subjects: ['millrace', 'peer'], open: () => Promise.reject(new Error('not opened here')) },
    figures: { rate: { label: 'deliveries', unit: '/s', better: 'more' }, cpu: { label: 'CPU', unit: 'µs', better: 'less' } },
    targets,
    measure: () => Promise.reject(new Error('not measured here')),
  };
}

const runs = (values: readonly number[]): { readonly rate: number }[] => values.map((rate) => ({ rate }));
const measured = (millrace: readonly number[], peer: readonly number[], targets: readonly Target[] = []): RowResult =>
  rowResult(
    row(targets),
    new Map([
      ['millrace', runs(millrace)],
      ['peer', runs(peer)],
    ]),
  );

describe('results', () => {
  it('are medians of the runs, and a figure that no run has is left out', () => {
    const { subjects, runs } = measured([300, 100, 200], [10, 20]);
    expect(subjects['millrace']).toEqual({ rate: { median: 200, spread: 1, runs: [300, 100, 200] } });
    expect(subjects['peer']?.['rate']?.median).toBe(15);
    expect(runs).toBe(3);
  });

  it('judge a ratio by the medians of both subjects, and a value by itself', () => {
    const ratio: Target = { text: '≥ 4 ×', figure: 'rate', subject: 'millrace', over: 'peer', atLeast: 4 };
    const value: Target = { text: '≤ 150', figure: 'rate', subject: 'millrace', over: null, atMost: 150 };
    expect(measured([200], [50], [ratio, value]).targets).toMatchObject([
      { value: 4, limit: 4, verdict: 'uncertain' },
      { value: 200, limit: 150, verdict: 'uncertain' },
    ]);
    expect(measured([200, 200], [50, 50], [ratio, value]).targets.map(({ verdict }) => verdict)).toEqual(['met', 'missed']);
    expect(measured([199, 199], [50, 50], [ratio]).targets[0]?.verdict).toBe('missed');
  });

  it('judge nothing where a subject was left out', () => {
    const ratio: Target = { text: '≥ 4 ×', figure: 'rate', subject: 'millrace', over: 'absent', atLeast: 4 };
    expect(measured([1], [1], [ratio]).targets).toEqual([]);
  });

  it('differ only where the runs of both sides do not overlap, and there are enough of them', () => {
    const side = (values: readonly number[]) => ({ rows: [measured(values, [1])], label: (subject: string) => subject });
    const change = (before: readonly number[], after: readonly number[]) => changes(side(before), side(after), () => ['millrace', 'peer']);
    expect(change([100, 101, 102, 101], [200, 201, 202, 201])).toMatchObject([{ verdict: 'better', before: 101, after: 201 }]);
    expect(change([200, 201, 202, 201], [100, 101, 102, 101])[0]?.verdict).toBe('worse');
    expect(change([50, 100, 150, 100], [110, 120, 130, 120])[0]?.verdict).toBe('the same');
    expect(change([100, 101, 102], [200, 201, 202])[0]?.verdict).toBe('too few runs');
  });

  it('of two commits in one table are told apart by what each side calls a subject', () => {
    const both = rowResult(
      row([]),
      new Map([
        ['millrace, 1 group before', runs([100, 100, 100, 100])],
        ['millrace, 1 group now', runs([150, 150, 150, 150])],
      ]),
    );
    const list = changes(
      { rows: [both], label: (subject) => `${subject} before` },
      { rows: [both], label: (subject) => `${subject} now` },
      () => ['millrace, 1 group', 'peer'],
    );
    expect(list).toMatchObject([{ row: 'fan-out, 1 group', before: 100, after: 150, verdict: 'better' }]);
  });

  it('rest on a median and percentiles that are values of the sample where they can be', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1])).toBe(2.5);
    expect(median([])).toBeNaN();
    const sorted = Float64Array.from({ length: 100 }, (_, index) => index + 1);
    expect([percentile(sorted, 0.5), percentile(sorted, 0.99), percentile(sorted, 1)]).toEqual([50, 99, 100]);
  });
});
