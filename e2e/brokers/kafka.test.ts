import { randomUUID } from 'node:crypto';
import { Admin, Producer } from '@platformatic/kafka';
import { beforeAll, describe, expect, it } from 'vitest';
import { available, service } from '../../tools/services/shared.ts';
import { cli } from '../harness.ts';
import { type Served, deal, serve, subscribe } from './serve.ts';

let server: string;
const deals = `deals-${randomUUID()}`;
const posts = `posts-${randomUUID()}`;

async function produce(
  topic: string,
  messages: readonly { readonly key: string; readonly value: string; readonly headers?: Record<string, string> }[],
): Promise<void> {
  const producer = new Producer({ clientId: 'crm', bootstrapBrokers: [server] });
  try {
    await producer.send({
      messages: messages.map(({ key, value, headers = {} }) => ({
        topic,
        key: Buffer.from(key),
        value: Buffer.from(value),
        headers: new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
      })),
    });
  } finally {
    await producer.close();
  }
}

describe.skipIf(!available('kafka'))('millrace serve with Kafka', () => {
  beforeAll(async () => {
    server = (await service('kafka')).brokers[0]!;
    const admin = new Admin({ clientId: 'tests', bootstrapBrokers: [server] });
    await admin.createTopics({ topics: [deals, posts], partitions: 3, replicas: 1 });
    await admin.close();
  });

  it('brings what is produced to Kafka to a socket, in plain JSON and as a binary CloudEvent', async () => {
    await using served = await serve([
      { name: 'main', type: 'kafka', servers: [server], group: deals, topics: [{ name: deals, as: 'main:deals' }] },
    ]);
    const inbox = await subscribe(served, 'main:deals');
    await produce(deals, [
      { key: '1', value: deal(1) },
      {
        key: '2',
        value: JSON.stringify({ id: '2', title: 'two', company_id: 'acme' }),
        headers: { ce_specversion: '1.0', ce_id: 'x', ce_source: 'crm', ce_type: 'crm.deal.created', 'content-type': 'application/json' },
      },
    ]);
    const heard = await inbox.until((items) => items.length === 2);
    expect(heard.map(({ dealEvent }) => `${dealEvent.action} ${dealEvent.deal.id} ${dealEvent.deal.title}`).sort()).toEqual([
      'ADDED 2 two',
      'CHANGED 1 deal 1',
    ]);
  });

  it('appends what is posted for a topic of Kafka to Kafka, and absorbs what is posted twice', async () => {
    await using served = await serve([
      { name: 'main', type: 'kafka', servers: [server], group: posts, topics: [{ name: posts, as: 'main:posts' }] },
    ]);
    const inbox = await subscribe(served, 'main:posts');
    const post = (n: number) =>
      fetch(`${served.addresses.events}?topic=main:posts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${served.token}` },
        body: deal(n),
      });
    for (const n of [1, 1, 2]) expect(await (await post(n)).json()).toMatchObject({ events: [{ status: 'accepted' }] });
    const heard = await inbox.until((items) => items.some(({ dealEvent }) => dealEvent.deal.id === '2') && items.length >= 2);
    expect(heard.map(({ dealEvent }) => dealEvent.deal.id).sort()).toEqual(['1', '2']);
  });

  it('keeps poison as dead letters, which the command line redrives once', async () => {
    await using served = await serve([
      {
        name: 'main',
        type: 'kafka',
        servers: [server],
        group: `${deals}-poison`,
        topics: [{ name: deals, as: 'main:deals' }],
        start: 'latest',
      },
    ]);
    const inbox = await subscribe(served, 'main:deals');
    await produce(deals, [
      { key: '7', value: '{"id": 7' },
      { key: '8', value: deal(8) },
    ]);
    await inbox.until((items) => items.some(({ dealEvent }) => dealEvent.deal.id === '8'));
    const run = (...args: string[]) =>
      cli([...args, '--json'], { env: { MILLRACE_ADMIN: served.addresses.admin, MILLRACE_TOKEN: served.token }, cwd: served.folder });
    const listed = async () =>
      JSON.parse((await run('dead-letters', 'list')).stdout) as { id: string; topic: string; code: string; position: string }[];
    let letters = await listed();
    while (letters.length === 0) letters = await listed();
    expect(letters).toMatchObject([{ topic: 'main:deals', code: 'JSON_INVALID' }]);
    expect(letters[0]?.position).toMatch(new RegExp(`^${deals}/\\d/\\d+$`));
    expect(JSON.parse((await run('dead-letters', 'redrive', letters[0]!.id)).stdout)).toEqual({ redriven: 1, already: 0 });
    expect(JSON.parse((await run('dead-letters', 'redrive', letters[0]!.id)).stdout)).toEqual({ redriven: 0, already: 1 });
  });

  it('pauses at a flood of events that nobody knows, and delivers them once they were redriven', { timeout: 60_000 }, async () => {
    const topic = `flood-${randomUUID()}`;
    const admin = new Admin({ clientId: 'tests', bootstrapBrokers: [server] });
    await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
    await admin.close();
    await using served = await serve([
      { name: 'main', type: 'kafka', servers: [server], group: topic, topics: [{ name: topic, as: 'main:deals' }] },
    ]);
    const events = Array.from({ length: 2_000 }, (_, n) => ({ key: String(n % 10), value: deal(n) }));
    // No schema yet: no live type takes them.
    await produce(topic, events);
    await metricsWhere(served, (value) => value('ingest_breaker_open') === 1);
    const lag = await metricsWhere(served, (value) => value('ingest_lag_records') > 0, 'ingest_lag_records');
    const letters = await metricsWhere(served, () => true, 'brokers_dead_letters');
    // One by one is decided; what is decided and what waits is everything.
    expect(letters).toBeGreaterThanOrEqual(500);
    expect(lag + letters).toBeGreaterThanOrEqual(2_000);
    expect(lag).toBeGreaterThan(0);
    const inbox = await subscribe(served, 'main:deals');
    const env = { MILLRACE_ADMIN: served.addresses.admin, MILLRACE_TOKEN: served.token };
    const redriven = await cli(['dead-letters', 'redrive', '--all', '--topic', 'main:deals', '--json'], { env, cwd: served.folder });
    expect(JSON.parse(redriven.stdout)).toMatchObject({ already: 0 });
    // The pause ends with a probe, which is good now.
    const heard = await inbox.until((items) => new Set(items.map(({ dealEvent }) => dealEvent.deal.id)).size === 2_000, 50_000);
    expect(heard).toHaveLength(2_000);
  });
});

/** Asks until the metrics of the source (or without a source) are so; resolves to the one that is named. */
async function metricsWhere(
  { addresses }: Served,
  good: (value: (name: string) => number) => boolean,
  name = 'ingest_breaker_open',
): Promise<number> {
  for (;;) {
    const text = await (await fetch(new URL('/metrics', addresses.admin))).text();
    const value = (of: string): number =>
      Number(new RegExp(`^millrace_${of}(?:\\{[^}]*source="kafka:main"[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
    if (good(value)) return value(name);
  }
}
