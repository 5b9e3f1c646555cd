import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './machine.ts';
import { amount, table } from './report.ts';
import type { RowResult } from './results.ts';

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
  /** What the runs tell: a difference within the distance of their extremes is none. */
  readonly verdict: 'better' | 'worse' | 'the same' | 'other';
};

type Side = { readonly rows: readonly RowResult[]; readonly subject: string };

/** What changed for Millrace, figure by figure. */
export function changes(before: Side, after: Side): readonly Change[] {
  return after.rows.flatMap((row) => {
    const old = before.rows.find(({ name }) => name === row.name);
    return Object.entries(row.subjects[after.subject] ?? {}).flatMap(([figure, now]): Change[] => {
      const then = old?.subjects[before.subject]?.[figure];
      if (!then) return [];
      const ratio = now.median / then.median;
      const noise = Math.max(now.spread, then.spread) / 2;
      const better = row.figures[figure]?.better ?? null;
      const verdict =
        Math.abs(ratio - 1) <= Math.max(noise, 0.02)
          ? 'the same'
          : better === null
            ? 'other'
            : ratio > 1 === (better === 'more')
              ? 'better'
              : 'worse';
      return [
        {
          row: row.name,
          figure: `${row.figures[figure]?.label} ${row.figures[figure]?.unit}`,
          before: then.median,
          after: now.median,
          ratio,
          verdict,
        },
      ];
    });
  });
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
