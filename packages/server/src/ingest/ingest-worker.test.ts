import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { channelsErrors } from '../channels/errors.ts';
import type { LiveType } from '../events/live-type.ts';
import { ManualClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { seededRandom } from '../kit/random.ts';
import { EventTrace } from './event-trace.ts';
import { dealType } from '../events/testing/deal-type.ts';
import { FakeChannels, FakeSource } from './testing/fakes.ts';
import { type IngestOptions, IngestWorker } from './ingest-worker.ts';
import { createIngestMetrics } from './metrics.ts';

type Bench = Awaited<ReturnType<typeof bench>>;

async function bench(options: Partial<IngestOptions> = {}, types: { current: readonly LiveType[] } = { current: [dealType()] }) {
  const source = new FakeSource();
  const channels = new FakeChannels();
  const clock = new ManualClock();
  const metrics = new Metrics();
  const trace = new EventTrace();
  const worker = new IngestWorker(
    {
      source,
      channels,
      liveTypesFor: (topic) => types.current.filter((type) => type.topic === topic),
      trace,
      clock,
      random: seededRandom(1),
      logger: silentLogger,
      metrics: createIngestMetrics(metrics, trace),
    },
    options,
  );
  await worker.start();
  return { source, channels, clock, metrics, trace, worker };
}

/** Advances time, with turns of the event loop in between, until `done`. */
async function elapse({ clock }: Bench, done: () => boolean, stepMs = 1_000): Promise<void> {
  for (let i = 0; !done(); i++) {
    if (i > 2_000) throw new Error('it never came');
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(stepMs);
  }
}

const deal = (id: string, more: object = {}): object => ({ id, company_id: 'acme', ...more });

describe('the ingest worker', () => {
  test('publishes what it pulls and settles afterwards', async () => {
    const at = await bench();
    at.channels.hold();
    at.source.feed(deal('1'), deal('2'));
    await at.channels.called(1);
    expect(at.source.settled.size).toBe(0);
    at.channels.release();
    await at.source.settledCount(2);
    expect(at.channels.published.map((event) => event.key)).toEqual(['1', '2']);
    expect([...at.source.settled.values()]).toEqual([{ kind: 'done' }, { kind: 'done' }]);
    await at.worker.stop();
  });

  test('sends poison to the dead letters at once with code and reason, and goes on', async () => {
    const at = await bench();
    at.source.feed('{"id":', Buffer.from([0xff, 0xfe]), deal('1'), { id: '2' });
    await at.source.settledCount(4);
    expect([...at.source.settled.values()].map((one) => (one.kind === 'dead' ? one.code : one.kind)).toSorted()).toEqual([
      'BODY_NOT_UTF8',
      'EVENT_TENANT_MISSING',
      'JSON_INVALID',
      'done',
    ]);
    expect(await at.metrics.text()).toContain('millrace_ingest_rejected_total{source="fake",code="JSON_INVALID"} 1');
    await at.worker.stop();
  });

  test('counts and skips tenants that nobody listens to', async () => {
    const at = await bench();
    at.channels.uninteresting.add('nobody');
    at.source.feed(deal('1', { company_id: 'nobody' }), deal('2'));
    await at.source.settledCount(2);
    expect(at.channels.published.map((event) => event.tenant)).toEqual(['acme']);
    expect(
      at.trace
        .recent(9)
        .map((entry) => entry.outcome)
        .toSorted(),
    ).toEqual(['no-interest', 'published']);
    await at.worker.stop();
  });

  test('drops tombstones and calls them dropped', async () => {
    const at = await bench();
    at.source.feed(null);
    await at.source.settledCount(1);
    expect(at.source.settled.get('1')).toEqual({ kind: 'done' });
    expect(at.trace.recent(1)).toMatchObject([{ outcome: 'dropped', reason: 'tombstone' }]);
    await at.worker.stop();
  });

  test('maps by the live types of the moment; a topic without any is NO_LIVE_TYPE', async () => {
    const types: { current: readonly LiveType[] } = { current: [] };
    const at = await bench({}, types);
    at.source.feed(deal('1'));
    await at.source.settledCount(1);
    types.current = [dealType()];
    at.source.feed(deal('2'));
    await at.source.settledCount(2);
    expect([...at.source.settled.values()]).toMatchObject([{ kind: 'dead', code: 'NO_LIVE_TYPE' }, { kind: 'done' }]);
    await at.worker.stop();
  });

  test('a record counts as soon as one of several live types takes it', async () => {
    const issue = dealType({ name: 'Issue', entity: ['issue'], tenant: { kind: 'path', path: ['org'] } });
    const pull = dealType({ name: 'Pull', entity: ['pull'], tenant: { kind: 'path', path: ['org'] } });
    const at = await bench({}, { current: [issue, pull] });
    at.source.feed(
      { org: 'acme', issue: { id: 1 } },
      { org: 'acme', pull: { id: 2 } },
      { org: 'acme', issue: { id: 3 }, pull: { id: 4 } },
      { org: 'acme' },
    );
    await at.source.settledCount(4);
    expect(at.channels.published.map((event) => `${event.type}:${event.key}`)).toEqual(['Issue:1', 'Pull:2', 'Issue:3', 'Pull:4']);
    expect(at.source.settled.get('4')).toMatchObject({ kind: 'dead', code: 'ENTITY_MISSING' });
    await at.worker.stop();
  });

  test('parks the key of a failed publish, tries again when due, lets other keys pass', async () => {
    const at = await bench({ backoff: { baseMs: 100, maxMs: 1_000 } });
    at.channels.failures = 1;
    at.source.feedKeyed([{ body: deal('a1'), orderKey: 'a' }]);
    await at.channels.called(1);
    at.source.feedKeyed([
      { body: deal('a2'), orderKey: 'a' },
      { body: deal('b1'), orderKey: 'b' },
    ]);
    await at.source.settledCount(1);
    expect(at.channels.published.map((event) => event.key)).toEqual(['b1']);
    await elapse(at, () => at.source.settled.size === 3, 20);
    expect(at.channels.published.map((event) => event.key)).toEqual(['b1', 'a1', 'a2']);
    expect(at.trace.recent(9).map((entry) => entry.outcome)).toContain('retry');
    await at.worker.stop();
  });

  test('gives up after maxAttempts, the first included, and says how often and why', async () => {
    const at = await bench({ maxAttempts: 3 });
    at.channels.failures = Number.POSITIVE_INFINITY;
    at.source.feed(deal('1'));
    await elapse(at, () => at.source.settled.size === 1);
    expect(at.channels.calls).toHaveLength(3);
    expect(at.source.settled.get('1')).toMatchObject({
      kind: 'dead',
      code: 'PUBLISH_FAILED',
      attempts: 3,
      firstError: 'the channels failed',
    });
    await at.worker.stop();
  });

  test('counts no attempt while the store of the channels is away', async () => {
    const at = await bench({ maxAttempts: 3 });
    at.channels.failure = new MillraceError(channelsErrors.CHANNELS_AWAY, 'away');
    at.channels.failures = 10;
    at.source.feed(deal('1'));
    await elapse(at, () => at.source.settled.size === 1);
    expect(at.channels.calls).toHaveLength(11);
    expect(at.source.settled.get('1')).toEqual({ kind: 'done' });
    await at.worker.stop();
  });

  test('counts attempts that the source remembers from before', async () => {
    const at = await bench({ maxAttempts: 3 });
    at.channels.failures = Number.POSITIVE_INFINITY;
    at.source.feedKeyed([{ body: deal('1'), attempt: 3 }]);
    await at.source.settledCount(1);
    expect(at.channels.calls).toHaveLength(1);
    await at.worker.stop();
  });

  test('never holds more than its capacity', async () => {
    const at = await bench({ capacity: 10, batch: 4 });
    at.channels.hold();
    at.source.feedKeyed(Array.from({ length: 50 }, (_, i) => ({ body: deal(String(i)), orderKey: `k${i}` })));
    await at.channels.called(3);
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(at.source.out).toBe(10);
    expect(await at.metrics.text()).toContain('millrace_ingest_lag_records{source="fake"} 50');
    at.channels.release();
    await at.source.settledCount(50);
    expect(at.source.maxOut).toBeLessThanOrEqual(10);
    expect(Math.max(...at.source.pulls)).toBeLessThanOrEqual(4);
    await at.worker.stop();
  });

  test('bounds the publishes at once', async () => {
    const at = await bench({ batch: 2, concurrency: 3 });
    at.channels.hold();
    at.source.feedKeyed(Array.from({ length: 20 }, (_, i) => ({ body: deal(String(i)), orderKey: `k${i}` })));
    await at.channels.called(3);
    at.channels.release();
    await at.source.settledCount(20);
    expect(at.channels.maxRunning).toBe(3);
    await at.worker.stop();
  });

  test('stop finishes what is out, flushes and closes; a waiting retry stays unsettled', async () => {
    const at = await bench();
    at.channels.failures = 1;
    at.source.feedKeyed([{ body: deal('parked'), orderKey: 'p' }]);
    await at.channels.called(1);
    at.channels.hold();
    at.source.feedKeyed([{ body: deal('1'), orderKey: 'a' }]);
    await at.channels.called(2);
    const stopped = at.worker.stop();
    at.channels.release();
    await stopped;
    expect([...at.source.settled.keys()]).toEqual(['2']);
    expect(at.source).toMatchObject({ flushed: 1, closed: true });
  });

  test('a source that fails is asked again after a pause', async () => {
    const at = await bench();
    await at.worker.stop();
    const source = new FakeSource();
    source.failNextPulls = 2;
    const again = new IngestWorker({
      ...at,
      source,
      liveTypesFor: () => [dealType()],
      random: seededRandom(1),
      logger: silentLogger,
      metrics: createIngestMetrics(new Metrics(), at.trace),
    });
    await again.start();
    source.feed(deal('1'));
    await elapse({ ...at, source, worker: again }, () => source.settled.size === 1);
    expect(source.settled.get('1')).toEqual({ kind: 'done' });
    await again.stop();
  });

  test('a flood of dead letters pauses the source; a good probe lets it go on', async () => {
    const at = await bench({
      batch: 10,
      breaker: { windowMs: 10_000, minDead: 10, share: 0.5, coolDownMs: 5_000, maxCoolDownMs: 60_000, probe: 5 },
    });
    at.source.feed(...Array.from({ length: 10 }, () => 'poison'));
    await at.source.settledCount(10);
    at.source.feed(...Array.from({ length: 40 }, (_, i) => deal(String(i))));
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(at.source.settled.size).toBeLessThanOrEqual(10);
    expect(await at.metrics.text()).toContain('millrace_ingest_breaker_open{source="fake"} 1');
    await elapse(at, () => at.source.settled.size === 50);
    expect(at.channels.published).toHaveLength(40);
    expect(await at.metrics.text()).toContain('millrace_ingest_breaker_trips_total{source="fake"} 1');
    expect(await at.metrics.text()).toContain('millrace_ingest_breaker_open{source="fake"} 0');
    await at.worker.stop();
  });

  test('an outage of the channels costs at most a window of dead letters before the breaker holds the rest', async () => {
    const at = await bench({
      batch: 10,
      maxAttempts: 2,
      breaker: { windowMs: 60_000, minDead: 10, share: 0.5, coolDownMs: 600_000, maxCoolDownMs: 600_000, probe: 5 },
    });
    at.channels.failures = Number.POSITIVE_INFINITY;
    at.source.feedKeyed(Array.from({ length: 500 }, (_, i) => ({ body: deal(String(i)), orderKey: `k${i}` })));
    await elapse(at, () => at.source.settled.size >= 10, 100);
    for (let i = 0; i < 50; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      at.clock.advance(1_000);
    }
    expect(at.source.settled.size).toBeLessThanOrEqual(60);
    await at.worker.stop();
  });

  test('counts events that name nobody who may see them', async () => {
    const at = await bench({}, { current: [dealType({ visibility: 'EVENT' })] });
    at.source.feed(deal('1'), deal('2', { users: ['u1'] }));
    await at.source.settledCount(2);
    expect(await at.metrics.text()).toContain('millrace_ingest_hidden_total{source="fake"} 1');
    await at.worker.stop();
  });

  test('order per key and exactly one settlement hold under random failures', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 80 }),
        fc.array(fc.nat(3), { maxLength: 12 }),
        fc.record({
          capacity: fc.integer({ min: 1, max: 20 }),
          batch: fc.integer({ min: 1, max: 8 }),
          concurrency: fc.integer({ min: 1, max: 4 }),
        }),
        async (keys, failures, options) => {
          const at = await bench({ ...options, maxAttempts: 1_000 });
          at.source.feedKeyed(keys.map((key, i) => ({ body: deal(key, { event_id: `e${i}`, n: i }), orderKey: key })));
          let step = 0;
          await elapse(
            at,
            () => {
              if (step < failures.length) at.channels.failures = failures[step++] ?? 0;
              return at.source.settled.size === keys.length;
            },
            5_000,
          );
          await at.worker.stop();
          for (const key of ['a', 'b', 'c', 'd']) {
            const got = at.channels.published.filter((event) => event.key === key).map((event) => event.id);
            expect(got).toEqual(keys.flatMap((other, i) => (other === key ? [`e${i}`] : [])));
          }
          expect([...at.source.settled.values()].every((one) => one.kind === 'done')).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});
