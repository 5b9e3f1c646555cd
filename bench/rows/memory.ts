import type { Context } from '../lib/context.ts';
import { ALL_DEALS } from '../lib/deals.ts';
import { LiveSession } from '../lib/live-subject.ts';
import type { Figures, Row, Stage } from '../lib/row.ts';
import { closedLoop } from './fan-out.ts';

export const CONNECTIONS = 15_000;

/** Sessions are opened empty: the row measures what connections add. */
const memoryStage: Stage<LiveSession> = {
  name: 'an empty server',
  subjects: ['millrace', 'graphql-ws', 'ws', 'net'],
  fresh: true,
  open: (subject, context) => LiveSession.open(subject, context),
};

async function measure(session: LiveSession, context: Context): Promise<Figures> {
  const { server, generator } = session;
  const count = context.scale(CONNECTIONS);
  const payload = JSON.stringify({ query: ALL_DEALS });
  await session.guests(context.scale(500), payload);
  const empty = await server.collected();
  await session.connect(count);
  await session.subscribe([payload]);
  const atOnce = server.residentBytes();
  const idle = await server.collected();
  const traffic = await closedLoop(session, 1, context.options.trafficSeconds);
  const busy = server.residentBytes();
  const after = await server.collected();
  generator.check();
  const each = (bytes: number): number => (bytes - empty.resident) / count / 1024;
  return {
    idle: each(idle.resident),
    heap: (idle.heap - empty.heap) / count / 1024,
    after: each(after.resident),
    growth: after.resident / idle.resident,
    heapGrowth: after.heap / idle.heap,
    garbage: each(atOnce),
    busy: each(busy),
    empty: empty.resident / 1e6,
    deliveries: traffic['rate']!,
  };
}

export const memory: Row<LiveSession> = {
  name: 'memory',
  title: `Memory per connection at ${CONNECTIONS.toLocaleString('en-US')} connections`,
  work:
    'One subscription on each connection, every connection its own user. RSS over the empty server (which had some guests before), divided by the connections: after a full collection, idle ' +
    'and after some traffic (`--traffic SEC`; the full test is 600), and as it stands without one. A collection is asked of every subject alike.',
  stage: memoryStage,
  maxRuns: 3,
  figures: {
    idle: { label: 'idle', unit: 'KB', better: 'less' },
    heap: { label: 'JS heap, idle', unit: 'KB', better: 'less' },
    after: { label: 'after traffic', unit: 'KB', better: 'less' },
    growth: { label: 'RSS after/idle', unit: '', better: 'less' },
    heapGrowth: { label: 'JS heap after/idle', unit: '', better: 'less' },
    garbage: { label: 'uncollected, connected', unit: 'KB', better: 'less' },
    busy: { label: 'uncollected, in traffic', unit: 'KB', better: 'less' },
    empty: { label: 'empty server', unit: 'MB', better: 'less' },
    deliveries: { label: 'traffic', unit: '/s', better: null },
  },
  targets: [
    { text: 'idle ≤ 8 KB', figure: 'idle', subject: 'millrace', over: null, atMost: 8 },
    { text: 'no growth under traffic (≤ 1.03)', figure: 'growth', subject: 'millrace', over: null, atMost: 1.03 },
  ],
  measure,
};
