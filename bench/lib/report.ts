import type { Machine } from './machine.ts';
import type { FigureSpec } from './row.ts';
import type { Results, RowResult, TargetResult } from './results.ts';

export function describeMachine({ cpu, cores, memoryGiB, system, node, loadBefore, pinned }: Machine): string {
  const pins = pinned ? 'server and load generator on cores of their own' : 'not pinned';
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}; load ${loadBefore} before the run; ${pins}`;
}

export function printResults(results: Results): string {
  const head = `${results.date.slice(0, 16).replace('T', ' ')} UTC, commit ${results.commit}${results.dirty ? ' with changes' : ''}\n${describeMachine(results.machine)}\n`;
  const warning = results.quick ? '\nA smoke run: these figures mean nothing.\n' : '';
  return `${head}${warning}\n${results.rows.map(printRow).join('\n')}`;
}

export function printRow(row: RowResult): string {
  const runs = `${row.runs} run${row.runs === 1 ? '' : 's'}`;
  const head = `## ${row.name}: ${row.title}\n${row.work} Medians of ${runs}; ± is half the distance of their extremes.\n`;
  const failed = row.error === undefined ? '' : `FAILED: ${row.error}\n`;
  if (row.runs === 0) return `${head}\n${failed}`;
  const figures = Object.entries(row.figures).filter(([name]) => Object.values(row.subjects).some((each) => each[name]));
  const lines = [['', ...figures.map(([, spec]) => title(spec))]];
  for (const [subject, own] of Object.entries(row.subjects)) {
    lines.push([
      subject,
      ...figures.map(([name]) => (own[name] ? `${amount(own[name].median)} ±${Math.round(own[name].spread * 50)}%` : '–')),
    ]);
  }
  return `${head}\n${table(lines)}\n${row.targets.map((target) => `${printTarget(target)}\n`).join('')}${failed}`;
}

/** With the extremes of the runs wherever they leave a doubt. */
export function printTarget({ text, value, low, high, verdict }: TargetResult): string {
  const doubt = verdict === 'uncertain' ? ` (runs from ${amount(low)} to ${amount(high)})` : '';
  return `${verdict.padEnd(9)}  ${text}: ${amount(value)}${doubt}`;
}

export const title = ({ label, unit }: FigureSpec): string => `${label} ${unit}`.trim();

/** Three figures: more than these runs tell apart. */
export function amount(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size >= 1_000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/** Columns as wide as their widest cell; the first to the left, the others to the right. */
export function table(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  const print = (line: readonly string[]): string =>
    `| ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head, ...rest] = lines;
  return `${[print(head ?? []), rule, ...rest.map(print)].join('\n')}\n`;
}
