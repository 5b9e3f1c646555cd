/** `npm run bench`: measures Millrace beside its peers. `npm run bench -- --help` says how. */
import { fileURLToPath } from 'node:url';
import { changes, commitOf, printChanges, worktree } from './lib/compare.ts';
import { createContext } from './lib/context.ts';
import { machine, revision, ROOT } from './lib/machine.ts';
import { HELP, type Options, readOptions } from './lib/options.ts';
import { installPeers } from './lib/peers.ts';
import { readmeSection, updateReadme } from './lib/readme.ts';
import { describeMachine, printResults } from './lib/report.ts';
import { assemble, newest, type Results, type RowResult, store, stored } from './lib/results.ts';
import { type AnyRow, belongsTo, isMillrace } from './lib/row.ts';
import { type Lane, runRows } from './lib/run-rows.ts';
import { longRows, rows } from './rows/index.ts';

const RESULTS = fileURLToPath(new URL('results/', import.meta.url));
const USUAL = rows.map(({ name }) => name);
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const subjectsOf = (row: AnyRow): readonly string[] => row.subjects ?? row.stage.subjects;

function chosen({ names, long }: Options): readonly AnyRow[] {
  const all = [...rows, ...longRows];
  for (const name of names) {
    if (!all.some((row) => row.name === name)) throw new Error(`no row ${name}; there are: ${all.map((row) => row.name).join(', ')}`);
  }
  if (names.length > 0) return all.filter(({ name }) => names.includes(name));
  return long ? all : rows;
}

/** Every row is kept as soon as it is through: whatever stops the rest, it is there. */
async function measureAll(options: Options): Promise<Results> {
  using tree = options.at === null ? null : worktree(commitOf(options.at));
  const product = tree?.root ?? ROOT;
  const facts = { machine: machine(), revision: revision(product), began: new Date(), quick: options.quick, usual: USUAL };
  say(describeMachine(facts.machine));
  const context = createContext(options, product);
  const wanted = (subject: string): boolean => options.only.length === 0 || options.only.some((name) => belongsTo(subject, name));
  const through: RowResult[] = [];
  await runRows(chosen(options), {
    runs: options.runs,
    lanes: (row) =>
      subjectsOf(row)
        .filter(wanted)
        .map((subject): Lane => ({ label: subject, subject, context })),
    done(result) {
      through.push(result);
      if (options.store !== null) store(options.store, assemble(through, facts), USUAL);
    },
    say,
  });
  return assemble(through, facts);
}

const BEFORE = (subject: string): string => `${subject} before`;
const NOW = (subject: string): string => `${subject} now`;

/** Both commits in one run, turn by turn, measured by today's rows. */
async function measureTwo(options: Options, commit: string): Promise<readonly RowResult[]> {
  using tree = worktree(commit);
  using today = options.at === null ? null : worktree(commitOf(options.at));
  const then = createContext(options, tree.root);
  // Notes are shared: a row that works at a rate which it has found out takes the same for both.
  const now = { ...createContext(options, today?.root), notes: then.notes };
  const pair = (subject: string): readonly Lane[] => [
    { label: BEFORE(subject), subject, context: then },
    { label: NOW(subject), subject, context: now },
  ];
  const lanes = (row: AnyRow): readonly Lane[] => subjectsOf(row).filter(isMillrace).flatMap(pair);
  return await runRows(chosen(options), { runs: options.runs, lanes, done: () => undefined, say });
}

async function compareWith(options: Options, ref: string): Promise<string> {
  const commit = commitOf(ref);
  const then = stored(RESULTS, commit);
  const own = (name: string): readonly string[] =>
    chosen(options)
      .filter((row) => row.name === name)
      .flatMap(subjectsOf);
  if (then) {
    const now = await measureAll(options);
    const side = ({ rows }: Results) => ({ rows, label: (subject: string) => subject });
    return `${printResults(now)}\n${printChanges(changes(side(then), side(now), own), commit, `stored on ${then.date.slice(0, 10)}`)}`;
  }
  const both = await measureTwo(options, commit);
  const list = changes({ rows: both, label: BEFORE }, { rows: both, label: NOW }, own);
  return printChanges(list, commit, 'both measured now, turn by turn');
}

function list(): string {
  const lines = (each: readonly AnyRow[]): string => each.map(({ name, title }) => `${name.padEnd(18)} ${title}\n`).join('');
  return `${lines(rows)}\nonly by name or with --long:\n${lines(longRows)}`;
}

function writeReadme(): void {
  const results = newest(RESULTS);
  if (results === null) throw new Error('bench/results/ has no run of all rows: run `npm run bench` first');
  updateReadme(readmeSection(results));
  say(`README.md shows the results of ${results.date.slice(0, 10)}, commit ${results.commit}`);
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), RESULTS);
  if (options.help) return void process.stdout.write(HELP);
  if (options.list) return void process.stdout.write(list());
  if (options.readme) return writeReadme();
  chosen(options);
  installPeers();
  if (options.compare !== null) return void process.stdout.write(await compareWith(options, options.compare));
  const results = await measureAll(options);
  process.stdout.write(options.json ? `${JSON.stringify(results, null, 1)}\n` : printResults(results));
  if (options.store !== null) say(`\nkept in ${store(options.store, results, USUAL)}`);
  if (results.rows.some(({ error }) => error !== undefined)) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
