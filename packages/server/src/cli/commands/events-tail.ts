import { MillraceError } from '../../kit/errors.ts';
import type { Command, Io } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { cell, printLine } from '../print.ts';
import { connect, remoteFlags } from '../remote.ts';
import { type SseEvent, readSse } from '../sse.ts';

export const eventsTail: Command = {
  path: ['events', 'tail'],
  summary: 'Show events as they pass, with what became of each, until interrupted.',
  details: 'With --json each line is a JSON object. Where events pass faster than they can be shown, it says how many were skipped.',
  flags: [
    { name: 'tenant', kind: 'text', value: 'T', doc: 'Only events of this tenant.' },
    { name: 'type', kind: 'text', value: 'TYPE', doc: 'Only events of this live type.' },
    { name: 'topic', kind: 'text', value: 'TOPIC', doc: 'Only events of this topic.' },
    ...remoteFlags('admin'),
  ],
  examples: ['millrace events tail', 'millrace events tail --tenant acme --type Deal'],
  exits: [EXIT.unavailable, EXIT.refused],
  async run(input, io) {
    const admin = await connect('admin', input, io);
    const query = new URLSearchParams();
    for (const name of ['tenant', 'type', 'topic']) if (input.text(name) !== null) query.set(name, input.text(name)!);
    const response = await admin.send(`/events/tail?${query.toString()}`, { headers: { accept: 'text/event-stream' } });
    if (response.status === 401 || response.status === 403)
      throw new MillraceError(cliErrors.SERVER_REFUSED, `the server answered ${response.status}`);
    if (!response.ok || response.body === null) throw new MillraceError(cliErrors.SERVER_SAID_NO, `the server answered ${response.status}`);
    if (io.stdout.isTTY) io.stderr.write('waiting for events; Ctrl-C ends\n');
    try {
      for await (const event of readSse(response.body)) show(event, input.json, io);
    } catch (error) {
      if (!io.interrupted.aborted)
        throw new MillraceError(cliErrors.SERVER_UNREACHABLE, `the connection to ${admin.base.href} broke`, {}, error);
    }
    return io.interrupted.aborted ? EXIT.ok : EXIT.unavailable;
  },
};

function show({ event, data }: SseEvent, json: boolean, io: Io): void {
  if (event === 'skipped') io.stderr.write(`(${data} events skipped)\n`);
  else printLine(io, json ? data : traceLine(data));
}

/** Fields of a trace row that stand at the front of its line, in this order; whatever else it has follows as `name=value`. */
const LEADING = ['topic', 'type', 'id', 'action', 'tenant', 'outcome', 'code', 'reason'];

export function traceLine(data: string): string {
  let row: Readonly<Record<string, unknown>>;
  try {
    row = JSON.parse(data) as Readonly<Record<string, unknown>>;
  } catch {
    return cell(data);
  }
  const at = typeof row['at'] === 'number' ? new Date(row['at']).toISOString().slice(11, 23) : cell(row['at']);
  const present = (value: unknown): boolean => value !== null && value !== undefined;
  const leading = LEADING.filter((key) => present(row[key])).map((key) => cell(row[key]));
  const rest = Object.entries(row).filter(([key, value]) => key !== 'at' && !LEADING.includes(key) && present(value));
  return [at, ...leading, ...rest.map(([key, value]) => `${key}=${cell(value)}`)].join('  ');
}
