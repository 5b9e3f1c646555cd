import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './machine.ts';
import { amount, table } from './report.ts';
import type { FigureResult, RowResult } from './results.ts';
import { isMillrace } from './row.ts';

/** A commit checked out beside, with this repository's installed packages. */
export type Worktree = Disposable & { readonly root: string };

export function commitOf(ref: string): string {
  return execFileSync('git', ['rev-parse', '--short=10', `${ref}^{commit}`], { cwd: ROOT, encoding: 'utf8' }).trim();
}

export function worktree(commit: string): Worktree {
  const root = join(mkdtempSync(join(tmpdir(), 'millrace-compare-')), 'repository');
  const git = (...args: string[]): void => void execFileSync('git', args, { cwd: ROOT, stdio: 'ignore' });
  git('worktree', 'add', '--detach', root, commit);
  for (const folder of ['', 'packages/server']) {
    const installed = join(ROOT, folder, 'node_modules');
    if (existsSync(installed) && existsSync(join(root, folder))) symlinkSync(installed, join(root, folder, 'node_modules'));
  }
  return {
    root,
    [Symbol.dispose]() {
      git('worktree', 'remove', '--force', root);
      rmSync(join(root, '..'), { recursive: true, force: true });
    },
  };
}

export type Change = {
  readonly row: string;
  readonly figure: string;
  readonly before: number;
  readonly after: number;
  /** after / before */
  readonly ratio: number;
  /** `the same`: the runs of both sides overlap. */
  readonly verdict: 'better' | 'worse' | 'the same' | 'other' | 'too few runs';
};

type Side = {
  readonly rows: readonly RowResult[];
  /** How this side calls a subject: both stand in one table where both were measured in one run. */
  readonly label: (subject: string) => string;
};

/** What changed for Millrace, figure by figure. `subjects`: as a row calls them by itself. */
export function changes(before: Side, after: Side, subjects: (row: string) => readonly string[]): readonly Change[] {
  return after.rows.flatMap((row) => {
    const old = before.rows.find(({ name }) => name === row.name);
    return subjects(row.name)
      .filter(isMillrace)
      .flatMap((subject) => {
        const now = row.subjects[after.label(subject)] ?? {};
        const then = old?.subjects[before.label(subject)] ?? {};
        const of = subject === 'millrace' ? row.name : `${row.name}${subject.slice('millrace'.length)}`;
        return Object.keys(now).flatMap((name): Change[] => (then[name] ? [change(of, row, name, then[name], now[name]!)] : []));
      });
  });
}

function change(of: string, row: RowResult, name: string, then: FigureResult, now: FigureResult): Change {
  const spec = row.figures[name];
  const ratio = now.median / then.median;
  const verdict = verdictOf(then.runs, now.runs, spec?.better ?? null);
  return { row: of, figure: `${spec?.label} ${spec?.unit}`.trim(), before: then.median, after: now.median, ratio, verdict };
}

/** By chance alone, four runs of each side lie apart in 3 of 100 comparisons, five in 1, and two in every third. */
const FEWEST_RUNS = 4;

function verdictOf(then: readonly number[], now: readonly number[], better: 'more' | 'less' | null): Change['verdict'] {
  if (Math.min(then.length, now.length) < FEWEST_RUNS) return 'too few runs';
  const more = Math.min(...now) > Math.max(...then);
  const less = Math.max(...now) < Math.min(...then);
  if (!more && !less) return 'the same';
  if (better === null) return 'other';
  return more === (better === 'more') ? 'better' : 'worse';
}

export function printChanges(list: readonly Change[], commit: string, how: string): string {
  if (list.length === 0) return `Nothing to compare with ${commit} (${how}).\n`;
  const lines = list.map(({ row, figure, before, after, ratio, verdict }) => [
    `${row}: ${figure}`,
    amount(before),
    amount(after),
    `× ${ratio.toFixed(2)}`,
    verdict,
  ]);
  return `## Millrace against ${commit} (${how})\n\n${table([['', 'before', 'now', 'ratio', ''], ...lines])}`;
}
