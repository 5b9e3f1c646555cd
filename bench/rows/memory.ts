import type { Context } from '../lib/context.ts';
import { ALL_DEALS } from '../lib/deals.ts';
import { CPU, figure, kilobytes, megabytes, RSS } from '../lib/figures.ts';
import { LiveSession } from '../lib/live-subject.ts';
import type { Figures, Row, Stage, Target } from '../lib/row.ts';
import { closedLoop } from './fan-out.ts';

export const CONNECTIONS = 15_000;

/** Sessions are opened empty: the row measures what connections add. */
const memoryStage: Stage<LiveSession> = {
  name: 'an empty server',
  subjects: ['millrace', 'graphql-ws', 'ws', 'net'],
  fresh: true,
  open: (subject, context) => LiveSession.open(subject, context),
};

/** Seconds of traffic where `--traffic` does not say: little every day, the full test in a row of its own. */
const TRAFFIC = { usual: 2, long: 600 } as const;

const measure =
  (usualSeconds: number) =>
  async (session: LiveSession, context: Context): Promise<Figures> => {
    const { server, generator } = session;
    const count = context.scale(CONNECTIONS);
    const payload = JSON.stringify({ query: ALL_DEALS });
    await session.guests(context.scale(500), payload);
    const empty = await server.collected();
    await session.connect(count);
    await session.subscribe([payload]);
    const atOnce = server.residentBytes();
    const idle = await server.collected();
    const traffic = await closedLoop(session, 1, context.options.trafficSeconds ?? context.scale(usualSeconds));
    const busy = server.residentBytes();
    const after = await server.collected();
    generator.check();
    const each = (bytes: number): number => kilobytes(bytes - empty.resident) / count;
    return {
      idle: each(idle.resident),
      heap: kilobytes(idle.heap - empty.heap) / count,
      after: each(after.resident),
      growth: after.resident / idle.resident,
      heapGrowth: after.heap / idle.heap,
      garbage: each(atOnce),
      busy: each(busy),
      empty: megabytes(empty.resident),
      rss: megabytes(busy),
      cpu: traffic['cpu']!,
      deliveries: traffic['rate']!,
    };
  };

const connections = CONNECTIONS.toLocaleString('en-US');
const work =
  'One subscription on each connection, every connection its own user. RSS over the empty server (which had some guests before), divided by the connections: ' +
  'after a full collection, idle and after traffic, and as it stands without one. A collection is asked of every subject alike. ';

const FIGURES = {
  idle: figure.less('idle', 'KB'),
  heap: figure.less('JS heap, idle', 'KB'),
  after: figure.less('after traffic', 'KB'),
  growth: figure.less('RSS after/idle', ''),
  heapGrowth: figure.less('JS heap after/idle', ''),
  garbage: figure.less('uncollected, connected', 'KB'),
  busy: figure.less('uncollected, in traffic', 'KB'),
  empty: figure.less('empty server', 'MB'),
  rss: RSS,
  cpu: CPU,
  deliveries: figure.told('traffic', '/s'),
} as const;

const NO_GROWTH: Target = {
  text: 'no growth under traffic (≤ 1.03)',
  figure: 'growth',
  subject: 'millrace',
  over: null,
  atMost: 1.03,
};

export const memory: Row<LiveSession> = {
  name: 'memory',
  title: `Memory per connection at ${connections} connections`,
  work: `${work}Traffic: ${TRAFFIC.usual} s, or \`--traffic SEC\`; \`memory-traffic\` is the full test.`,
  stage: memoryStage,
  seconds: 255,
  figures: FIGURES,
  targets: [{ text: 'idle ≤ 8 KB', figure: 'idle', subject: 'millrace', over: null, atMost: 8 }, NO_GROWTH],
  measure: measure(TRAFFIC.usual),
};

export const memoryTraffic: Row<LiveSession> = {
  name: 'memory-traffic',
  title: `Memory per connection at ${connections} connections, after ten minutes of traffic`,
  work: `${work}Traffic: ten minutes, or \`--traffic SEC\`.`,
  stage: memoryStage,
  subjects: ['millrace', 'graphql-ws'],
  seconds: 6_200,
  patienceSeconds: 86_400,
  figures: FIGURES,
  headline: ['after'],
  targets: [{ text: '≤ 8 KB after traffic', figure: 'after', subject: 'millrace', over: null, atMost: 8 }, NO_GROWTH],
  measure: measure(TRAFFIC.long),
};
