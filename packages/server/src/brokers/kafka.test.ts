import { randomUUID } from 'node:crypto';
import { Consumer } from '@platformatic/kafka';
import { beforeAll, describe } from 'vitest';
import { available, service } from '../../../../tools/services/shared.ts';
import { type BrokerHarness, type BrokerHarnessOptions, brokerConformance } from './conformance.ts';
import type { KafkaOptions } from './kafka-client.ts';
import { KafkaSink } from './kafka-sink.ts';
import { type KafkaConsumer, KafkaSource } from './kafka-source.ts';
import { Beside } from './testing/beside.ts';
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
  const beside = new Beside(options.maxDeadLetters);
  let sink: KafkaSink;
  let source: KafkaSource;
  let consumer: KafkaConsumer;
  const begin = async (): Promise<void> => {
    await beside.open();
    const { logger, metrics, clock, ledger, log } = beside;
    sink = new KafkaSink(kafka, logger, options.maxPending);
    source = new KafkaSource(
      kafka,
      {
        logger,
        metrics,
        clock,
        ledger,
        deadLetters: log.deadLetters,
        makeConsumer: (given) => (consumer = new Consumer(given as never) as KafkaConsumer),
      },
      options.maxUnsettled === undefined ? {} : { maxUnsettled: options.maxUnsettled },
    );
    await source.open();
  };
  const end = async (how: 'crash' | 'close'): Promise<void> => {
    await sink.close();
    // What a crash has not committed is lost with it; that the group is left is all the same to whoever comes next.
    if (how === 'crash') consumer.commit = (() => Promise.resolve()) as typeof consumer.commit;
    await source.close();
    await beside.close();
  };
  await begin();
  return {
    retriesSurvive: true,
    get sink() {
      return sink;
    },
    get source() {
      return source;
    },
    get deadLetters() {
      return beside.log.deadLetters;
    },
    get redriven() {
      return beside.redriven;
    },
    now: () => beside.clock.now(),
    elapse: async (ms) => beside.clock.advance(ms),
    async restart(how) {
      await end(how);
      await begin();
    },
    async dispose() {
      await end('close');
      await beside.dispose();
    },
  };
}

describe.skipIf(!available('kafka'))('kafka', () => {
  beforeAll(async () => {
    admin = new KafkaAdmin((await service('kafka')).brokers);
  });
  brokerConformance('kafka, KIP-848', (options) => harness('consumer', options));
  brokerConformance('kafka, classic groups', (options) => harness('classic', options));
});
