import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../lib/context.ts';
import { ALL_DEALS, documents } from '../lib/deals.ts';
import { figure, kilobytes, megabytes, RSS } from '../lib/figures.ts';
import { LiveSession } from '../lib/live-subject.ts';
import { nowMicros } from '../lib/process-figures.ts';
import type { Figures, Row, Stage } from '../lib/row.ts';
import type { ServerProcess } from '../lib/server-process.ts';

const SOCKETS = 2_500;
const FURTHER = 20;

/** Each socket has its first subscription, so that what comes is further ones. */
const subscribeStage: Stage<LiveSession> = {
  name: `${SOCKETS} sockets, one subscription each`,
  subjects: ['millrace', 'graphql-ws'],
  fresh: true,
  async open(subject, context) {
    const session = await LiveSession.open(subject, context);
    await session.connect(context.scale(SOCKETS));
    await session.subscribe([JSON.stringify({ query: ALL_DEALS })]);
    return session;
  },
};

/** Until the server rests: a pong says that messages were read, not that all their work is done. */
async function settled(server: ServerProcess): Promise<void> {
  for (let before = server.cpuMicros(), now = Number.POSITIVE_INFINITY; now - before > 20_000;) {
    before = server.cpuMicros();
    await sleep(150);
    now = server.cpuMicros();
  }
}

async function measure(session: LiveSession, context: Context): Promise<Figures> {
  const { server, generator } = session;
  const count = context.scale(SOCKETS) * FURTHER;
  const before = await server.collected();
  const cpu = server.cpuMicros();
  const began = nowMicros();
  await generator.subscribe({ payloads: documents(FURTHER, false), groups: 1, perSocket: FURTHER });
  const seconds = (nowMicros() - began) / 1e6;
  await settled(server);
  const used = (server.cpuMicros() - cpu) / 1e6;
  const after = await server.collected();
  await session.expectFurther(FURTHER);
  return {
    perCore: count / used,
    cpu: (used * 1e6) / count,
    rss: megabytes(server.residentBytes()),
    rate: count / seconds,
    bytes: kilobytes(after.resident - before.resident) / count,
    heap: kilobytes(after.heap - before.heap) / count,
  };
}

export const subscribe: Row<LiveSession> = {
  name: 'subscribe',
  title: 'New and further subscriptions',
  work:
    `50,000 new subscriptions of 20 documents: 20 further ones on each of ${SOCKETS} connections, all sent at once. Subscriptions a second of server CPU, and RSS ` +
    'after a full collection, divided by the subscriptions. One event then shows that all of them stand. That a document is parsed and validated once is proved by a test ' +
    '(`operation-document.test.ts`); here it shows in the CPU.',
  stage: subscribeStage,
  seconds: 108,
  headline: ['perCore', 'bytes'],
  figures: {
    perCore: figure.more('subscriptions', '/s of CPU'),
    cpu: figure.less('server CPU', 'µs/subscription'),
    rate: figure.more('subscriptions', '/s'),
    bytes: figure.less('RSS each', 'KB'),
    heap: figure.less('JS heap each', 'KB'),
    rss: RSS,
  },
  targets: [
    { text: '≥ 20,000 a second a core', figure: 'perCore', subject: 'millrace', over: null, atLeast: 20_000 },
    { text: '≤ 0.6 KB a further subscription', figure: 'bytes', subject: 'millrace', over: null, atMost: 0.6 },
  ],
  measure,
};
