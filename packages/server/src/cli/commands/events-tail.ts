import { MillraceError } from '../../kit/errors.ts';
import type { Command, Input, Io } from '../command.ts';
import { cliErrors, usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { cell, printLine } from '../print.ts';
import { connect, remoteFlags } from '../remote.ts';
import { type SseEvent, readSse } from '../sse.ts';

export const eventsTail: Command = {
  path: ['events', 'tail'],
  summary: 'Show events as they pass, with what became of each, until interrupted.',
  details:
    'What was refused when it was published does not pass: its producer was told why, and `millrace dead-letters list` has what came to a\n' +
    'known topic. With --json each line is a JSON object. Where events pass faster than they can be shown, it says how many were skipped.',
  flags: [
    { name: 'tenant', kind: 'text', value: 'T', doc: 'Only events of this tenant.' },
    { name: 'type', kind: 'text', value: 'TYPE', doc: 'Only events of this live type.' },
    { name: 'topic', kind: 'text', value: 'TOPIC', doc: 'Only events of this topic.' },
    { name: 'limit', kind: 'text', value: 'N', doc: 'End after so many events.' },
    ...remoteFlags('admin'),
  ],
  examples: ['millrace events tail', 'millrace events tail --tenant acme --type Deal --limit 1'],
  exits: [EXIT.unavailable, EXIT.refused],
  async run(input, io) {
    let left = limitOf(input);
    const admin = await connect('admin', input, io);
    const query = new URLSearchParams();
    for (const name of ['tenant', 'type', 'topic']) if (input.text(name) !== null) query.set(name, input.text(name)!);
    const response = await admin.send(`/events/tail?${query.toString()}`, { headers: { accept: 'text/event-stream' } });
    if (response.status === 401 || response.status === 403)
      throw new MillraceError(cliErrors.SERVER_REFUSED, `the server answered ${response.status}`);
    if (!response.ok || response.body === null) throw new MillraceError(cliErrors.SERVER_SAID_NO, `the server answered ${response.status}`);
    if (io.stdout.isTTY) io.stderr.write('waiting for events; Ctrl-C ends\n');
    try {
      for await (const event of readSse(response.body)) {
        show(event, input.json, io);
        if (event.event !== 'skipped' && --left === 0) return EXIT.ok;
      }
    } catch (error) {
      if (!io.interrupted.aborted)
        throw new MillraceError(cliErrors.SERVER_UNREACHABLE, `the connection to ${admin.base.href} broke`, {}, error);
    }
    return io.interrupted.aborted ? EXIT.ok : EXIT.unavailable;
  },
};

function limitOf(input: Input): number {
  const text = input.text('limit');
  const limit = text === null ? Number.POSITIVE_INFINITY : Number(text);
  if (limit !== Number.POSITIVE_INFINITY && !(Number.isInteger(limit) && limit > 0)) {
    throw usageError(`--limit: got ${JSON.stringify(text)}, takes a whole number from 1`);
  }
  return limit;
}

function show({ event, data }: SseEvent, json: boolean, io: Io): void {
  if (event === 'skipped') io.stderr.write(`(${data} events skipped)\n`);
  else printLine(io, json ? data : traceLine(data));
}

/** What a person wants to see of a trace entry, in this order; --json has everything. */
const SHOWN = ['topic', 'type', 'id', 'action', 'tenant', 'outcome', 'code', 'reason'];

export function traceLine(data: string): string {
  let entry: Readonly<Record<string, unknown>>;
  try {
    entry = JSON.parse(data) as Readonly<Record<string, unknown>>;
  } catch {
    return cell(data);
  }
  const time = typeof entry['time'] === 'number' ? new Date(entry['time']).toISOString().slice(11, 23) : '-';
  const offset = (entry['channel'] as { readonly offset?: unknown } | null | undefined)?.offset;
  const shown = SHOWN.map((key) => entry[key]).filter((value) => value !== null && value !== undefined);
  return [time, ...shown.map(cell), ...(offset === undefined ? [] : [`at offset ${cell(offset)}`])].join('  ');
}
