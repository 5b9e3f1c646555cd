import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../lib/context.ts';
import { deal } from '../lib/deals.ts';
import { CPU, figure, megabytes, RSS } from '../lib/figures.ts';
import type { LiveSession } from '../lib/live-subject.ts';
import { nowMicros } from '../lib/process-figures.ts';
import type { Figures, Row } from '../lib/row.ts';
import { percentile } from '../lib/statistics.ts';
import { closedLoop, fanOutStage } from './fan-out.ts';

const PEER = 'graphql-ws';

/** Events a second that a subject manages at most, from a closed loop. */
async function measureMaximum(session: LiveSession, context: Context): Promise<void> {
  const { rate } = await closedLoop(session, 1, context.options.quick ? 0.3 : 2);
  const note = `most events a second, ${session.subject}`;
  // Where one subject stands there twice, both are asked at the rate that the slower one can take.
  context.notes.set(note, Math.min(rate! / session.generator.sockets, context.notes.get(note) ?? Number.POSITIVE_INFINITY));
}

/** Half of that, as an interval in microseconds; null: the subject is not in this run. */
function interval(context: Context, subject: string): number | null {
  const most = context.notes.get(`most events a second, ${subject}`);
  return most === undefined ? null : 2e6 / most;
}

/** Share of messages that may be cut by the end of a read, in which the generator does not look for the moment. */
const MOST_UNREAD = 0.001;

type OpenLoop = { readonly latencies: Float64Array; readonly cpu: number };

const milliseconds = (sorted: Float64Array) =>
  [percentile(sorted, 0.5) / 1e3, percentile(sorted, 0.99) / 1e3, percentile(sorted, 1) / 1e3] as const;

/**
 * Publishes at fixed moments, whatever the server does meanwhile. An event carries the moment at which it was due, not the one at which it
 * could be sent, so that a server that falls behind cannot hide it (coordinated omission).
 */
async function openLoop(session: LiveSession, every: number, seconds: number): Promise<OpenLoop> {
  const { generator, server } = session;
  const events = Math.max(4, Math.round((seconds * 1e6) / every));
  generator.count(events, true);
  const cpu = server.cpuMicros();
  const began = nowMicros() + 10_000;
  let posted = Promise.resolve();
  for (let index = 0; index < events; index += 1) {
    const due = Math.round(began + index * every);
    const early = (due - nowMicros()) / 1_000;
    if (early > 1) await sleep(early);
    // One after the other on one connection: who is late waits, and its waiting counts.
    posted = posted.then(() => session.publish(deal(due)));
  }
  await Promise.all([posted, generator.mark()]);
  const used = server.cpuMicros() - cpu;
  const { latencies, frames } = await generator.collect();
  const lost = frames - latencies.length;
  if (lost > frames * MOST_UNREAD)
    throw new Error(`${session.subject}: ${lost} of ${frames} messages came in pieces, so that nobody read when they were due`);
  return { latencies, cpu: used / frames };
}

export const latency: Row<LiveSession> = {
  name: 'latency',
  title: 'Latency from publish to receipt at half the maximum rate',
  work:
    `The same fan-out at half the highest rate of ${PEER}, for both; and for Millrace at half its own. Open loop, counted from the moment at ` +
    'which an event was due until a socket has it; all sockets, so the last tenth of a percent is about the last socket.',
  stage: fanOutStage,
  subjects: ['millrace', PEER],
  seconds: 80,
  headline: ['p99'],
  figures: {
    p50: figure.less('p50', 'ms'),
    p99: figure.less('p99', 'ms'),
    max: figure.less('max', 'ms'),
    events: figure.told('events', '/s'),
    cpu: CPU,
    rss: RSS,
    ownP50: figure.less('p50 at half its own', 'ms'),
    ownP99: figure.less('p99', 'ms'),
    ownMax: figure.less('max', 'ms'),
    ownEvents: figure.told('events', '/s'),
  },
  targets: [{ text: 'p99 ≤ 0.5 × graphql-ws at the same rate', figure: 'p99', subject: 'millrace', over: PEER, atMost: 0.5 }],
  warm: measureMaximum,
  async measure(session, context): Promise<Figures> {
    const shared = interval(context, PEER);
    const figures = shared === null ? {} : await atSharedRate(session, shared, context);
    return session.subject === PEER ? figures : { ...figures, ...(await atOwnRate(session, context)) };
  },
};

const secondsOf = (context: Context): number => (context.options.quick ? 0.5 : 5);

async function atSharedRate(session: LiveSession, every: number, context: Context): Promise<Figures> {
  const { latencies, cpu } = await openLoop(session, every, secondsOf(context));
  const [p50, p99, max] = milliseconds(latencies);
  return { p50, p99, max, events: 1e6 / every, cpu, rss: megabytes(session.server.residentBytes()) };
}

async function atOwnRate(session: LiveSession, context: Context): Promise<Figures> {
  const every = interval(context, session.subject);
  if (every === null) throw new Error(`the highest rate of ${session.subject} is not known`);
  const [ownP50, ownP99, ownMax] = milliseconds((await openLoop(session, every, secondsOf(context))).latencies);
  return { ownP50, ownP99, ownMax, ownEvents: 1e6 / every };
}
