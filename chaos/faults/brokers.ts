import { KafkaService } from '../../tools/services/kafka.ts';
import { RabbitService } from '../../tools/services/rabbitmq.ts';
import { RedisService } from '../../tools/services/redis.ts';
import { between } from '../lib/chance.ts';
import { KafkaFeed } from '../lib/kafka-feed.ts';
import { type Feed, type PairSite, restartOne, startPair } from '../lib/pair.ts';
import { RabbitFeed } from '../lib/rabbit-feed.ts';
import { pause } from '../lib/pause.ts';
import { type Fault, runnable, type RunnableFault } from '../lib/run.ts';
import type { Topology } from '../lib/site.ts';
import { owning } from '../lib/owning.ts';

type KafkaSite = PairSite & { readonly kafka: KafkaService };
type RabbitSite = PairSite & { readonly rabbit: RabbitService };

const BROKERS = 3;

async function withRedis(folder: string, opening: AsyncDisposableStack, feed: Feed): Promise<PairSite> {
  const redis = opening.use(await RedisService.start());
  return opening.use(await startPair(folder, { URLS: redis.url, KEY_PREFIX: 'chaos' }, feed));
}

async function startKafka(folder: string, members: 'dynamic' | 'static'): Promise<KafkaSite> {
  await using opening = new AsyncDisposableStack();
  const kafka = opening.use(await KafkaService.start({ brokers: BROKERS }));
  const feed = opening.use(await KafkaFeed.start(kafka.addresses));
  const config = (node: string): object => ({ brokers: [feed.broker(members === 'static' ? `chaos-${node}` : null)] });
  const site = await withRedis(folder, opening, { send: feed.send, config });
  return owning(opening, { ...site, kafka });
}

const onKafka: Topology<KafkaSite> = {
  name: 'two processes that share a consumer group on three Kafka brokers, and a Redis',
  needs: ['kafka', 'redis'],
  start: (folder) => startKafka(folder, 'dynamic'),
};
const onKafkaStatic: Topology<KafkaSite> = { ...onKafka, start: (folder) => startKafka(folder, 'static') };

const onRabbit: Topology<RabbitSite> = {
  name: 'two processes on a quorum queue, and a Redis',
  needs: ['rabbitmq', 'redis'],
  async start(folder) {
    await using opening = new AsyncDisposableStack();
    const rabbit = opening.use(await RabbitService.start());
    const feed = opening.use(await RabbitFeed.start(rabbit.port));
    const site = await withRedis(folder, opening, { send: feed.send, config: () => ({ brokers: [feed.broker] }) });
    return owning(opening, { ...site, rabbit });
  },
};

const kafka: readonly Fault<KafkaSite>[] = [
  {
    name: 'kafka-broker-kill',
    title: 'kill -9 of one of three Kafka brokers, whose partitions get other leaders; it comes back',
    topology: onKafka,
    gaps: 'none',
    async strike({ kafka: service }, chance) {
      const id = between(chance, 1, BROKERS);
      await service.kill(id);
      await pause(chance, 500, 1_500);
      await service.start(id);
    },
  },
  {
    name: 'kafka-leader-change',
    title: 'one of three Kafka brokers is restarted in good order, so that its partitions move and come back',
    topology: onKafka,
    gaps: 'none',
    strike: ({ kafka: service }, chance) => service.restart(between(chance, 1, BROKERS)),
  },
  {
    name: 'kafka-rebalance',
    title: 'kill -9 of a member of the group that is an edge too: its partitions and its users go to the other',
    topology: onKafka,
    gaps: 'none',
    strike: restartOne,
  },
  {
    name: 'kafka-static-member',
    title: 'kill -9 of a static member, which comes back for its partitions',
    topology: onKafkaStatic,
    gaps: 'none',
    strike: restartOne,
  },
];

const rabbitRestart: Fault<RabbitSite> = {
  name: 'rabbitmq-restart',
  title: 'RabbitMQ is killed and comes back',
  topology: onRabbit,
  gaps: 'none',
  async strike({ rabbit }, chance) {
    await rabbit.kill();
    await pause(chance, 0, 500);
    await rabbit.start();
  },
};

export const brokerFaults: readonly RunnableFault[] = [...kafka.map(runnable), runnable(rabbitRestart)];
