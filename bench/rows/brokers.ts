import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { KafkaAdmin } from '../../packages/server/src/brokers/testing/kafka-admin.ts';
import { KafkaService } from '../../tools/services/kafka.ts';
import { RedisService } from '../../tools/services/redis.ts';
import type { Context } from '../lib/context.ts';
import { DEALS_SDL, type Deal, deal } from '../lib/deals.ts';
import { CPU, figure, megabytes, RATE, RSS } from '../lib/figures.ts';
import { Generator } from '../lib/generator.ts';
import { type Millrace, startMillrace } from '../lib/millrace.ts';
import { nowMicros } from '../lib/process-figures.ts';
import { Publisher } from '../lib/publisher.ts';
import type { Figures, Row } from '../lib/row.ts';
import { percentile } from '../lib/statistics.ts';
import { operatorToken, token } from '../lib/token.ts';

const SOCKETS = 500;
const PER_SOCKET = 10;
/** Each has 50 of the 5,000 subscriptions, and an event concerns one of them. */
const GROUPS = 100;
const TOPIC = 'crm.deals';

const EMBEDDED = 'millrace, embedded log and memory';
const DISTRIBUTED = 'millrace, Kafka and Redis';

const BY_VALUE = JSON.stringify({
  query: 'subscription ($n: Float) { dealEvent(filter: { value: { eq: $n } }) { deal { id title value sent } } }',
  variables: { n: 0 },
}).replace('"n":0', '"n":§');

type Session = AsyncDisposable & {
  readonly millrace: Millrace;
  readonly generator: Generator;
  readonly publisher: Publisher;
  readonly subscriptions: number;
};

async function open(subject: string, context: Context): Promise<Session> {
  await using opening = new AsyncDisposableStack();
  const args = subject === DISTRIBUTED ? await brokers(opening) : [];
  const millrace = opening.use(await startMillrace(context, { services: [{ name: 'deals', sdl: DEALS_SDL }], args }));
  const generator = opening.use(new Generator(1));
  const publisher = opening.use(new Publisher(`${millrace.addresses.events}?topic=${TOPIC}`, operatorToken()));
  const sockets = context.scale(SOCKETS, GROUPS / PER_SOCKET);
  await generator.connect({ url: millrace.addresses.ws, sockets, init: `{"authorization":"Bearer ${token('reader')}"}` });
  await generator.subscribe({ payloads: [BY_VALUE], groups: GROUPS, perSocket: PER_SOCKET });
  // Attached to channels that are elsewhere, a subscription stands a moment after it was asked for.
  await sleep(subject === DISTRIBUTED ? 4_000 : 500);
  const closing = opening.move();
  return { millrace, generator, publisher, subscriptions: sockets * PER_SOCKET, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

/** Servers of the run's own, and the flags that lead Millrace to them. */
async function brokers(opening: AsyncDisposableStack): Promise<readonly string[]> {
  const kafka = opening.use(await KafkaService.start());
  await new KafkaAdmin(kafka.addresses).createTopic(TOPIC, 4);
  const redis = opening.use(await RedisService.start());
  const broker = { name: 'main', type: 'kafka', servers: kafka.addresses, group: 'bench', delivery: 'effectively-once', topics: [TOPIC] };
  return [
    ...['--brokers', JSON.stringify([broker]), '--channels-kind', 'redis', '--channels-redis-urls', redis.url],
    ...['--cursor-key', randomBytes(32).toString('hex')],
  ];
}

/** An event for each group. */
const oneForEach = (sent: number): readonly Deal[] => Array.from({ length: GROUPS }, (_, n) => ({ ...deal(sent), value: n }));

/** A request of a hundred events; when the last subscription has its one, the next. Returns deliveries a second and CPU a delivery. */
async function closed(session: Session, seconds: number): Promise<{ readonly rate: number; readonly cpu: number }> {
  const { millrace, generator, publisher, subscriptions } = session;
  generator.count(subscriptions / generator.sockets);
  const cpu = millrace.server.cpuMicros();
  const began = nowMicros();
  let [ended, rounds] = [began, 0];
  while (rounds < 4 || ended - began < seconds * 1e6) {
    [ended] = await Promise.all([generator.mark(30_000), publisher.post(oneForEach(nowMicros()))]);
    rounds += 1;
  }
  const deliveries = rounds * subscriptions;
  return { rate: deliveries / ((ended - began) / 1e6), cpu: (millrace.server.cpuMicros() - cpu) / deliveries };
}

/** Requests at fixed moments, two thirds as many as can be; counted from the moment at which one was due. */
async function paced(session: Session, rate: number, seconds: number): Promise<Float64Array> {
  const { generator, publisher, subscriptions } = session;
  const every = (1e6 * subscriptions) / ((2 / 3) * rate);
  const requests = Math.max(4, Math.round((seconds * 1e6) / every));
  generator.count((subscriptions / generator.sockets) * requests, true);
  const began = nowMicros() + 10_000;
  let posted = Promise.resolve();
  for (let index = 0; index < requests; index += 1) {
    const due = Math.round(began + index * every);
    const early = (due - nowMicros()) / 1_000;
    if (early > 1) await sleep(early);
    posted = posted.then(() => publisher.post(oneForEach(due)));
  }
  await Promise.all([posted, generator.mark(30_000)]);
  return (await generator.collect()).latencies;
}

export const kafka: Row<Session> = {
  name: 'kafka',
  title: 'From Kafka by way of Redis to sockets',
  work:
    'A hundred events in one request, each for another one of a hundred groups of 50 subscriptions; when all 5,000 have theirs, the next. Millrace appends them to Kafka, consumes them again, publishes them in Redis, hears them from there and ' +
    'delivers them, in one process beside a broker and a Redis on the same two cores; and the same with its embedded log and channels in memory. Then at two thirds of the highest rate, counted from the moment at which a request was due.',
  stage: { name: 'a hundred groups of fifty subscriptions', subjects: [EMBEDDED, DISTRIBUTED], open },
  seconds: 90,
  headline: ['perCore', 'p99'],
  figures: {
    rate: RATE,
    perCore: figure.more('deliveries of one core', '/s'),
    cpu: CPU,
    p50: figure.less('p50', 'ms'),
    p99: figure.less('p99', 'ms'),
    max: figure.less('max', 'ms'),
    rss: RSS,
  },
  targets: [
    { text: '≥ 31,000 a second of one core', figure: 'perCore', subject: DISTRIBUTED, over: null, atLeast: 31_000 },
    { text: 'p99 ≤ 25 ms at two thirds of the maximum', figure: 'p99', subject: DISTRIBUTED, over: null, atMost: 25 },
  ],
  warm: async (session, context) => void (await closed(session, context.options.quick ? 0.3 : 3)),
  async measure(session, context): Promise<Figures> {
    const { rate, cpu } = await closed(session, context.options.quick ? 0.5 : 2);
    const latencies = await paced(session, rate, context.options.quick ? 0.5 : 3);
    return {
      rate,
      perCore: 1e6 / cpu,
      cpu,
      p50: percentile(latencies, 0.5) / 1e3,
      p99: percentile(latencies, 0.99) / 1e3,
      max: percentile(latencies, 1) / 1e3,
      rss: megabytes(session.millrace.server.residentBytes()),
    };
  },
};
