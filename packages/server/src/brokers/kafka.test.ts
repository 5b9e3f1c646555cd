import { randomUUID } from 'node:crypto';
import { Consumer } from '@platformatic/kafka';
import { beforeAll, describe } from 'vitest';
import { available, service } from '../../../../tools/services/shared.ts';
import { type BrokerHarness, type BrokerHarnessOptions, brokerConformance } from './conformance.ts';
import type { KafkaOptions } from './kafka-client.ts';
import { KafkaSink } from './kafka-sink.ts';
import { type KafkaConsumer, KafkaSource } from './kafka-source.ts';
import { foreignHarness } from './testing/foreign-harness.ts';
import { KafkaAdmin } from './testing/kafka-admin.ts';

let admin: KafkaAdmin;

async function harness(protocol: KafkaOptions['protocol'], options: BrokerHarnessOptions): Promise<BrokerHarness> {
  const prefix = `t${randomUUID().slice(0, 8)}`;
  const live = ['crm.deals', 'other.topic'];
  for (const topic of live) await admin.createTopic(`${prefix}.${topic}`);
  const kafka: KafkaOptions = {
    name: 'main',
    servers: admin.servers,
    group: prefix,
    protocol,
    instanceId: null,
    start: 'earliest',
    onLoss: 'stop',
    tls: null,
    sasl: null,
    topics: live.map((topic) => ({ name: `${prefix}.${topic}`, as: topic })),
  };
  const bounds = options.maxUnsettled === undefined ? {} : { maxUnsettled: options.maxUnsettled };
  return foreignHarness(
    {
      retriesSurvive: true,
      make({ logger, metrics, clock, ledger, log }) {
        let consumer: KafkaConsumer;
        const makeConsumer = (given: ConstructorParameters<typeof Consumer>[0]) => (consumer = new Consumer(given as never));
        const deps = { logger, metrics, clock, ledger, deadLetters: log.deadLetters, makeConsumer };
        return {
          sink: new KafkaSink(kafka, logger, options.maxPending),
          source: new KafkaSource(kafka, deps, bounds),
          // What a crash has not committed is lost with it; that the group is left is all the same to whoever comes next.
          cut: () => void (consumer.commit = () => Promise.resolve()),
        };
      },
      clean: () => admin.deleteTopics(live.map((topic) => `${prefix}.${topic}`)),
    },
    options,
  );
}

describe.skipIf(!available('kafka'))('kafka', () => {
  beforeAll(async () => {
    admin = new KafkaAdmin((await service('kafka')).brokers);
  });
  brokerConformance('kafka, KIP-848', (options) => harness('consumer', options));
  brokerConformance('kafka, classic groups', (options) => harness('classic', options));
});
