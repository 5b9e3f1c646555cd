import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assemble, type Facts, newest, type Results, type RowResult, store, stored } from './results.ts';

const USUAL = ['a', 'b'];

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'millrace-results-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function row(name: string, runs = 5): RowResult {
  return { name, title: name, work: '', runs, figures: {}, subjects: {}, targets: [], headline: [], seconds: 1 };
}

function results(date: string, commit: string, ...rows: readonly RowResult[]): Results {
  const machine = { cpu: '', cores: 2, memoryGiB: 1, system: '', node: '', loadBefore: 0, pinned: true };
  const facts: Facts = { machine, revision: { commit, dirty: false }, began: new Date(date), quick: false, usual: USUAL };
  return assemble(rows, facts);
}

describe('kept results', () => {
  it('grow row by row, so that a run that is stopped leaves what was through', () => {
    store(folder, results('2026-01-01', 'abc', row('a')), USUAL);
    expect(newest(folder)).toBeNull();
    store(folder, results('2026-01-01', 'abc', row('a'), row('b')), USUAL);
    expect(newest(folder)?.rows.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(readdirSync(folder)).toEqual(['2026-01-01-abc.json']);
  });

  it('take a row that is measured again instead of the one before, and stay complete', () => {
    store(folder, results('2026-01-01', 'abc', row('a'), row('b')), USUAL);
    store(folder, results('2026-01-01', 'abc', row('a', 9)), USUAL);
    expect(newest(folder)?.rows.map(({ name, runs }) => `${name} ${runs}`)).toEqual(['b 5', 'a 9']);
  });

  it('are found by commit, and the newest complete ones without', () => {
    store(folder, results('2026-01-01', 'abc', row('a'), row('b')), USUAL);
    store(folder, results('2026-01-03', 'def', row('a')), USUAL);
    store(folder, results('2026-01-02', 'ghi', row('b'), row('a')), USUAL);
    expect(stored(folder, 'def')?.complete).toBe(false);
    expect(stored(folder, 'xyz')).toBeNull();
    expect(newest(folder)?.commit).toBe('ghi');
  });

  it('that are no JSON, or a folder that is not there, are no results', () => {
    writeFileSync(join(folder, '2026-01-01-abc.json'), '{');
    expect([newest(folder), stored(folder, 'abc'), newest(join(folder, 'none'))]).toEqual([null, null, null]);
  });
});
