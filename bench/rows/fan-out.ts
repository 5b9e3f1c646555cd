import type { Context } from '../lib/context.ts';
import { ALL_DEALS, deal } from '../lib/deals.ts';
import { DELIVERY_FIGURES, megabytes } from '../lib/figures.ts';
import { LiveSession } from '../lib/live-subject.ts';
import { nowMicros } from '../lib/process-figures.ts';
import type { Figures, Row, Stage } from '../lib/row.ts';

export const SOCKETS = 5_000;

export const fanOutStage: Stage<LiveSession> = {
  name: `${SOCKETS} sockets, one subscription each, all the same`,
  subjects: ['millrace', 'graphql-ws', 'yoga', 'mercurius', 'net'],
  async open(subject, context) {
    const session = await LiveSession.open(subject, context);
    await session.connect(context.scale(SOCKETS));
    await session.subscribe([JSON.stringify({ query: ALL_DEALS })]);
    return session;
  },
};

/** Posts `burst` events in one request, waits until every socket has them, and begins again, for about so long. */
export async function closedLoop(session: LiveSession, burst: number, seconds: number, least = 4): Promise<Figures> {
  const { generator, server } = session;
  generator.count(burst);
  const cpu = server.cpuMicros();
  const began = nowMicros();
  let ended = began;
  let rounds = 0;
  while (rounds < least || ended - began < seconds * 1e6) {
    const answered = session.publish(burst === 1 ? deal(nowMicros()) : Array.from({ length: burst }, () => deal(nowMicros())));
    [ended] = await Promise.all([generator.mark(), answered]);
    rounds += 1;
  }
  const used = server.cpuMicros() - cpu;
  const collected = await generator.collect();
  const deliveries = rounds * burst * generator.sockets;
  if (collected.frames !== deliveries) throw new Error(`${session.subject}: ${collected.frames} frames came, not ${deliveries}`);
  return {
    rate: deliveries / ((ended - began) / 1e6),
    cpu: used / deliveries,
    rss: megabytes(server.residentBytes()),
    bytes: collected.bytes / deliveries,
    busy: (100 * used) / (ended - began),
    generator: collected.cpuMicros / deliveries,
    generatorBusy: (100 * collected.cpuMicros) / (ended - began),
  };
}

const secondsOf = (context: Context): number => (context.options.quick ? 0.3 : 1.5);

export async function warm(session: LiveSession, context: Context): Promise<void> {
  await closedLoop(session, 1, secondsOf(context));
}

export const oneAtATime = (session: LiveSession, context: Context): Promise<Figures> => closedLoop(session, 1, secondsOf(context));

/** Where the generator rests, it is not what limits the rate. */
const generatorRests = (subject: string) =>
  ({ text: `generator below 90 % of a core with ${subject}`, figure: 'generatorBusy', subject, over: null, atMost: 90 }) as const;

export const fanOut: Row<LiveSession> = {
  name: 'fan-out',
  title: 'Fan-out to 5,000 sockets, one event at a time',
  work: `One event by POST /events; when the last of ${SOCKETS} sockets has it, the next. Every socket has one subscription and its own user.`,
  stage: fanOutStage,
  seconds: 60,
  figures: DELIVERY_FIGURES,
  headline: ['rate', 'cpu'],
  targets: [
    { text: '≥ 4 × graphql-ws', figure: 'rate', subject: 'millrace', over: 'graphql-ws', atLeast: 4 },
    { text: 'CPU a delivery ≤ 1/4 of graphql-ws', figure: 'cpu', subject: 'millrace', over: 'graphql-ws', atMost: 1 / 4 },
    { text: '≥ 0.85 × bare net', figure: 'rate', subject: 'millrace', over: 'net', atLeast: 0.85 },
    { text: '≤ 10 µs CPU a delivery', figure: 'cpu', subject: 'millrace', over: null, atMost: 10 },
    generatorRests('millrace'),
    generatorRests('net'),
  ],
  warm,
  measure: oneAtATime,
};

export const bursts: Row<LiveSession> = {
  name: 'bursts',
  title: 'Fan-out in bursts of 10',
  work: `Ten events in one POST /events; when the last of ${SOCKETS} sockets has all ten, the next ten.`,
  stage: fanOutStage,
  seconds: 50,
  figures: DELIVERY_FIGURES,
  headline: ['rate', 'cpu'],
  targets: [
    { text: '≥ 18 × graphql-ws', figure: 'rate', subject: 'millrace', over: 'graphql-ws', atLeast: 18 },
    { text: 'CPU a delivery ≤ 1/18 of graphql-ws', figure: 'cpu', subject: 'millrace', over: 'graphql-ws', atMost: 1 / 18 },
    { text: '≤ 2 µs CPU a delivery', figure: 'cpu', subject: 'millrace', over: null, atMost: 2 },
    generatorRests('millrace'),
  ],
  measure: (session, context) => closedLoop(session, 10, secondsOf(context), 1),
};
