import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine, Revision } from './machine.ts';
import type { AnyRow, FigureSpec, Target } from './row.ts';
import { median, spread } from './statistics.ts';
import { type Judgement, judge, limitOf } from './verdict.ts';

export type FigureResult = { readonly median: number; readonly spread: number; readonly runs: readonly number[] };

export type TargetResult = Judgement & {
  readonly text: string;
  readonly subject: string;
  readonly limit: number;
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
  /** Figures that the README shows. */
  readonly headline: readonly string[];
  /** How long it took. */
  readonly seconds: number;
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
  /** It has every row that is run by default. */
  readonly complete: boolean;
  readonly seconds: number;
  readonly rows: readonly RowResult[];
};

export type Runs = ReadonlyMap<string, readonly Readonly<Record<string, number>>[]>;

export function rowResult(row: AnyRow, runs: Runs, seconds = 0): RowResult {
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
  return {
    name,
    title,
    work,
    runs: Math.max(0, ...[...runs.values()].map(({ length }) => length)),
    figures,
    subjects,
    targets: row.targets.flatMap((target) => targetResult(target, subjects)),
    headline: row.headline ?? Object.keys(figures).slice(0, 1),
    seconds,
  };
}

/** Nothing where a figure is missing: a subject was left out of this run. */
function targetResult(target: Target, subjects: RowResult['subjects']): TargetResult[] {
  const own = subjects[target.subject]?.[target.figure];
  const other = target.over === null ? null : subjects[target.over]?.[target.overFigure ?? target.figure];
  if (own === undefined || other === undefined) return [];
  return [{ text: target.text, subject: target.subject, limit: limitOf(target), ...judge(own, other, target) }];
}

export type Facts = {
  readonly machine: Machine;
  readonly revision: Revision;
  readonly began: Date;
  readonly quick: boolean;
  /** The rows that are run by default. */
  readonly usual: readonly string[];
};

export function assemble(rows: readonly RowResult[], facts: Facts): Results {
  return {
    date: facts.began.toISOString(),
    ...facts.revision,
    machine: facts.machine,
    quick: facts.quick,
    complete: isComplete(rows, facts.usual),
    seconds: Math.round((Date.now() - facts.began.getTime()) / 1000),
    rows,
  };
}

function isComplete(rows: readonly RowResult[], usual: readonly string[]): boolean {
  return usual.every((name) => rows.some((row) => row.name === name));
}

/** One file per day and commit. Rows that were measured again replace those of the file. Written whole or not at all. */
export function store(folder: string, results: Results, usual: readonly string[]): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${results.date.slice(0, 10)}-${results.commit}${results.dirty ? '-dirty' : ''}.json`);
  const before = read(path)?.rows ?? [];
  const names = new Set(results.rows.map(({ name }) => name));
  const rows = [...before.filter(({ name }) => !names.has(name)), ...results.rows];
  writeFileSync(`${path}.new`, `${JSON.stringify({ ...results, complete: isComplete(rows, usual), rows }, null, 1)}\n`);
  renameSync(`${path}.new`, path);
  return path;
}

/** The newest stored results of a commit. */
export function stored(folder: string, commit: string): Results | null {
  const name = filesOf(folder).findLast((file) => file.endsWith(`-${commit}.json`));
  return name === undefined ? null : read(join(folder, name));
}

/** The newest stored results of a run of all rows; null: there are none yet. */
export function newest(folder: string): Results | null {
  const complete = filesOf(folder)
    .flatMap((file) => read(join(folder, file)) ?? [])
    .filter(({ complete }) => complete);
  return complete.toSorted((a, b) => (a.date < b.date ? -1 : 1)).at(-1) ?? null;
}

/** In the order of their dates. */
function filesOf(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .toSorted();
}

function read(path: string): Results | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Results;
  } catch {
    return null;
  }
}
