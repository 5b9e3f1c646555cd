import { randomUUID } from 'node:crypto';
import { Connection } from 'rabbitmq-client';
import { beforeAll, describe } from 'vitest';
import { available, service } from '../../../../tools/services/shared.ts';
import { type BrokerHarness, type BrokerHarnessOptions, brokerConformance } from './conformance.ts';
import { type RabbitOptions, type RabbitQueue, connectRabbit } from './rabbit-client.ts';
import { RabbitSink } from './rabbit-sink.ts';
import { RabbitSource } from './rabbit-source.ts';
import { Beside } from './testing/beside.ts';

let server: string;

async function harness(kind: RabbitQueue['kind'], options: BrokerHarnessOptions): Promise<BrokerHarness> {
  const prefix = `t${randomUUID().slice(0, 8)}`;
  const rabbit: RabbitOptions = {
    name: 'main',
    servers: [server],
    vhost: '/',
    username: 'guest',
    password: 'guest',
    tls: null,
    queues: ['crm.deals', 'other.topic'].map((as) => ({
      name: `${prefix}.${as}`,
      as,
      kind,
      declare: true,
      deadLetterExchange: null,
      deliveryLimit: null,
      bindings: [],
      keyHeader: null,
      publish: null,
    })),
  };
  const beside = new Beside(options.maxDeadLetters);
  let sink: RabbitSink;
  let source: RabbitSource;
  let connection: Connection;
  const begin = async (): Promise<void> => {
    await beside.open();
    const { logger, metrics, clock, ledger, log } = beside;
    sink = new RabbitSink(rabbit, logger, options.maxPending);
    source = new RabbitSource(
      rabbit,
      { logger, metrics, clock, ledger, deadLetters: log.deadLetters, connect: () => (connection = connectRabbit(rabbit, 'test', logger)) },
      options.maxUnsettled === undefined ? {} : { maxUnsettled: options.maxUnsettled },
    );
    await source.open();
  };
  const end = async (how: 'crash' | 'close'): Promise<void> => {
    await sink.close();
    if (how === 'crash') connection.unsafeDestroy();
    await source.close();
    await beside.close();
  };
  await begin();
  return {
    retriesSurvive: kind === 'stream',
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
      const cleaner = connectRabbit(rabbit, 'cleaner', beside.logger);
      for (const { name } of rabbit.queues) await cleaner.queueDelete({ queue: name });
      await cleaner.close();
      await beside.dispose();
    },
  };
}

describe.skipIf(!available('rabbitmq'))('rabbitmq', () => {
  beforeAll(async () => {
    server = `127.0.0.1:${(await service('rabbitmq')).port}`;
  });
  for (const kind of ['classic', 'quorum', 'stream'] as const) brokerConformance(`rabbitmq, ${kind}`, (options) => harness(kind, options));
});
