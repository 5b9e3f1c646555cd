import { randomUUID } from 'node:crypto';
import { Admin, Producer } from '@platformatic/kafka';
import { Connection } from 'rabbitmq-client';
import { describe, expect, it } from 'vitest';
import { available, service } from '../../tools/services/shared.ts';
import { DEALS_SDL } from '../deals.ts';
import { pushSchema, temporaryFolder } from '../harness.ts';
import { ResumingClient } from '../resuming-client.ts';
import { type Served, serve } from './serve.ts';

/**
 * Fault: the server dies by kill -9, again and again, while a broker brings events.
 * Mechanism that prevents loss: an offset is committed, and a message acknowledged, only after its event is journalled in its channel. What
 * was out comes again, and the channel's duplicate check absorbs what was journalled already.
 * Oracle: with `effectively-once`, every event that the broker confirmed reaches a client that resumes by cursor exactly once, in order per deal.
 */

const EVENTS = 3_000;
const BATCH = 50;
const DEALS = 20;
/** Events heard by the client after which the server dies. */
const DEATHS = [200, 900, 1_700];

type Feed = {
  readonly broker: object;
  /** Resolves when the broker has confirmed all of them. */
  send(events: readonly { readonly key: string; readonly body: string }[]): Promise<void>;
  close(): Promise<void>;
};

async function kafkaFeed(): Promise<Feed> {
  const servers = [...(await service('kafka')).brokers];
  const topic = `deals-${randomUUID()}`;
  const admin = new Admin({ clientId: 'tests', bootstrapBrokers: servers });
  await admin.createTopics({ topics: [topic], partitions: 3, replicas: 1 });
  await admin.close();
  const producer = new Producer({ clientId: 'crm', bootstrapBrokers: servers, idempotent: true });
  return {
    broker: {
      name: 'main',
      type: 'kafka',
      servers,
      group: topic,
      delivery: 'effectively-once',
      topics: [{ name: topic, as: 'crm.deals' }],
    },
    send: async (events) => {
      await producer.send({ messages: events.map(({ key, body }) => ({ topic, key: Buffer.from(key), value: Buffer.from(body) })) });
    },
    close: () => producer.close(),
  };
}

async function rabbitFeed(): Promise<Feed> {
  const server = `127.0.0.1:${(await service('rabbitmq')).port}`;
  const queue = `deals-${randomUUID()}`;
  const connection = new Connection({ hosts: [server] });
  await connection.queueDeclare({ queue, durable: true, arguments: { 'x-queue-type': 'quorum' } });
  const publisher = connection.createPublisher({ confirm: true });
  const queues = [{ name: queue, as: 'crm.deals', keyHeader: 'deal' }];
  return {
    broker: { name: 'work', type: 'rabbitmq', servers: [server], delivery: 'effectively-once', queues },
    send: async (events) => {
      const sent = events.map(({ key, body }) =>
        publisher.send({ routingKey: queue, durable: true, headers: { deal: key } }, Buffer.from(body)),
      );
      await Promise.all(sent);
    },
    async close() {
      await publisher.close();
      await connection.close();
    },
  };
}

async function produce(feed: Feed): Promise<void> {
  for (let from = 0; from < EVENTS; from += BATCH) {
    const numbers = Array.from({ length: BATCH }, (_, i) => from + i);
    await feed.send(
      numbers.map((n) => {
        const id = `deal-${n % DEALS}`;
        return { key: id, body: JSON.stringify({ event_id: `e${n}`, n, id, title: 't', company_id: 'acme' }) };
      }),
    );
  }
}

async function first(broker: object, client: ResumingClient, folder: ReturnType<typeof temporaryFolder>): Promise<Served> {
  const served = await serve([broker], folder);
  const pushed = await pushSchema(served.addresses.registry, served.token, { name: 'deals', sdl: DEALS_SDL });
  expect(pushed.status).toBe(200);
  client.connect(served, served.token);
  for (;;) {
    const metrics = await (await fetch(new URL('/metrics', served.addresses.admin))).text();
    if (/^millrace_live_subscriptions 1/m.test(metrics)) return served;
  }
}

async function survives(feed: Feed): Promise<void> {
  const folder = temporaryFolder();
  const client = new ResumingClient();
  let served = await first(feed.broker, client, folder);
  try {
    const producing = produce(feed);
    for (const death of DEATHS) {
      await client.until(() => client.events.length >= death, `${death} events`);
      await served.kill();
      client.disconnect();
      served = await serve([feed.broker], folder);
      client.connect(served, served.token);
    }
    await producing;
    await client.until(() => client.events.length >= EVENTS, `${EVENTS} events`);
    verify(client);
  } finally {
    client.disconnect();
    await served.kill();
    folder.remove();
    await feed.close();
  }
}

function verify({ errors, events }: ResumingClient): void {
  expect(errors).toEqual([]);
  expect(events.filter(({ action }) => action === 'GAP')).toEqual([]);
  const numbers = events.map(({ raw }) => raw.n);
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: EVENTS }, (_, n) => n));
  const byDeal = Map.groupBy(events, ({ id }) => id);
  const disorder = [...byDeal].filter(([, of]) => of.some(({ raw }, i) => i > 0 && raw.n < of[i - 1]!.raw.n));
  expect(disorder.map(([id]) => id)).toEqual([]);
}

const SLOW = { timeout: 120_000 };

describe.skipIf(!available('kafka'))('kill -9 of the server with events from Kafka', () => {
  it('loses nothing, delivers nothing twice, and keeps the order of each deal', SLOW, async () => survives(await kafkaFeed()));
});

describe.skipIf(!available('rabbitmq'))('kill -9 of the server with events from RabbitMQ', () => {
  it('loses nothing, delivers nothing twice, and keeps the order of each deal', SLOW, async () => survives(await rabbitFeed()));
});
