/** `npm run bench`: measures Millrace beside its peers. `npm run bench -- --help` says how. */
import { fileURLToPath } from 'node:url';
import { changes, commitOf, printChanges, worktree } from './lib/compare.ts';
import { createContext } from './lib/context.ts';
import { machine, revision, ROOT } from './lib/machine.ts';
import { HELP, type Options, readOptions } from './lib/options.ts';
import { describeMachine, printResults } from './lib/report.ts';
import { assemble, type Results, type RowResult, store, stored } from './lib/results.ts';
import type { AnyRow } from './lib/row.ts';
import { type Lane, runRows } from './lib/run-rows.ts';
import { rows } from './rows/index.ts';

const RESULTS = fileURLToPath(new URL('results/', import.meta.url));
const say = (text: string): void => void process.stderr.write(`${text}\n`);

function chosen(names: readonly string[]): readonly AnyRow[] {
  for (const name of names) {
    if (!rows.some((row) => row.name === name)) throw new Error(`no row ${name}; there are: ${rows.map((row) => row.name).join(', ')}`);
  }
  return names.length === 0 ? rows : rows.filter(({ name }) => names.includes(name));
}

async function measureAll(options: Options): Promise<Results> {
  using tree = options.at === null ? null : worktree(commitOf(options.at));
  const product = tree?.root ?? ROOT;
  const facts = { machine: machine(), revision: revision(product), began: new Date(), quick: options.quick };
  say(`${describeMachine(facts.machine)}\n`);
  const context = createContext(options, product);
  const wanted = (subject: string): boolean => options.only.length === 0 || options.only.includes(subject);
  const lanes = (row: AnyRow): readonly Lane[] =>
    (row.subjects ?? row.stage.subjects).filter(wanted).map((subject) => ({ label: subject, subject, context }));
  return assemble(await runRows(chosen(options.names), options.runs, lanes, say), facts);
}

/** Both commits in one run, turn by turn, measured by today's rows. */
async function measureTwo(options: Options, commit: string): Promise<readonly RowResult[]> {
  using tree = worktree(commit);
  using today = options.at === null ? null : worktree(commitOf(options.at));
  const pair: readonly Lane[] = [
    { label: 'before', subject: 'millrace', context: createContext(options, tree.root) },
    { label: 'now', subject: 'millrace', context: createContext(options, today?.root) },
  ];
  return await runRows(chosen(options.names), options.runs, () => pair, say);
}

async function compareWith(options: Options, ref: string): Promise<string> {
  const commit = commitOf(ref);
  const then = stored(RESULTS, commit);
  if (then) {
    const now = await measureAll(options);
    const side = (results: Results) => ({ rows: results.rows, subject: 'millrace' });
    return `${printResults(now)}\n${printChanges(changes(side(then), side(now)), commit, `stored on ${then.date.slice(0, 10)}`)}`;
  }
  const both = await measureTwo(options, commit);
  return printChanges(
    changes({ rows: both, subject: 'before' }, { rows: both, subject: 'now' }),
    commit,
    'both measured now, turn by turn',
  );
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), RESULTS);
  if (options.help) return void process.stdout.write(HELP);
  if (options.list) return void process.stdout.write(rows.map(({ name, title }) => `${name.padEnd(16)} ${title}\n`).join(''));
  if (options.compare !== null) return void process.stdout.write(await compareWith(options, options.compare));
  const results = await measureAll(options);
  process.stdout.write(options.json ? `${JSON.stringify(results, null, 1)}\n` : printResults(results));
  if (options.store !== null) say(`\nkept in ${store(options.store, results)}`);
  if (results.rows.some(({ error }) => error !== undefined)) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
