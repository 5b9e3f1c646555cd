import { Connection } from 'rabbitmq-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RabbitServer, rabbitInstalled, startRabbit } from '../../packages/server/test/services/rabbitmq.ts';
import { deal, serve, subscribe } from './serve.ts';

let server: RabbitServer;

describe.skipIf(!rabbitInstalled())('millrace serve with RabbitMQ', () => {
  beforeAll(async () => {
    server = await startRabbit();
  });
  afterAll(() => server.stop());

  it('brings what is published to an exchange, and what is posted, to a socket', async () => {
    const queue = { name: 'deals', bindings: [{ exchange: 'crm', routingKey: 'deal.*' }], exchange: 'crm', routingKey: 'deal.posted' };
    await using served = await serve([{ name: 'work', type: 'rabbitmq', servers: [server.address], delivery: 'effectively-once', queues: [queue] }]);
    const inbox = await subscribe(served, 'work:deals');
    const connection = new Connection({ hosts: [server.address] });
    await connection.createPublisher({ confirm: true }).send({ exchange: 'crm', routingKey: 'deal.changed', contentType: 'application/json' }, Buffer.from(deal(1)));
    await connection.close();
    const posted = await fetch(`${served.addresses.events}?topic=work:deals`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${served.token}` },
      body: deal(2),
    });
    expect(await posted.json()).toMatchObject({ events: [{ status: 'accepted' }] });
    const heard = await inbox.until((items) => items.length === 2);
    expect(heard.map(({ dealEvent }) => dealEvent.deal)).toEqual([
      { id: '1', title: 'deal 1' },
      { id: '2', title: 'deal 2' },
    ]);
  });
});
