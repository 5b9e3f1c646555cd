import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { NOTHING_YET, readmeSection, readReadme, replaceSection, sectionOf } from './readme.ts';
import { newest, type Results, type RowResult } from './results.ts';

const figure = (median: number) => ({ median, spread: 0.1, runs: [median, median, median, median, median] });

const ROW: RowResult = {
  name: 'fan-out',
  title: 'Fan-out',
  work: 'Some.',
  runs: 5,
  figures: { rate: { label: 'deliveries', unit: '/s', better: 'more' }, cpu: { label: 'CPU', unit: 'µs', better: 'less' } },
  subjects: {
    'millrace, 1 group': { rate: figure(2_000), cpu: figure(7) },
    'millrace, 100 groups': { rate: figure(1_500), cpu: figure(8) },
    'graphql-ws': { rate: figure(500) },
  },
  targets: [
    { text: '≥ 4 ×', subject: 'millrace', limit: 4, value: 4, low: 4, high: 4.2, verdict: 'met' },
    { text: '≤ 6 µs', subject: 'millrace', limit: 6, value: 7, low: 6.5, high: 7, verdict: 'missed' },
    { text: '≤ 8 KB', subject: 'millrace', limit: 8, value: 7.9, low: 7.5, high: 8.5, verdict: 'uncertain' },
  ],
  headline: ['rate', 'cpu'],
  seconds: 40,
};

const RESULTS: Results = {
  date: '2026-01-02T03:04:05.000Z',
  commit: 'abcdef1234',
  dirty: false,
  machine: { cpu: 'CPU', cores: 2, memoryGiB: 8, system: 'linux', node: 'v26', loadBefore: 0, pinned: true },
  quick: false,
  complete: true,
  seconds: 600,
  rows: [ROW],
};

describe('README.md', () => {
  it('shows the newest results of all rows; `npm run bench -- --readme` writes them', () => {
    const results = newest(fileURLToPath(new URL('../results/', import.meta.url)));
    expect(sectionOf(readReadme())).toBe(results === null ? NOTHING_YET : readmeSection(results));
  });

  it('gets date, machine and a line for each headline figure, Millrace apart from the others', () => {
    const section = readmeSection(RESULTS);
    expect(section).toContain('2026-01-02, commit abcdef1234, CPU, 2 cores, 8 GiB');
    expect(section).toContain('| Fan-out | deliveries /s | 1 group **2,000**<br>100 groups **1,500** | graphql-ws 500 |');
    expect(section).toContain('|  | CPU µs | 1 group **7.00**<br>100 groups **8.00** |  |');
  });

  it('counts the targets that are met, and names every other', () => {
    const section = readmeSection(RESULTS);
    expect(section).toContain('1 of 3 targets are met.');
    expect(section).toContain('Missed:\n\n- Fan-out: ≤ 6 µs; measured 7.00\n');
    expect(section).toMatch(/Uncertain.*\n\n- Fan-out: ≤ 8 KB; measured 7\.90\n/);
  });

  it('says of a row that failed that it did', () => {
    expect(readmeSection({ ...RESULTS, rows: [{ ...ROW, error: 'no' }, ROW] })).toContain('| Fan-out | | failed | |');
  });

  it('keeps everything around its section, and refuses where the section is gone', () => {
    const readme = readReadme();
    const changed = replaceSection(readme, 'else\n');
    expect(sectionOf(changed)).toBe('else\n');
    expect(replaceSection(changed, sectionOf(readme))).toBe(readme);
    expect(() => replaceSection('# Another', 'else\n')).toThrow(/README.md has no section/);
  });
});
