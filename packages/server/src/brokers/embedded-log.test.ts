import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { type BrokerHarness, brokerConformance, sinkRecord } from './conformance.ts';
import { type EmbeddedLog, type EmbeddedLogOptions, openEmbeddedLog } from './embedded-log.ts';
import { EMBEDDED_LOG_DEFAULTS } from './embedded-log.ts';
import type { SourceOptions } from './embedded-source.ts';
import type { EventSource } from './event-source.ts';
import { createBrokersMetrics } from './metrics.ts';

let folder: string;
let path: string;
const open: EmbeddedLog[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-log-'));
  path = join(folder, 'events.db');
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((log) => log.close()));
  rmSync(folder, { recursive: true, force: true });
});

function openLog(
  options: Partial<EmbeddedLogOptions> = {},
  clock = new ManualClock(),
): { log: EmbeddedLog; clock: ManualClock; metrics: Metrics } {
  const metrics = new Metrics();
  const log = openEmbeddedLog(path, { logger: silentLogger, metrics: createBrokersMetrics(metrics), clock }, options);
  open.push(log);
  return { log, clock, metrics };
}

async function harness(options: Partial<EmbeddedLogOptions>, sourceOptions: Partial<SourceOptions>): Promise<BrokerHarness> {
  let clock = new ManualClock();
  let log: EmbeddedLog;
  let source: EventSource;
  const begin = async (): Promise<void> => {
    ({ log } = openLog(options, clock));
    source = log.source('test', sourceOptions);
    await source.open();
  };
  await begin();
  return {
    retriesSurvive: true,
    get sink() {
      return log.sink;
    },
    get source() {
      return source;
    },
    get deadLetters() {
      return log.deadLetters;
    },
    get redriven() {
      return source;
    },
    now: () => clock.now(),
    elapse: async (ms) => clock.advance(ms),
    async restart(how) {
      // A crash leaves the source unclosed: what it has not flushed is gone with it. (A real kill is in embedded-crash.test.ts.)
      // Its timers go with it too.
      if (how === 'crash') source.close = async () => {};
      await log.close();
      clock = new ManualClock(clock.now());
      await begin();
    },
    dispose: () => log.close(),
  };
}

brokerConformance('embedded', ({ maxPending, maxUnsettled, maxDeadLetters }) =>
  harness(
    {
      ...(maxPending === undefined ? {} : { maxPending }),
      ...(maxDeadLetters === undefined ? {} : { deadLetters: { ...EMBEDDED_LOG_DEFAULTS.deadLetters, maxCount: maxDeadLetters } }),
    },
    maxUnsettled === undefined ? {} : { maxUnsettled },
  ),
);

