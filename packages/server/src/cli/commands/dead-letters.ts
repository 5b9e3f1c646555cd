import { MillraceError } from '../../kit/errors.ts';
import type { Command, Input, Io } from '../command.ts';
import { cliErrors, usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { cell, printJson, printLine, printTable, progress, timeOf } from '../print.ts';
import { type Remote, connect, remoteFlags } from '../remote.ts';

type Row = {
  readonly id: string;
  readonly topic: string;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  readonly at: number;
  readonly redrivenAt: number | null;
};

const PAGE = 200;
const EXITS = [EXIT.unavailable, EXIT.refused];
const TOPIC = { name: 'topic', kind: 'text', value: 'TOPIC', doc: 'Only letters of this topic.' } as const;

async function page(admin: Remote, topic: string | null, limit: number, after: string | null): Promise<readonly Row[]> {
  const query = new URLSearchParams({ limit: String(limit), ...(topic === null ? {} : { topic }), ...(after === null ? {} : { after }) });
  return ((await admin.json(`/dead-letters?${query.toString()}`)) as { letters: readonly Row[] }).letters;
}

const list: Command = {
  path: ['dead-letters', 'list'],
  summary: 'List events that could not be delivered, the newest first.',
  flags: [
    TOPIC,
    { name: 'limit', kind: 'text', value: 'N', doc: 'At most so many (default 50, at most 200).' },
    { name: 'after', kind: 'text', value: 'ID', doc: 'Go on after this letter.' },
    ...remoteFlags('admin'),
  ],
  examples: ['millrace dead-letters list', 'millrace dead-letters list --topic crm.deals --limit 10'],
  exits: EXITS,
  async run(input, io) {
    const limit = Number(input.text('limit') ?? 50);
    if (!Number.isInteger(limit) || limit < 1 || limit > PAGE)
      throw usageError(`--limit: got ${JSON.stringify(input.text('limit'))}, takes a whole number from 1 to ${PAGE}`);
    const rows = await page(await connect('admin', input, io), input.text('topic'), limit, input.text('after'));
    if (input.json) printJson(io, rows);
    else if (rows.length === 0) printLine(io, 'no dead letters');
    else
      printTable(
        io,
        ['ID', 'AT', 'TOPIC', 'CODE', 'REDRIVEN', 'REASON'],
        rows.map((row) =>
          [row.id, timeOf(row.at), row.topic, row.code, row.redrivenAt === null ? 'no' : timeOf(row.redrivenAt), row.reason].map(cell),
        ),
      );
    return EXIT.ok;
  },
};

const show: Command = {
  path: ['dead-letters', 'show'],
  summary: 'Show one dead letter with its raw record and what went wrong.',
  positionals: [{ name: 'ID', doc: 'the id that `dead-letters list` shows' }],
  flags: remoteFlags('admin'),
  examples: ['millrace dead-letters show 17', 'millrace dead-letters show 17 --json'],
  exits: EXITS,
  async run(input, io) {
    const admin = await connect('admin', input, io);
    const letter = (await admin.json(`/dead-letters/${encodeURIComponent(input.positionals[0]!)}`)) as Readonly<Record<string, unknown>>;
    if (input.json) printJson(io, letter);
    else
      for (const [key, value] of Object.entries(letter))
        if (isShown(key, letter)) printLine(io, `${`${key}:`.padEnd(12)} ${readable(key, value)}`);
    return EXIT.ok;
  },
};

/** The bytes of what is readable as text say nothing more; --json has them. */
function isShown(key: string, letter: Readonly<Record<string, unknown>>): boolean {
  return key !== 'base64' || typeof letter['text'] !== 'string';
}

const TIMES = new Set(['at', 'redrivenAt', 'timestamp']);

function readable(key: string, value: unknown): string {
  return TIMES.has(key) && typeof value === 'number' ? timeOf(value) : cell(value);
}

const redrive: Command = {
  path: ['dead-letters', 'redrive'],
  summary: 'Put dead letters back into the log, once what was wrong is mended.',
  details: 'A letter that was redriven already is left alone, so that the command may be repeated.',
  positionals: [{ name: 'ID', doc: 'the id that `dead-letters list` shows; or --all', optional: true }],
  flags: [{ name: 'all', kind: 'boolean', doc: 'Every letter that was not redriven yet.' }, TOPIC, ...remoteFlags('admin')],
  examples: ['millrace dead-letters redrive 17', 'millrace dead-letters redrive --all --topic crm.deals'],
  exits: EXITS,
  async run(input, io) {
    const [id] = input.positionals;
    if ((id === undefined) !== input.has('all')) throw usageError('millrace dead-letters redrive takes an ID, or --all');
    const admin = await connect('admin', input, io);
    const counts = id === undefined ? await redriveAll(admin, input, io) : await redriveOne(admin, id);
    if (input.json) printJson(io, counts);
    else printLine(io, `redriven ${counts.redriven}, already ${counts.already}`);
    return EXIT.ok;
  },
};

type Counts = { redriven: number; already: number };

async function redriveOne(admin: Remote, id: string): Promise<Counts> {
  const { result } = (await admin.post(`/dead-letters/${encodeURIComponent(id)}/redrive`, {})) as { result: string };
  if (result === 'unknown') throw new MillraceError(cliErrors.SERVER_SAID_NO, `there is no dead letter ${id}`);
  return result === 'already' ? { redriven: 0, already: 1 } : { redriven: 1, already: 0 };
}

/** Ids are gathered before the first is redriven: what fails again comes back as a new letter, and must not be redriven in a circle. */
async function redriveAll(admin: Remote, input: Input, io: Io): Promise<Counts> {
  const ids: string[] = [];
  for (let after: string | null = null; ;) {
    const rows: readonly Row[] = await page(admin, input.text('topic'), PAGE, after);
    ids.push(...rows.filter(({ redrivenAt }) => redrivenAt === null).map(({ id }) => id));
    if (rows.length < PAGE) break;
    after = rows.at(-1)!.id;
  }
  const bar = progress(io);
  const total: Counts = { redriven: 0, already: 0 };
  // Oldest first: the order in which they came is the order in which their entities changed.
  for (const [index, id] of ids.toReversed().entries()) {
    const { redriven, already } = await redriveOne(admin, id);
    total.redriven += redriven;
    total.already += already;
    bar.show(`${index + 1} of ${ids.length}`);
  }
  bar.done();
  return total;
}

export const deadLetterCommands: readonly Command[] = [list, show, redrive];
