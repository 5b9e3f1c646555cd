import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './machine.ts';
import { amount, describeMachine, title } from './report.ts';
import type { FigureResult, Results, RowResult, TargetResult } from './results.ts';
import { isMillrace } from './row.ts';

const README = join(ROOT, 'README.md');
const BEGIN = '<!-- bench: `npm run bench -- --readme` writes what follows -->\n';
const END = '<!-- /bench -->';

export const NOTHING_YET = 'No run of all rows is kept in `bench/results/` yet: `npm run bench` makes one.\n';

/** What README.md says about speed: the headline figures of every row, and every target that was not met. */
export function readmeSection(results: Results): string {
  const head = `${results.date.slice(0, 10)}, commit ${results.commit}, ${describeMachine(results.machine)}. Medians of ${fewest(results)} runs or more.\n`;
  const lines = results.rows.flatMap(rowLines);
  const table = ['| | | Millrace | beside it |', '|---|---|---:|---|', ...lines].join('\n');
  return `${head}\n${table}\n\n${verdicts(results.rows)}`;
}

export function sectionOf(readme: string): string {
  const [begin, end] = bounds(readme);
  return readme.slice(begin, end);
}

export function replaceSection(readme: string, section: string): string {
  const [begin, end] = bounds(readme);
  return readme.slice(0, begin) + section + readme.slice(end);
}

export function updateReadme(section: string): void {
  writeFileSync(README, replaceSection(readFileSync(README, 'utf8'), section));
}

export function readReadme(): string {
  return readFileSync(README, 'utf8');
}

function bounds(readme: string): readonly [number, number] {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`README.md has no section between ${BEGIN.trim()} and ${END}`);
  return [begin + BEGIN.length, end];
}

function fewest({ rows }: Results): number {
  return Math.min(...rows.filter(({ error }) => error === undefined).map(({ runs }) => runs));
}

/** A line for each headline figure. */
function rowLines(row: RowResult): readonly string[] {
  if (row.error !== undefined) return [`| ${row.title} | | failed | |`];
  return row.headline.flatMap((name, index) => {
    const spec = row.figures[name];
    if (!spec) return [];
    const subjects = Object.keys(row.subjects).filter((subject) => row.subjects[subject]?.[name]);
    // Where no subject is called Millrace, such as in a comparison of algorithms, the first is.
    const own = subjects.some(isMillrace) ? subjects.filter(isMillrace) : subjects.slice(0, 1);
    const cell = (subject: string): string => told(subject, row.subjects[subject]![name]!);
    const beside = subjects.filter((subject) => !own.includes(subject)).map(cell);
    return [`| ${index === 0 ? row.title : ''} | ${title(spec)} | ${own.map(cell).join('<br>')} | ${beside.join('; ')} |`];
  });
}

function told(subject: string, { median }: FigureResult): string {
  if (subject === 'millrace') return `**${amount(median)}**`;
  if (isMillrace(subject)) return `${subject.slice('millrace, '.length)} **${amount(median)}**`;
  return `${subject} ${amount(median)}`;
}

function verdicts(rows: readonly RowResult[]): string {
  const targets = rows.flatMap((row) => row.targets.map((target) => ({ row, target })));
  const named = (verdict: TargetResult['verdict']): string =>
    targets
      .filter(({ target }) => target.verdict === verdict)
      .map(({ row, target }) => `- ${row.title}: ${target.text}; measured ${amount(target.value)}\n`)
      .join('');
  const met = targets.filter(({ target }) => target.verdict === 'met').length;
  const [missed, uncertain] = [named('missed'), named('uncertain')];
  return (
    `${met} of ${targets.length} targets are met.\n` +
    (missed === '' ? '' : `\nMissed:\n\n${missed}`) +
    (uncertain === '' ? '' : `\nUncertain, since the runs lie on both sides of the target:\n\n${uncertain}`)
  );
}
