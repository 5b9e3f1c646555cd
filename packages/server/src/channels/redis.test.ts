import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { redisCommand } from '../../../../tools/services/redis-command.ts';
import { RedisService } from '../../../../tools/services/redis.ts';
import { available, service } from '../../../../tools/services/shared.ts';
import { Metrics } from '../kit/metrics.ts';
import { silentLogger } from '../kit/log.ts';
import { systemRandom } from '../kit/random.ts';
import { channelsConformance, DEALS, Ear } from './conformance.ts';
import { createChannelsMetrics, createRedisMetrics } from './metrics.ts';
import { RedisChannels } from './redis.ts';
import type { RedisChannelsOptions, RedisStore } from './redis-options.ts';
import { liveEvent } from './testing/events.ts';
import { redisHarness } from './testing/redis-harness.ts';

const at = (port: number): RedisStore => ({ kind: 'standalone', server: { host: '127.0.0.1', port } });

async function open(options: Partial<RedisChannelsOptions> & { readonly store: RedisStore }) {
  const metrics = new Metrics();
  const channels = await RedisChannels.open(
    // A short lease: a new store trusts nobody's, and who attaches waits for it.
    { keyPrefix: `test-${systemRandom.hex(6)}`, partitions: 4, leaseMs: 200, checkMs: 50, ...options },
    { logger: silentLogger, metrics: createChannelsMetrics(metrics), redisMetrics: createRedisMetrics(metrics) },
  );
  onTestFinished(() => channels.close());
  const value = async (name: string): Promise<number> =>
    Number(new RegExp(`^millrace_channels_redis_${name} (\\S+)$`, 'm').exec(await metrics.text())?.[1] ?? 0);
  return { channels, value };
}

/** Resolves when the listener has heard as many events. */
class WaitingEar extends Ear {
  #want: { readonly count: number; resolve(): void } | null = null;

