/**
 * `npm run chaos`: breaks a running Millrace in every way that the suite knows, under load, and accounts for every event.
 */
import { parseArgs } from 'node:util';
import { faults } from './faults/index.ts';
import { type Report, type RunnableFault, type RunOptions, SHORT } from './lib/run.ts';

const HELP = `npm run chaos -- [NAME…] [flags]

  NAME…         faults (default: all). --list names them
  --seed N      where the faults strike and what is published follows from it (default: the time of day). Printed, to repeat a failure
  --rounds N    runs of each fault, with seeds one after the other (default 1)
  --events N    at least so many events in each run (default ${SHORT.events})
  --strikes N   how often the fault strikes in a run (default ${SHORT.strikes})
  --long        ten million events over all faults, twenty strikes in each run
  --json        one line of JSON for each run on standard output, and nothing else
  --list        name the faults
  --help        this

Exit code: 0 where every promise was kept, 1 where one was broken or a run could not be made, 2 for wrong arguments.
`;

const LONG = { events: 10_000_000, strikes: 20, batch: 200, pauseMs: 0 } as const;

type Arguments = {
  readonly chosen: readonly RunnableFault[];
  readonly options: RunOptions;
  readonly rounds: number;
  readonly json: boolean;
};

const { chosen, options, rounds, json } = read();
let broken = 0;
for (const fault of chosen) for (let round = 0; round < rounds; round += 1) await run(fault, options.seed + round);
if (!json) process.stdout.write(broken === 0 ? 'every promise was kept\n' : `${broken} of ${chosen.length * rounds} runs went wrong\n`);
process.exitCode = broken === 0 ? 0 : 1;

function read(): Arguments {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        seed: { type: 'string' },
        rounds: { type: 'string' },
        events: { type: 'string' },
        strikes: { type: 'string' },
        long: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) end(HELP);
    if (values.list) end(faults.map(({ name, title }) => `${name.padEnd(24)} ${title}\n`).join(''));
    const unknown = positionals.filter((name) => !faults.some((fault) => fault.name === name));
    if (unknown.length > 0) throw new Error(`no fault ${unknown.join(', ')}; --list names them`);
    const chosen = positionals.length === 0 ? faults : faults.filter(({ name }) => positionals.includes(name));
    const rounds = whole('--rounds', values.rounds, 1);
    const base = values.long
      ? { ...SHORT, ...LONG, events: Math.ceil(LONG.events / (chosen.length * rounds)), deadlineMs: 86_400_000 }
      : SHORT;
    const seed = whole('--seed', values.seed, Math.floor(Date.now() / 1000) % 1_000_000);
    const events = whole('--events', values.events, base.events);
    const strikes = whole('--strikes', values.strikes, base.strikes);
    const deadlineMs = Math.max(base.deadlineMs, base.deadlineMs + strikes * 20_000 + events * 5);
    return { chosen, rounds, json: values.json, options: { ...base, seed, events, strikes, deadlineMs } };
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\nnpm run chaos -- --help says more\n`);
    process.exit(2);
  }
}

function end(text: string): never {
  process.stdout.write(text);
  process.exit(0);
}

function whole(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${flag}: got ${text}, takes a whole number from 1`);
  return value;
}

async function run(fault: RunnableFault, seed: number): Promise<void> {
  process.stderr.write(`${fault.name} (seed ${seed}): ${fault.title}\n`);
  try {
    const report = await fault.run({ ...options, seed, progress: (line) => process.stderr.write(`  ${line}\n`) });
    if (report.faults.length > 0) broken += 1;
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : told(report));
  } catch (error) {
    broken += 1;
    const why = error instanceof Error ? error.message : String(error);
    process.stdout.write(json ? `${JSON.stringify({ fault: fault.name, seed, error: why })}\n` : `  could not be run: ${why}\n`);
  }
}

function told(report: Report): string {
  const recovery = report.recoveryMs.map((ms) => (ms === null ? 'never' : `${(ms / 1000).toFixed(2)} s`)).join(', ');
  const lines = [
    `${report.published} events published, ${report.delivered} delivered, ${report.gaps} gaps for ${report.covered} events, ${report.reconnections} reconnections, ${report.retries} posts repeated`,
    `recovered after ${recovery}; ${report.seconds.toFixed(1)} s in all`,
    ...report.faults.map((text) => `BROKEN: ${text}`),
    ...(report.faults.length > 0 ? [`again: npm run chaos -- ${report.fault} --seed ${report.seed}`] : []),
  ];
  return lines.map((line) => `  ${line}\n`).join('');
}
