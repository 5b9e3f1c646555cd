import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Context } from '../lib/context.ts';
import { DEALS_SDL } from '../lib/deals.ts';
import { figure, megabytes, RSS } from '../lib/figures.ts';
import { Generator } from '../lib/generator.ts';
import { startMillrace } from '../lib/millrace.ts';
import type { Figures, Row, Stage } from '../lib/row.ts';
import { ServerProcess } from '../lib/server-process.ts';
import { operatorToken } from '../lib/token.ts';
import { HttpLoad } from '../shop/load.ts';

/** `#` becomes a number never used twice. */
const EVENT =
  '{"event_id":"#","action":"changed","company_id":"acme","id":"#","title":"Renewal of the yearly plan","account":"Northwind","value":12500,"stage":"won","sent":"0000000000000000"}';
const BATCH = 100;

type IngestSession = AsyncDisposable & {
  readonly server: ServerProcess;
  readonly events: string;
  readonly load: HttpLoad;
  /** Resolves when all that was accepted has had its effect. */
  settled(): Promise<void>;
};

const stage: Stage<IngestSession> = {
  name: 'an address that takes events',
  subjects: ['millrace', 'node:http and node:sqlite'],
  async open(subject, context) {
    await using opening = new AsyncDisposableStack();
    const load = opening.use(new HttpLoad());
    const started = subject === 'millrace' ? await startLive(context, opening) : await startBare(opening);
    const closing = opening.move();
    return { ...started, load, [Symbol.asyncDispose]: () => closing.disposeAsync() };
  },
};

/** With a subscriber whose filter no event passes: events are mapped, placed in their channel, kept and matched, and reach nobody. */
async function startLive(context: Context, opening: AsyncDisposableStack): Promise<Omit<IngestSession, 'load' | keyof AsyncDisposable>> {
  const { server, addresses } = opening.use(await startMillrace(context, { services: [{ name: 'deals', sdl: DEALS_SDL }] }));
  const generator = opening.use(new Generator(1));
  await generator.connect({ url: addresses.ws, sockets: 1, init: '{"authorization":"Bearer §token"}' });
  const query = 'subscription { dealEvent(filter: { value: { gte: 1000000000 } }) { deal { id } } }';
  await generator.subscribe({ payloads: [JSON.stringify({ query })], groups: 1, perSocket: 1 });
  return { server, events: `${addresses.events}?topic=crm.deals`, settled: () => untilSettled(addresses.admin) };
}

async function untilSettled(admin: string): Promise<void> {
  for (;;) {
    const text = await (await fetch(new URL('/metrics', admin))).text();
    const lag = /^millrace_ingest_lag_records\{[^}]*\} (\d+)/m.exec(text)?.[1];
    if (lag === '0') return;
    await sleep(20);
  }
}

async function startBare(opening: AsyncDisposableStack): Promise<Omit<IngestSession, 'load' | keyof AsyncDisposable>> {
  const server = opening.use(await ServerProcess.start({ args: [fileURLToPath(new URL('../peers/sqlite-log.ts', import.meta.url))] }));
  return { server, events: String(server.ready['events']), settled: () => Promise.resolve() };
}

function row(name: string, title: string, batch: number, connections: number, requests: number, target: number): Row<IngestSession> {
  const body = batch === 1 ? EVENT : `[${Array.from({ length: batch }, () => EVENT).join(',')}]`;
  const post = (session: IngestSession, count: number) =>
    session.load.run({
      url: session.events,
      connections,
      headers: { Authorization: `Bearer ${operatorToken()}` },
      bodies: [body],
      requests: count,
    });
  const measure = async (session: IngestSession, context: Context): Promise<Figures> => {
    const cpu = session.server.cpuMicros();
    const began = performance.now();
    const result = await post(session, context.scale(requests, 64));
    await session.settled();
    const events = result.answers * batch;
    const used = session.server.cpuMicros() - cpu;
    return {
      rate: events / ((performance.now() - began) / 1000),
      core: events / (used / 1e6),
      cpu: used / events,
      p50: result.p50 / 1000,
      p99: result.p99 / 1000,
      rss: megabytes(session.server.residentBytes()),
    };
  };
  return {
    name,
    title,
    work:
      'Events of 190 bytes are posted, each with an id of its own, and answered when they are on the disk. Millrace verifies the token, checks for ' +
      'duplicates, maps each event and publishes it to a channel with a subscriber; the time runs until the last one has been published. The peer ' +
      'parses the body and inserts it, with `synchronous = FULL` and one transaction a request.',
    stage,
    seconds: batch === 1 ? 11 : 6,
    headline: ['core'],
    figures: {
      rate: figure.more('events', '/s'),
      core: figure.more('events of one core', '/s'),
      cpu: figure.less('server CPU', 'µs/event'),
      p50: figure.less('p50 of a request', 'ms'),
      p99: figure.less('p99 of a request', 'ms'),
      rss: RSS,
    },
    targets: [
      {
        text: `≥ ${target.toLocaleString('en')} events a second on one core`,
        figure: 'core',
        subject: 'millrace',
        over: null,
        atLeast: target,
      },
    ],
    warm: async (session, context) => {
      await post(session, context.scale(requests / 2, 64));
      await session.settled();
    },
    measure,
  };
}

export const ingestBatches = row('ingest', 'POST /events, durable, in batches of 100', BATCH, 8, 400, 40_000);
export const ingestSingle = row('ingest-single', 'POST /events, durable, one event a request on 64 connections', 1, 64, 8_000, 8_000);
