import type { Need } from './available.ts';
import { KafkaService, kafkaNeed } from './kafka.ts';
import { PostgresService, postgresNeed } from './postgres.ts';
import { RabbitService, rabbitmqNeed } from './rabbitmq.ts';
import { ClusterService } from './redis-cluster.ts';
import { SentinelService, sentinelNeed } from './redis-sentinel.ts';
import { RedisService, redisNeed } from './redis.ts';

/** What a client needs in order to connect; plain data, so that it can go to another process. */
export type Facts = {
  readonly redis: { readonly url: string; readonly port: number };
  readonly 'redis-sentinel': {
    readonly masterName: string;
    readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  };
  readonly 'redis-cluster': { readonly urls: readonly string[] };
  readonly rabbitmq: { readonly url: string; readonly port: number };
  readonly kafka: { readonly brokers: readonly string[] };
  readonly postgres: { readonly url: string };
};

export type ServiceName = keyof Facts;

export type Running<Name extends ServiceName = ServiceName> = { readonly facts: Facts[Name]; stop(): Promise<void> };

type Entry<Name extends ServiceName> = {
  /** Null where this machine has all that it takes. */
  need(): Need | null;
  start(): Promise<Running<Name>>;
  /** For a shell, as printed by `npm run services`. */
  env(facts: Facts[Name]): readonly (readonly [string, string])[];
};

const started = <Name extends ServiceName>(facts: Facts[Name], service: { stop(): Promise<void> }): Running<Name> => ({
  facts,
  stop: () => service.stop(),
});

export const catalogue: { readonly [Name in ServiceName]: Entry<Name> } = {
  redis: {
    need: redisNeed,
    async start() {
      const service = await RedisService.start();
      return started<'redis'>({ url: service.url, port: service.port }, service);
    },
    env: ({ url }) => [['REDIS_URL', url]],
  },
  'redis-sentinel': {
    need: sentinelNeed,
    async start() {
      const service = await SentinelService.start();
      const sentinels = service.sentinels.map(({ port }) => ({ host: '127.0.0.1', port }));
      return started<'redis-sentinel'>({ masterName: service.masterName, sentinels }, service);
    },
    env: ({ masterName, sentinels }) => [
      ['REDIS_SENTINELS', sentinels.map(({ host, port }) => `${host}:${port}`).join(',')],
      ['REDIS_SENTINEL_MASTER', masterName],
    ],
  },
  'redis-cluster': {
    need: redisNeed,
    async start() {
      const service = await ClusterService.start();
      return started<'redis-cluster'>({ urls: service.urls }, service);
    },
    env: ({ urls }) => [['REDIS_CLUSTER_URLS', urls.join(',')]],
  },
  rabbitmq: {
    need: rabbitmqNeed,
    async start() {
      const service = await RabbitService.start();
      return started<'rabbitmq'>({ url: service.url, port: service.port }, service);
    },
    env: ({ url }) => [['AMQP_URL', url]],
  },
  kafka: {
    need: kafkaNeed,
    async start() {
      const service = await KafkaService.start();
      return started<'kafka'>({ brokers: service.addresses }, service);
    },
    env: ({ brokers }) => [['KAFKA_BROKERS', brokers.join(',')]],
  },
  postgres: {
    need: postgresNeed,
    async start() {
      const service = await PostgresService.start();
      return started<'postgres'>({ url: service.url }, service);
    },
    env: ({ url }) => [['POSTGRES_URL', url]],
  },
};

export const serviceNames = Object.keys(catalogue) as readonly ServiceName[];

export function isServiceName(name: string): name is ServiceName {
  return Object.hasOwn(catalogue, name);
}
