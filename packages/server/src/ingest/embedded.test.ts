import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type EmbeddedLog, openEmbeddedLog } from '../brokers/embedded-log.ts';
import type { SinkRecord } from '../brokers/event-sink.ts';
import { createBrokersMetrics } from '../brokers/metrics.ts';
import type { Channels } from '../channels/channels.ts';
import { MemoryChannels } from '../channels/memory.ts';
import { createChannelsMetrics } from '../channels/metrics.ts';
import type { LiveEvent } from '../events/live-event.ts';
import { systemClock } from '../kit/clock.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { systemRandom } from '../kit/random.ts';
import { EventTrace } from './event-trace.ts';
import { dealType } from '../events/testing/deal-type.ts';
import { FakeChannels } from './testing/fakes.ts';
import { type IngestOptions, IngestWorker } from './ingest-worker.ts';
import { createIngestMetrics } from './metrics.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-ingest-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

type House = { readonly log: EmbeddedLog; readonly worker: IngestWorker; readonly trace: EventTrace; close(): Promise<void> };

async function open(channels: Pick<Channels, 'interested' | 'publish'>, options: Partial<IngestOptions> = {}): Promise<House> {
  const metrics = new Metrics();
  const log = openEmbeddedLog(join(folder, 'log.sqlite'), { logger: silentLogger, metrics: createBrokersMetrics(metrics) });
  const trace = new EventTrace();
  const worker = new IngestWorker(
    {
      source: log.source('ingest'),
      channels,
      liveTypesFor: () => [dealType()],
      trace,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      metrics: createIngestMetrics(metrics, trace),
    },
    options,
  );
  await worker.start();
  return {
    log,
    worker,
    trace,
    close: async () => {
      await worker.stop();
      await log.close();
    },
  };
}

let nextEvent = 0;
function record(key: string, body: string): SinkRecord {
  return {
    topic: 'crm.deals',
    key,
    headers: new Map([['content-type', 'application/json']]),
    value: Buffer.from(body),
    timestamp: Date.now(),
    eventId: `e${nextEvent++}`,
  };
}

const deal = (key: string, n: number): SinkRecord => record(key, JSON.stringify({ id: key, company_id: 'acme', event_id: `${key}-${n}` }));

async function outcomes(house: House, count: number): Promise<string[]> {
  const subscription = house.trace.subscribe(1_000);
  const seen: string[] = [];
  for await (const batch of subscription ?? []) {
    seen.push(...batch.entries.map((entry) => entry.outcome));
    if (seen.length >= count) break;
  }
  return seen;
}

describe('ingest from the embedded log to the memory channels', () => {
  test('one order per entity, nothing twice, nothing for a tenant that nobody listens to', async () => {
    const channels = new MemoryChannels({ logger: silentLogger, metrics: createChannelsMetrics(new Metrics()) });
    const got: LiveEvent[] = [];
    await channels.subscribe(
      { tenant: 'acme', type: 'Deal' },
      { onEvents: (events) => void got.push(...events.map(({ event }) => event)), onGap: () => expect.unreachable() },
    );
    const house = await open(channels);
    const bodies = Array.from({ length: 200 }, (_, i) => ({
      id: `k${i % 5}`,
      company_id: i % 2 === 0 ? 'acme' : 'globex',
      event_id: `e${i}`,
    }));
    await house.log.sink.append(bodies.map((body) => record(body.id, JSON.stringify(body))));
    const again = record('k0', JSON.stringify(bodies[0]));
    await house.log.sink.append([again]);
    const seen = await outcomes(house, 201);
    expect(Object.fromEntries([...Map.groupBy(seen, (one) => one)].map(([one, all]) => [one, all.length]))).toEqual({
      published: 100,
      'no-interest': 100,
      duplicate: 1,
    });
    for (const key of ['k0', 'k1', 'k2', 'k3', 'k4']) {
      const wanted = bodies.filter((body) => body.id === key && body.company_id === 'acme').map((body) => body.event_id);
      expect(got.filter((event) => event.key === key).map((event) => event.id)).toEqual(wanted);
    }
    expect(got.every((event) => event.tenant === 'acme')).toBe(true);
    await house.close();
    await channels.close();
  });
});

describe('a crash between publish and settlement', () => {
  test('delivers the record again, and the duplicate check absorbs it', async () => {
    const channels = new MemoryChannels({ logger: silentLogger, metrics: createChannelsMetrics(new Metrics()) });
    const got: string[] = [];
    await channels.subscribe(
      { tenant: 'acme', type: 'Deal' },
      { onEvents: (events) => void got.push(...events.map(({ event }) => event.id)), onGap: () => {} },
    );
    const published = Promise.withResolvers<void>();
    const crashing = await open({
      interested: (name) => channels.interested(name),
      async publish(events) {
        await channels.publish(events);
        published.resolve();
        return new Promise(() => {});
      },
    });
    await crashing.log.sink.append([deal('k', 1)]);
    await published.promise;
    await crashing.log.close();

    const restarted = await open(channels);
    expect(await outcomes(restarted, 1)).toEqual(['duplicate']);
    expect(got).toEqual(['k-1']);
    await restarted.close();
    await channels.close();
  });
});

describe('ingest on the embedded log', () => {
  test('carries appended records to the channels in order per key; nothing comes again after a restart', async () => {
    const channels = new FakeChannels();
    const first = await open(channels);
    const records = Array.from({ length: 300 }, (_, i) => deal(`k${i % 7}`, i));
    await first.log.sink.append(records);
    await outcomes(first, 300);
    await first.close();
    for (let key = 0; key < 7; key++) {
      const got = channels.published.filter((event) => event.key === `k${key}`).map((event) => event.id);
      expect(got).toEqual(
        Array.from({ length: 300 }, (_, i) => i)
          .filter((i) => i % 7 === key)
          .map((i) => `k${key}-${i}`),
      );
    }
    const second = await open(channels);
    await second.log.sink.append([deal('k0', 300)]);
    expect(await outcomes(second, 1)).toEqual(['published']);
    await second.close();
    expect(channels.published).toHaveLength(301);
  });

  test('poison is a dead letter with its bytes, code and reason', async () => {
    const house = await open(new FakeChannels());
    await house.log.sink.append([record('k', '{"id":1,'), deal('k', 1)]);
    expect((await outcomes(house, 2)).toSorted()).toEqual(['published', 'rejected']);
    await house.worker.stop();
    const [row] = await house.log.deadLetters.list({ limit: 10 });
    const letter = await house.log.deadLetters.show(row?.id ?? '');
    expect(letter).toMatchObject({ code: 'JSON_INVALID', topic: 'crm.deals' });
    expect(Buffer.from(letter?.record.value ?? []).toString()).toBe('{"id":1,');
    await house.close();
  });

  test('what waits for a retry at the stop is delivered at the next start', async () => {
    const channels = new FakeChannels();
    channels.failures = 1;
    const first = await open(channels, { backoff: { baseMs: 60_000, maxMs: 60_000 } });
    await first.log.sink.append([deal('k', 1), deal('k', 2)]);
    expect(await outcomes(first, 2)).toEqual(['retry', 'retry']);
    await first.close();
    expect(channels.published).toHaveLength(0);
    const second = await open(channels);
    expect(await outcomes(second, 2)).toEqual(['published', 'published']);
    await second.close();
    expect(channels.published.map((event) => event.id)).toEqual(['k-1', 'k-2']);
  });
});