describe('retention', () => {
  const bounds = EMBEDDED_LOG_DEFAULTS.retention;
  const many = (count: number) => Array.from({ length: count }, (_, i) => sinkRecord(`${i}`, `k${i}`));

  async function settled(log: EmbeddedLog, count: number): Promise<EventSource> {
    const source = log.source('g');
    await source.open();
    const records = await source.pull(count);
    expect(records.length).toBe(count);
    for (const record of records) source.settle(record, { kind: 'done' });
    await source.flush();
    return source;
  }

  it('removes settled records by count, and their ids may come again', async () => {
    const { log } = openLog({ retention: { ...bounds, maxRecords: 10 } });
    await log.sink.append(many(30));
    await settled(log, 25);
    await log.enforceRetention();
    expect((await log.sink.append([sinkRecord('19', 'k'), sinkRecord('20', 'k')])).map((r) => r.status)).toEqual(['accepted', 'duplicate']);
  });

  it('keeps what a group has not settled, whatever the soft bounds say', async () => {
    const { log, clock } = openLog({ retention: { ...bounds, maxRecords: 1, maxAgeMs: 10 } });
    await log.sink.append(many(20));
    await settled(log, 5);
    clock.advance(1000);
    await log.enforceRetention();
    const source = log.source('slow');
    await source.open();
    expect((await source.pull(100)).length).toBe(15);
  });

  it('keeps a record that waits for a retry, though its group is past it', async () => {
    const { log, clock } = openLog({ retention: { ...bounds, maxAgeMs: 10 } });
    await log.sink.append(many(3));
    const source = log.source('g');
    await source.open();
    const out = await source.pull(3);
    source.settle(out[0]!, { kind: 'retry', at: clock.now() + 5000, code: 'X', reason: 'r' });
    for (const record of out.slice(1)) source.settle(record, { kind: 'done' });
    await source.flush();
    clock.advance(1000);
    await log.enforceRetention();
    clock.advance(5000);
    expect((await source.pull(1)).map((r) => [r.position, r.attempt])).toEqual([[out[0]!.position, 2]]);
  });

  it('loses unsettled records only at the hard bound, and counts them', async () => {
    const { log, metrics } = openLog({ retention: { ...bounds, maxBytes: 1000, hardMaxBytes: 3000 } });
    const source = log.source('g');
    await source.open();
    await log.sink.append(Array.from({ length: 50 }, (_, i) => sinkRecord(`${i}`, `k${i}`, 'x'.repeat(100))));
    await log.enforceRetention();
    const lost = /millrace_brokers_retention_lost_total (\d+)/.exec(await metrics.text());
    expect(Number(lost?.[1])).toBeGreaterThan(20);
    await log.close();
    const again = openLog({ retention: { ...bounds, maxBytes: 1000, hardMaxBytes: 3000 } });
    const reader = again.log.source('g');
    await reader.open();
    expect((await reader.pull(100)).length).toBe(50 - Number(lost?.[1]));
  });

  it('never gives a position twice, even when everything was removed', async () => {
    const { log, clock } = openLog({ retention: { ...bounds, maxAgeMs: 10 } });
    const [last] = (await log.sink.append(many(5))).slice(-1);
    await settled(log, 5);
    clock.advance(100);
    await log.enforceRetention();
    await log.close();
    const { log: again } = openLog();
    const [next] = await again.sink.append([sinkRecord('new')]);
    expect([last, next]).toEqual([
      { status: 'accepted', position: '5' },
      { status: 'accepted', position: '6' },
    ]);
    const source = again.source('g');
    await source.open();
    expect((await source.pull(5)).map((r) => r.position)).toEqual(['6']);
  });
});

describe('the embedded log', () => {
  it('delivers every record once in order when the consumer is slower than the producer, over check-points', async () => {
    const { log } = openLog({ checkpointBytes: 50_000, maxBatch: 50 });
    const source = log.source('g', { maxUnsettled: 100 });
    await source.open();
    const appends: Promise<unknown>[] = [];
    for (let i = 0; i < 100; i++)
      appends.push(log.sink.append(Array.from({ length: 20 }, (_, j) => sinkRecord(`${i * 20 + j}`, 'k', 'x'.repeat(200)))));
    const seen: number[] = [];
    while (seen.length < 2000) {
      for (const record of await source.pull(33)) {
        seen.push(Number(record.position));
        source.settle(record, { kind: 'done' });
      }
    }
    await Promise.all(appends);
    expect(seen).toEqual(Array.from({ length: 2000 }, (_, i) => i + 1));
    expect(await source.lag()).toBe(0);
  });

  it('refuses appends after close with a code', async () => {
    const { log } = openLog();
    await log.close();
    await expect(log.sink.append([sinkRecord('a')])).rejects.toMatchObject({ code: 'BROKER_CLOSED' });
  });

  it('refuses a second reader of a group', () => {
    const { log } = openLog();
    log.source('g');
    expect(() => log.source('g')).toThrow('already in use');
  });

  it('begins at the end where asked to', async () => {
    const { log } = openLog();
    await log.sink.append([sinkRecord('old')]);
    const source = log.source('g', { start: 'latest' });
    await source.open();
    await log.sink.append([sinkRecord('new')]);
    expect((await source.pull(5)).map((r) => r.position)).toEqual(['2']);
  });
});
