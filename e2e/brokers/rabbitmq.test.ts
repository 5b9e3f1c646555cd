import { randomUUID } from 'node:crypto';
import { Connection } from 'rabbitmq-client';
import { beforeAll, describe, expect, it } from 'vitest';
import { available, service } from '../../tools/services/shared.ts';
import { deal, serve, subscribe } from './serve.ts';

let server: string;
const name = `deals-${randomUUID()}`;
const exchange = `crm-${randomUUID()}`;

describe.skipIf(!available('rabbitmq'))('millrace serve with RabbitMQ', () => {
  beforeAll(async () => {
    server = `127.0.0.1:${(await service('rabbitmq')).port}`;
  });

  it('brings what is published to an exchange, and what is posted, to a socket', async () => {
    const queue = { name, as: 'work:deals', bindings: [{ exchange, routingKey: 'deal.*' }], exchange, routingKey: 'deal.posted' };
    await using served = await serve([
      { name: 'work', type: 'rabbitmq', servers: [server], delivery: 'effectively-once', queues: [queue] },
    ]);
    const inbox = await subscribe(served, 'work:deals');
    const connection = new Connection({ hosts: [server] });
    const publisher = connection.createPublisher({ confirm: true });
    await publisher.send({ exchange, routingKey: 'deal.changed', contentType: 'application/json' }, Buffer.from(deal(1)));
    await publisher.close();
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
