import { randomUUID } from 'node:crypto';
import type { Connection } from 'rabbitmq-client';
import { beforeAll, describe } from 'vitest';
import { available, service } from '../../../../tools/services/shared.ts';
import { type BrokerHarness, type BrokerHarnessOptions, brokerConformance } from './conformance.ts';
import { type RabbitOptions, type RabbitQueue, connectRabbit } from './rabbit-client.ts';
import { RabbitSink } from './rabbit-sink.ts';
import { RabbitSource } from './rabbit-source.ts';
import { foreignHarness } from './testing/foreign-harness.ts';
import { rabbitOptions } from './testing/rabbit-options.ts';

let server: string;

async function harness(kind: RabbitQueue['kind'], options: BrokerHarnessOptions): Promise<BrokerHarness> {
  const prefix = `t${randomUUID().slice(0, 8)}`;
  const rabbit: RabbitOptions = rabbitOptions(
    server,
    ['crm.deals', 'other.topic'].map((as) => ({ name: `${prefix}.${as}`, as, kind })),
  );
  const bounds = options.maxUnsettled === undefined ? {} : { maxUnsettled: options.maxUnsettled };
  return foreignHarness(
    {
      retriesSurvive: kind === 'stream',
      make({ logger, metrics, clock, ledger, log }) {
        let connection: Connection;
        const connect = () => (connection = connectRabbit(rabbit, 'test', logger));
        return {
          sink: new RabbitSink(rabbit, logger, options.maxPending),
          source: new RabbitSource(rabbit, { logger, metrics, clock, ledger, deadLetters: log.deadLetters, connect }, bounds),
          cut: () => connection.unsafeDestroy(),
        };
      },
      async clean({ logger }) {
        const cleaner = connectRabbit(rabbit, 'cleaner', logger);
        for (const { name } of rabbit.queues) await cleaner.queueDelete({ queue: name });
        await cleaner.close();
      },
    },
    options,
  );
}

describe.skipIf(!available('rabbitmq'))('rabbitmq', () => {
  beforeAll(async () => {
    server = `127.0.0.1:${(await service('rabbitmq')).port}`;
  });
  for (const kind of ['classic', 'quorum', 'stream'] as const) brokerConformance(`rabbitmq, ${kind}`, (options) => harness(kind, options));
});
