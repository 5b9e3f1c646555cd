import { randomUUID } from 'node:crypto';
import { Admin, Consumer, Producer } from '@platformatic/kafka';
import { Connection } from 'rabbitmq-client';
import { describe, expect, it } from 'vitest';
import { available, service } from '../../tools/services/shared.ts';
import { Inbox, pushSchema, wsClient } from '../harness.ts';
import { type Served, serve } from './serve.ts';

/**
 * The recipe of docs/kafka.md and docs/rabbitmq.md: a client subscribes to the replies to its own id, then posts the request; a service, which
 * knows nothing of Millrace, reads requests from the broker and produces replies to it.
 */

const SDL = `
extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])
type Query { ping: String }
type Request @key(fields: "id") @live(topic: "quotes.requests", tenant: "company") { id: ID! @carried  amount: Int! @carried }
type Reply @key(fields: "id") @live(topic: "quotes.replies", tenant: "company") { id: ID! @carried @filterable  price: Int! @carried }`;

type Answering = { readonly broker: object; close(): Promise<void> };

const priced = (request: string): string => {
  const { id, company, amount } = JSON.parse(request) as { readonly id: string; readonly company: string; readonly amount: number };
  return JSON.stringify({ id, company, price: amount * 3 });
};

async function kafkaService(): Promise<Answering> {
  const servers = [...(await service('kafka')).brokers];
  const [requests, replies] = [`requests-${randomUUID()}`, `replies-${randomUUID()}`];
  const admin = new Admin({ clientId: 'tests', bootstrapBrokers: servers });
  await admin.createTopics({ topics: [requests, replies], partitions: 1, replicas: 1 });
  await admin.close();
  const producer = new Producer({ clientId: 'quotes', bootstrapBrokers: servers });
  const consumer = new Consumer({ clientId: 'quotes', groupId: `quotes-${requests}`, bootstrapBrokers: servers });
  const stream = await consumer.consume({ topics: [requests], mode: 'earliest', maxWaitTime: 100 });
  stream.on('data', ({ value }) => {
    void producer.send({ messages: [{ topic: replies, value: Buffer.from(priced(value.toString())) }] });
  });
  const topics = [
    { name: requests, as: 'quotes.requests' },
    { name: replies, as: 'quotes.replies' },
  ];
  return {
    broker: { name: 'main', type: 'kafka', servers, group: `millrace-${requests}`, topics },
    async close() {
      await stream.close();
      await consumer.close(true);
      await producer.close();
    },
  };
}

async function rabbitService(): Promise<Answering> {
  const server = `127.0.0.1:${(await service('rabbitmq')).port}`;
  const [exchange, replies] = [`requests-${randomUUID()}`, `replies-${randomUUID()}`];
  const connection = new Connection({ hosts: [server] });
  await connection.exchangeDeclare({ exchange, type: 'fanout', durable: true });
  const publisher = connection.createPublisher({ confirm: true });
  const queue = `${exchange}.quotes`;
  const consumer = connection.createConsumer(
    { queue, queueOptions: { durable: true }, queueBindings: [{ exchange, routingKey: '' }] },
    async ({ body }) => publisher.send({ routingKey: replies, durable: true }, Buffer.from(priced(JSON.stringify(body)))),
  );
  await new Promise((resolve) => consumer.once('ready', resolve));
  const queues = [
    { name: `${exchange}.millrace`, as: 'quotes.requests', bindings: [{ exchange, type: 'fanout' }], exchange },
    { name: replies, as: 'quotes.replies' },
  ];
  return {
    broker: { name: 'work', type: 'rabbitmq', servers: [server], queues },
    async close() {
      await consumer.close();
      await publisher.close();
      await connection.close();
    },
  };
}

type Priced = { readonly replyEvent: { readonly reply: { readonly id: string; readonly price: number } } };

async function ask(served: Served, id: string, amount: number): Promise<Priced> {
  const inbox = new Inbox<Priced>();
  const client = wsClient(served.addresses, served.token);
  const query = 'subscription($id: ID!) { replyEvent(filter: { id: { eq: $id } }) { reply { id price } } }';
  client.subscribe<Priced>(
    { query, variables: { id } },
    { next: ({ data }) => void (data && inbox.push(data)), error: () => {}, complete: () => {} },
  );
  for (;;) {
    const metrics = await (await fetch(new URL('/metrics', served.addresses.admin))).text();
    if (/^millrace_live_subscriptions [1-9]/m.test(metrics)) break;
  }
  const posted = await fetch(`${served.addresses.events}?topic=quotes.requests`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${served.token}` },
    body: JSON.stringify({ id, company: 'acme', amount }),
  });
  expect(posted.status).toBe(202);
  const [reply] = await inbox.until((items) => items.length > 0);
  await client.dispose();
  return reply!;
}

async function answers(answering: Answering): Promise<void> {
  try {
    await using served = await serve([answering.broker]);
    expect((await pushSchema(served.addresses.registry, served.token, { name: 'quotes', sdl: SDL })).status).toBe(200);
    expect(await ask(served, 'q1', 7)).toEqual({ replyEvent: { reply: { id: 'q1', price: 21 } } });
  } finally {
    await answering.close();
  }
}

describe.skipIf(!available('kafka'))('request and reply over Kafka', () => {
  it('brings the answer to the client that asked', async () => answers(await kafkaService()));
});

describe.skipIf(!available('rabbitmq'))('request and reply over RabbitMQ', () => {
  it('brings the answer to the client that asked', async () => answers(await rabbitService()));
});
