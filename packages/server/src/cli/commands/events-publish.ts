import { setTimeout as pause } from 'node:timers/promises';
import { MillraceError } from '../../kit/errors.ts';
import { systemRandom } from '../../kit/random.ts';
import type { Command, Input, Io } from '../command.ts';
import { cliErrors, usageError } from '../errors.ts';
import { EXIT } from '../exit-codes.ts';
import { printJson, printLine, progress } from '../print.ts';
import { readInput } from '../read-input.ts';
import { type Answer, type Remote, connect, parseAnswer, remoteFlags, saidNo } from '../remote.ts';

type Outcome = {
  readonly id?: string | null;
  readonly status: 'accepted' | 'duplicate' | 'rejected';
  readonly code?: string;
  readonly reason?: string;
};

export const eventsPublish: Command = {
  path: ['events', 'publish'],
  summary: 'Publish events: plain JSON, an array, NDJSON, or CloudEvents.',
  details:
    'EVENT is inline JSON, a file, or - for standard input (the default). What is a CloudEvent is recognised; anything else is plain JSON and needs --topic.\n' +
    'With --event-type the JSON becomes the data of one CloudEvent. Long NDJSON goes out in batches; a busy server is waited for.',
  positionals: [{ name: 'EVENT', doc: 'inline JSON, a file, or -', optional: true }],
  flags: [
    { name: 'topic', kind: 'text', value: 'TOPIC', doc: 'The topic that the events belong to.' },
    { name: 'event-type', kind: 'text', value: 'TYPE', doc: 'Wrap the JSON as a CloudEvent of this type, such as crm.deals.changed.' },
    { name: 'event-id', kind: 'text', value: 'ID', doc: 'Id of that CloudEvent (default random). Publishing an id twice is a duplicate.' },
    { name: 'event-source', kind: 'text', value: 'URI', doc: 'Source of that CloudEvent (default /cli).' },
    ...remoteFlags('events'),
  ],
  examples: [
    `millrace events publish --topic shop.orders '{"id": "1", "shop_id": "acme", "status": "paid"}'`,
    'millrace events publish --topic shop.orders orders.ndjson',
    `millrace events publish --event-type shop.orders.changed '{"id": "1", "shop_id": "acme"}'`,
  ],
  exits: [EXIT.unavailable, EXIT.refused],
  async run(input, io) {
    const text = await eventText(input, io);
    const batches = makeBatches(text, input);
    const events = await connect('events', input, io);
    const outcomes = await publishAll(events, batches, input, io);
    return summarise(outcomes, input, io);
  },
};

async function eventText(input: Input, io: Io): Promise<string> {
  const given = input.positionals[0] ?? '-';
  const inline = /^\s*[[{]/.test(given);
  if (given === '-' && io.stdin.isTTY) throw usageError('millrace events publish needs an event: inline JSON, a file, or standard input');
  const text = inline ? given : await readInput(io, given);
  if (text.trim() === '') throw usageError('there is no event in the input');
  return text;
}

export type Batch = { readonly contentType: string; readonly body: string; readonly count: number };

const BATCH_LINES = 500;
const BATCH_CHARS = 1_000_000;

/** What goes out, and how it is called (CloudEvents 1.0 HTTP binding, 3). Throws USAGE where the input is neither JSON nor NDJSON. */
export function makeBatches(text: string, input: Pick<Input, 'text'>): readonly Batch[] {
  const whole = tryParse(text);
  if (whole === undefined) return lineBatches(text);
  if (input.text('event-type') !== null)
    return [{ contentType: 'application/cloudevents+json', body: JSON.stringify(wrap(whole, input)), count: 1 }];
  if (Array.isArray(whole)) {
    return [
      {
        contentType: whole.length > 0 && whole.every(isCloudEvent) ? 'application/cloudevents-batch+json' : 'application/json',
        body: text,
        count: whole.length,
      },
    ];
  }
  return [{ contentType: isCloudEvent(whole) ? 'application/cloudevents+json' : 'application/json', body: text, count: 1 }];
}

function lineBatches(text: string): readonly Batch[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const broken = lines.findIndex((line) => tryParse(line) === undefined);
  if (broken >= 0) throw usageError(`the input is neither JSON nor one JSON value a line: line ${broken + 1} cannot be parsed`);
  const batches: string[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const line of lines) {
    if (size + line.length > BATCH_CHARS || batches.at(-1)!.length >= BATCH_LINES) {
      batches.push([]);
      size = 0;
    }
    batches.at(-1)!.push(line);
    size += line.length;
  }
  const cloudEvents = lines.every((line) => isCloudEvent(tryParse(line)));
  return batches.map((batch) =>
    cloudEvents
      ? { contentType: 'application/cloudevents-batch+json', body: `[${batch.join(',')}]`, count: batch.length }
      : { contentType: 'application/x-ndjson', body: batch.join('\n'), count: batch.length },
  );
}

function wrap(data: unknown, input: Pick<Input, 'text'>): unknown {
  return {
    specversion: '1.0',
    id: input.text('event-id') ?? systemRandom.hex(16),
    source: input.text('event-source') ?? '/cli',
    type: input.text('event-type'),
    datacontenttype: 'application/json',
    data,
  };
}

function isCloudEvent(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'specversion' in value && 'type' in value && 'source' in value;
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

async function publishAll(events: Remote, batches: readonly Batch[], input: Input, io: Io): Promise<readonly Outcome[]> {
  const topic = input.text('topic');
  const bar = progress(io);
  const outcomes: Outcome[] = [];
  for (const [index, batch] of batches.entries()) {
    const answer = await postPatiently(events, topic === null ? '' : `?${new URLSearchParams({ topic }).toString()}`, batch, io);
    const results = (parseIfJson(answer) as { events?: readonly Outcome[] } | null)?.events;
    if (!results) throw saidNo(answer);
    outcomes.push(...results);
    if (batches.length > 1) bar.show(`batch ${index + 1} of ${batches.length}`);
  }
  bar.done();
  return outcomes;
}

function parseIfJson(answer: Answer): unknown {
  return answer.text.startsWith('{') ? parseAnswer(answer) : null;
}

const PATIENCE = 20;

/** 429 and 503 say when to come back; the batch is idempotent by event id, so sending it again is safe. */
async function postPatiently(events: Remote, path: string, batch: Batch, io: Io): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await events.ask(path, { method: 'POST', headers: { 'content-type': batch.contentType }, body: batch.body });
    if (answer.status !== 429 && answer.status !== 503) return answer;
    if (attempt === PATIENCE) throw new MillraceError(cliErrors.SERVER_NOT_READY, `the server was still busy after ${PATIENCE} attempts`);
    await pause(Math.min(answer.retryAfter ?? 1, 10) * 1000, undefined, { signal: io.interrupted });
  }
}

function summarise(outcomes: readonly Outcome[], input: Input, io: Io): typeof EXIT.ok | typeof EXIT.failed {
  const count = (status: Outcome['status']): number => outcomes.filter((outcome) => outcome.status === status).length;
  const rejected = outcomes.filter(({ status }) => status === 'rejected');
  if (input.json) printJson(io, { events: outcomes });
  else printLine(io, `accepted ${count('accepted')}, duplicate ${count('duplicate')}, rejected ${rejected.length}`);
  for (const { id, code, reason } of rejected.slice(0, 20))
    io.stderr.write(`rejected ${id ?? '(no id)'}: ${reason ?? ''} (${code ?? 'UNKNOWN'})\n`);
  if (rejected.length > 20) io.stderr.write(`and ${rejected.length - 20} more\n`);
  return rejected.length > 0 ? EXIT.failed : EXIT.ok;
}