  override onEvents(events: Parameters<Ear['onEvents']>[0]): void {
    super.onEvents(events);
    if (this.#want && this.heard.length >= this.#want.count) this.#want.resolve();
  }

  heardAtLeast(count: number): Promise<void> {
    if (this.heard.length >= count) return Promise.resolve();
    return new Promise((resolve) => (this.#want = { count, resolve }));
  }
}

describe.skipIf(!available('redis'))('redis, standalone', () => {
  const make = async (options: Parameters<typeof redisHarness>[1]) => redisHarness(at((await service('redis')).port), options);
  channelsConformance('redis', make, { shared: true, modelRuns: 60 });

  it('brings events by the subscription alone, in one message a call', async () => {
    const { port } = await service('redis');
    const { channels, value } = await open({ store: at(port) });
    const ear = new WaitingEar();
    await channels.subscribe(DEALS, ear);
    await channels.publish(Array.from({ length: 100 }, (_, i) => liveEvent(`${i}`)));
    await ear.heardAtLeast(100);
    expect(ear.ids).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
    expect(await value('refilled_events_total')).toBe(0);
    expect(await value('calls_total{script="publish"}')).toBe(1);
  });

  it('publishes with one call a partition, however many channels', async () => {
    const { port } = await service('redis');
    const { channels, value } = await open({ store: at(port) });
    const names = Array.from({ length: 40 }, (_, i) => ({ tenant: `t${i}`, type: 'Deal' }));
    const ears = names.map(() => new WaitingEar());
    await Promise.all(names.map((name, i) => channels.subscribe(name, ears[i]!)));
    await channels.publish(Array.from({ length: 200 }, (_, i) => liveEvent(`${i}`, names[i % 40])));
    await Promise.all(ears.map((ear) => ear.heardAtLeast(5)));
    expect(await value('calls_total{script="publish"}')).toBe(4);
  });

  it('asks Redis nothing about tenants that nobody listens to', async () => {
    const { port } = await service('redis');
    const { channels, value } = await open({ store: at(port), leaseMs: 60_000 });
    const before = await value('calls_total{script="watch"}');
    for (let i = 0; i < 10_000; i++) expect(channels.interested({ tenant: `t${i}`, type: 'Deal' })).toBe(false);
    // All of it was one turn of the event loop: nothing can have been asked.
    expect(await value('calls_total{script="watch"}')).toBe(before);
  });

  it('sends large calls in pieces and keeps their order', async () => {
    const { port } = await service('redis');
    const { channels, value } = await open({ store: at(port), callEvents: 10, maxEvents: 1_000 });
    const ear = new WaitingEar();
    await channels.subscribe(DEALS, ear);
    const results = await channels.publish(Array.from({ length: 95 }, (_, i) => liveEvent(`${i}`)));
    await ear.heardAtLeast(95);
    expect(results.map((result) => (result.kind === 'published' ? result.position.offset : null))).toEqual(ear.heard.map((_, i) => i + 1));
    expect(await value('calls_total{script="publish"}')).toBe(10);
  });

  it('gives every key of a channel a time to live', async () => {
    const { port } = await service('redis');
    const keyPrefix = `test-${systemRandom.hex(6)}`;
    const { channels } = await open({ store: at(port), keyPrefix, partitions: 1 });
    await channels.subscribe(DEALS, new Ear());
    await channels.publish([liveEvent('1', { version: 1 })]);
    for (const key of ['m', 'h', 'z', 'i0', 'v0'])
      expect(Number(await redisCommand({ port }, 'PTTL', `{${keyPrefix}:0}${key}:Deal:acme`))).toBeGreaterThan(0);
  });

  it('says so where other processes use another number of partitions', async () => {
    const { port } = await service('redis');
    const keyPrefix = `test-${systemRandom.hex(6)}`;
    await open({ store: at(port), keyPrefix, partitions: 4 });
    await expect(open({ store: at(port), keyPrefix, partitions: 2 })).rejects.toMatchObject({ code: 'CHANNELS_LAYOUT_DIFFERS' });
  });

  it('says so where nobody answers', async () => {
    await expect(open({ store: at(1) })).rejects.toMatchObject({ code: 'CHANNELS_AWAY' });
  });
});

/** The user as docs/redis.md defines it, so that what it tells to allow is enough. */
function documentedUser(password: string): string {
  const docs = readFileSync(new URL('../../../../docs/redis.md', import.meta.url), 'utf8');
  return /^user millrace .*$/m.exec(docs)![0].replace('<password>', password);
}

describe.skipIf(!available('redis'))('redis with TLS and users', () => {
  const config = ['user default off', documentedUser('secret-of-millrace'), 'user poor on >poor -@all +hello +ping'];

  it('needs no more rights than are documented, and takes the server’s certificate by its authority', async () => {
    // The starter's own user may do everything; ours is defined beside it.
    await using redis = await RedisService.start({ tls: true, user: { name: 'admin', password: 'admin' }, config: config.slice(1) });
    const store = at(redis.port);
    const ca = redis.certificate!.ca;
    const tls = { ca, client: null };
    const login = { username: 'millrace', password: 'secret-of-millrace' };
    const { channels } = await open({ store, tls, login, keyPrefix: 'millrace' });
    const ear = new WaitingEar();
    const subscription = await channels.subscribe(DEALS, ear);
    await channels.publish([liveEvent('1', { version: 1 })]);
    await ear.heardAtLeast(1);
    expect((await channels.history(DEALS, subscription.position, 10, 1e6)).events.length).toBe(1);
    subscription.close();
    await channels.settle();
    await channels.close();

    const refused = { code: 'CHANNELS_STORE_REFUSED' };
    for (const bad of [
      { username: 'millrace', password: 'wrong-password' },
      { username: 'poor', password: 'poor' },
      { username: null, password: null },
    ]) {
      const error = await open({ store, tls, login: bad, keyPrefix: 'millrace' }).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject(refused);
      expect(JSON.stringify(error) + String((error as Error).stack)).not.toMatch(/wrong-password|secret-of/);
    }
    await expect(open({ store, tls: { ca: null, client: null }, login, keyPrefix: 'millrace' })).rejects.toMatchObject({
      code: 'CHANNELS_AWAY',
    });
  });
});
