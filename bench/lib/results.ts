import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine, Revision } from './machine.ts';
import type { AnyRow, FigureSpec, Target } from './row.ts';
import { median, spread } from './statistics.ts';

export type FigureResult = { readonly median: number; readonly spread: number; readonly runs: readonly number[] };

export type TargetResult = {
  readonly text: string;
  readonly subject: string;
  readonly value: number;
  readonly limit: number;
  readonly met: boolean;
};

export type RowResult = {
  readonly name: string;
  readonly title: string;
  readonly work: string;
  readonly runs: number;
  readonly figures: Readonly<Record<string, FigureSpec>>;
  /** By subject, then by figure. */
  readonly subjects: Readonly<Record<string, Readonly<Record<string, FigureResult>>>>;
  readonly targets: readonly TargetResult[];
  /** Why there is nothing here, where the row failed. */
  readonly error?: string;
};

export type Results = {
  readonly date: string;
  readonly commit: string;
  /** Product code differs from that commit. */
  readonly dirty: boolean;
  readonly machine: Machine;
  readonly quick: boolean;
  readonly seconds: number;
  readonly rows: readonly RowResult[];
};

export type Runs = ReadonlyMap<string, readonly Readonly<Record<string, number>>[]>;

export function rowResult(row: AnyRow, runs: Runs): RowResult {
  const subjects: Record<string, Record<string, FigureResult>> = {};
  for (const [subject, each] of runs) {
    const figures: Record<string, FigureResult> = {};
    for (const name of Object.keys(row.figures)) {
      const values = each.flatMap((run) => run[name] ?? []);
      if (values.length > 0) figures[name] = { median: median(values), spread: spread(values), runs: values };
    }
    subjects[subject] = figures;
  }
  const { name, title, work, figures } = row;
  const count = Math.max(0, ...[...runs.values()].map(({ length }) => length));
  return { name, title, work, runs: count, figures, subjects, targets: row.targets.flatMap((target) => targetResult(target, subjects)) };
}

/** Nothing where a figure is missing: a subject was left out of this run. */
function targetResult(target: Target, subjects: RowResult['subjects']): TargetResult[] {
  const own = subjects[target.subject]?.[target.figure]?.median;
  const other = target.over === null ? 1 : subjects[target.over]?.[target.overFigure ?? target.figure]?.median;
  if (own === undefined || other === undefined) return [];
  const value = own / other;
  const limit = target.atLeast ?? target.atMost ?? Number.NaN;
  const met = target.atLeast === undefined ? value <= limit : value >= limit;
  return [{ text: target.text, subject: target.subject, value, limit, met }];
}

export function assemble(
  rows: readonly RowResult[],
  facts: { readonly machine: Machine; readonly revision: Revision; readonly began: Date; readonly quick: boolean },
): Results {
  return {
    date: facts.began.toISOString(),
    ...facts.revision,
    machine: facts.machine,
    quick: facts.quick,
    seconds: Math.round((Date.now() - facts.began.getTime()) / 1000),
    rows,
  };
}

/** One file per day and commit. Rows that were measured again replace those of the file. */
export function store(folder: string, results: Results): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${results.date.slice(0, 10)}-${results.commit}${results.dirty ? '-dirty' : ''}.json`);
  const before = read(path)?.rows ?? [];
  const names = new Set(results.rows.map(({ name }) => name));
  const rows = [...before.filter(({ name }) => !names.has(name)), ...results.rows];
  writeFileSync(path, `${JSON.stringify({ ...results, rows }, null, 1)}\n`);
  return path;
}

/** The newest stored results of a commit. */
export function stored(folder: string, commit: string): Results | null {
  const name = readdirSync(folder)
    .toSorted()
    .findLast((file) => file.endsWith(`-${commit}.json`));
  return name === undefined ? null : read(join(folder, name));
}

function read(path: string): Results | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Results;
  } catch {
    return null;
  }
}
