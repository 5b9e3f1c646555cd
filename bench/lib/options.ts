import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

export type Options = {
  readonly names: readonly string[];
  readonly runs: number;
  readonly quick: boolean;
  readonly json: boolean;
  readonly compare: string | null;
  /** The commit whose Millrace is measured, in a worktree; null: the working tree. */
  readonly at: string | null;
  /** Only these subjects; empty: all. */
  readonly only: readonly string[];
  readonly list: boolean;
  readonly help: boolean;
  /** Rows that take too long for every day, too. */
  readonly long: boolean;
  /** Nothing is measured: the README's table is written from the newest results. */
  readonly readme: boolean;
  /** How long the memory rows send traffic before they measure again, in seconds; null: as long as each of them says. */
  readonly trafficSeconds: number | null;
  /** Folder for V8's CPU profiles of Millrace's server; null: none are taken. */
  readonly profile: string | null;
  /** Where results are kept; null: they are not. */
  readonly store: string | null;
};

export const HELP = `npm run bench -- [NAME…] [flags]

  NAME…            rows to run (default: all but the long ones). \`--list\` names them
  --long           the long rows too: memory after ten minutes of traffic, which takes about two hours
  --runs N         runs of each row, of which the medians are told (default 5)
  --quick          a smoke test: one run, a tenth of the sockets. Its figures mean nothing
  --json           print the results as JSON instead of tables
  --compare REF    say what changed since a commit, from its stored results, or by running that commit in a worktree beside
  --only A;B       only these subjects, such as "millrace;graphql-ws"
  --at REF         measure the Millrace of a commit instead of the working tree's
  --traffic SEC    seconds of traffic in the memory rows (default 2, and 600 in memory-traffic)
  --profile DIR    write V8's CPU profiles of Millrace into DIR. Makes Millrace slower: do not compare its figures then
  --readme         measure nothing: write the table of README.md from the newest results in bench/results/
  --no-store       leave bench/results/ alone
  --list           name the rows
  --help           this
`;

/** Each has its line in HELP. */
export const FLAGS = {
  runs: { type: 'string' },
  quick: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  compare: { type: 'string' },
  at: { type: 'string' },
  only: { type: 'string' },
  list: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
  traffic: { type: 'string' },
  long: { type: 'boolean', default: false },
  readme: { type: 'boolean', default: false },
  profile: { type: 'string' },
  'no-store': { type: 'boolean', default: false },
} as const satisfies ParseArgsOptionsConfig;

/** Medians of fewer are not kept. */
const FEWEST_RUNS = 5;

/** Throws an Error with one line that says what was wrong. */
export function readOptions(argv: readonly string[], results: string): Options {
  const { values, positionals } = parseArgs({ args: [...argv], allowPositionals: true, options: FLAGS });
  const quick = values.quick;
  const runs = whole('--runs', values.runs, quick ? 1 : FEWEST_RUNS, 100);
  const unlikeOthers = quick || runs < FEWEST_RUNS || values.profile !== undefined || values.only !== undefined;
  return {
    names: positionals,
    runs,
    quick,
    json: values.json,
    compare: values.compare ?? null,
    at: values.at ?? null,
    only: values.only?.split(';') ?? [],
    list: values.list,
    help: values.help,
    long: values.long,
    readme: values.readme,
    trafficSeconds: values.traffic === undefined ? null : whole('--traffic', values.traffic, 1, 86_400),
    profile: values.profile ?? null,
    store: values['no-store'] || unlikeOthers ? null : results,
  };
}

function whole(flag: string, text: string | undefined, fallback: number, most: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`${flag}: got ${text}, takes a whole number from 1 to ${most}`);
  return value;
}
