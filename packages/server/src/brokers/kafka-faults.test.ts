import { randomUUID } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Consumer } from '@platformatic/kafka';
import { beforeAll, describe, expect, it } from 'vitest';
import { KafkaService } from '../../../../tools/services/kafka.ts';
import { available, service } from '../../../../tools/services/shared.ts';
import { systemClock } from '../kit/clock.ts';
import type { SourceRecord } from './event-source.ts';
import type { KafkaOptions } from './kafka-client.ts';
import { KafkaSink } from './kafka-sink.ts';
import { type KafkaConsumer, KafkaSource, type KafkaSourceDeps, type KafkaSourceOptions } from './kafka-source.ts';
import { Beside } from './testing/beside.ts';
import { KafkaAdmin } from './testing/kafka-admin.ts';
import { Oracle, drain } from './testing/oracle.ts';
import { sinkRecordOf } from './testing/records.ts';

let shared: KafkaAdmin;
const PARTITIONS = 6;
const KEYS = 40;
/** Servers start and time out here. */
const SLOW = { timeout: 120_000 };

async function world(protocol: KafkaOptions['protocol'], admin = shared) {
  const topic = `t${randomUUID().slice(0, 8)}`;
  await admin.createTopic(topic, PARTITIONS);
  const kafka = (changes: Partial<KafkaOptions> = {}): KafkaOptions => ({
    name: 'main',
    servers: admin.servers,
    group: topic,
    protocol,
    instanceId: null,
    start: 'earliest',
    onLoss: 'stop',
    tls: null,
    sasl: null,
    topics: [{ name: topic, as: 'crm.deals' }],
    ...changes,
  });
  const stack = new AsyncDisposableStack();
  const sink = new KafkaSink(kafka(), (await besideOf(stack)).logger);
  stack.defer(() => sink.close());
  return {
    topic,
    kafka,
    sink,
    async member(
      options: Partial<KafkaSourceOptions> = {},
      changes: Partial<KafkaOptions> = {},
      more: Pick<KafkaSourceDeps, 'makeConsumer'> = {},
    ) {
      const beside = await besideOf(stack);
      const { logger, metrics, ledger, log } = beside;
      const source = new KafkaSource(
        kafka(changes),
        { logger, metrics, ledger, deadLetters: log.deadLetters, clock: systemClock, ...more },
        { sessionTimeoutMs: 2_000, ...options },
      );
      stack.defer(() => source.close());
      await source.open();
      return source;
    },
    async [Symbol.asyncDispose]() {
      await stack.disposeAsync();
    },
  };
}

async function besideOf(stack: AsyncDisposableStack): Promise<Beside> {
  const beside = new Beside();
  await beside.open();
  stack.defer(() => beside.dispose());
  return beside;
}

/** Appends what is left until it is taken: a broker that was killed has answered nothing for a while. */
async function produce(sink: KafkaSink, from: number, count: number): Promise<void> {
  for (let next = from; next < from + count;) {
    const size = Math.min(50, from + count - next);
    const batch = Array.from({ length: size }, (_, i) => sinkRecordOf(String(next + i), `k${(next + i) % KEYS}`));
    try {
      await sink.append(batch);
      next += size;
    } catch (error) {
      if ((error as { readonly code?: unknown }).code === 'BROKER_CLOSED') throw error;
      // The same again: some of it may come twice.
    }
  }
}

const idOf = ({ value }: SourceRecord): string => JSON.parse(Buffer.from(value ?? '').toString()).event_id as string;

async function pull(source: KafkaSource, count: number): Promise<SourceRecord[]> {
  const out: SourceRecord[] = [];
  while (out.length < count) out.push(...(await source.pull(count - out.length)));
  return out;
}

describe.skipIf(!available('kafka'))('kafka under faults', () => {
  beforeAll(async () => {
    shared = new KafkaAdmin((await service('kafka')).brokers);
  });

  for (const protocol of ['consumer', 'classic'] as const) {
    it(`${protocol}: loses nothing while members come and go under load`, SLOW, async () => {
      await using w = await world(protocol);
      const oracle = new Oracle();
      const first = await w.member();
      const running = [drain(first, oracle)];
      const producing = produce(w.sink, 0, 6_000);
      await oracle.reached(500);
      const second = await w.member();
      running.push(drain(second, oracle));
      await oracle.reached(2_000);
      await first.close();
      const third = await w.member({}, { instanceId: 'three' });
      running.push(drain(third, oracle));
      await producing;
      await oracle.reached(6_000);
      await second.close();
      await third.close();
      await Promise.all(running);
      expect(oracle.distinct).toBe(6_000);
      expect(oracle.disorder).toEqual([]);
      expect(await shared.committed(w.topic, w.topic, PARTITIONS)).toBe(6_000);
    });

    it(`${protocol}: goes on where it was after the broker was killed`, SLOW, async () => {
      await using server = await KafkaService.start();
      await using w = await world(protocol, new KafkaAdmin(server.addresses));
      const oracle = new Oracle();
      const source = await w.member();
      const running = drain(source, oracle);
      await produce(w.sink, 0, 1_000);
      await oracle.reached(600);
      const producing = produce(w.sink, 1_000, 2_000);
      await server.kill();
      await server.start();
      await producing;
      await oracle.reached(3_000);
      await source.close();
      await running;
      expect(oracle.distinct).toBe(3_000);
      expect(oracle.disorder).toEqual([]);
    });
  }

  it('stops loudly where retention removed what the group had not read, and goes on when told to', async () => {
    await using w = await world('consumer');
    const first = await w.member();
    await produce(w.sink, 0, 200);
    const [record] = await first.pull(1);
    first.settle(record!, { kind: 'done' });
    await first.flush();
    await first.close();
    await shared.deleteBefore(w.topic, PARTITIONS, 20n);
    const stopped = await w.member().catch((error: unknown) => error);
    if (stopped instanceof KafkaSource) await expect(stopped.pull(10)).rejects.toMatchObject({ code: 'BROKER_OFFSET_JUMP' });
    else expect(stopped).toMatchObject({ code: 'BROKER_OFFSET_JUMP' });
    if (stopped instanceof KafkaSource) await stopped.close();
    const willing = await w.member({}, { onLoss: 'continue' });
    expect((await willing.pull(1)).length).toBe(1);
  });

  it('notices that the library went to the end of its own accord, says so, and then goes on from where the group was', async () => {
    await using w = await world('consumer');
    const first = await w.member();
    await produce(w.sink, 0, 200);
    const before = await pull(first, 60);
    for (const record of before) first.settle(record, { kind: 'done' });
    await first.flush();
    await first.close();
    let sessions = 0;
    const makeConsumer: KafkaSourceDeps['makeConsumer'] = (given) => {
      const consumer: KafkaConsumer = new Consumer(given as never);
      const consume = consumer.consume.bind(consumer) as (options: object) => never;
      sessions += 1;
      // What it did after STALE_MEMBER_EPOCH: the committed offset could not be read, so it took the latest.
      if (sessions === 1) consumer.consume = (options: object) => consume({ ...options, mode: 'latest' });
      return consumer;
    };
    await expect(w.member({}, {}, { makeConsumer })).rejects.toMatchObject({ code: 'BROKER_OFFSET_JUMP' });
    const second = await w.member();
    const ids = [...before, ...(await pull(second, 140))].map(idOf);
    expect(new Set(ids).size).toBe(200);
  });

  it('stops delivering where the library jumps in the middle, until another session has begun where the group was', async () => {
    await using w = await world('consumer');
    const streams: EventEmitter[] = [];
    const makeConsumer: KafkaSourceDeps['makeConsumer'] = (given) => {
      const consumer: KafkaConsumer = new Consumer(given as never);
      const consume = consumer.consume.bind(consumer) as (options: object) => Promise<EventEmitter>;
      consumer.consume = (async (options: object) => {
        const stream = await consume(options);
        streams.push(stream);
        return stream;
      }) as never;
      return consumer;
    };
    const source = await w.member({}, {}, { makeConsumer });
    await produce(w.sink, 0, 50);
    const before = await pull(source, 50);
    const [stream] = streams as [EventEmitter & { offsetsToFetch: Map<string, bigint> }];
    for (const [place, offset] of stream.offsetsToFetch) stream.offsetsToFetch.set(place, offset + 1_000n);
    const waiting = source.pull(1);
    stream.emit('offsets');
    await expect(waiting).rejects.toMatchObject({ code: 'BROKER_OFFSET_JUMP' });
    // What was out belongs to the session that ended; all of it comes again, and whatever comes after it.
    await produce(w.sink, 50, 50);
    const after: SourceRecord[] = [];
    while (new Set(after.map(idOf)).size < 100) {
      after.push(...(await source.pull(100).catch(() => [])));
      // It rejects at once for as long as the failure lasts.
      await nextTurn();
    }
    expect(new Set([...before, ...after].map(idOf)).size).toBe(100);
  });

  it('begins with what comes next where told to, and commits that first', async () => {
    await using w = await world('consumer');
    await produce(w.sink, 0, 300);
    const source = await w.member({}, { start: 'latest' });
    await produce(w.sink, 300, 10);
    const ids: string[] = [];
    while (ids.length < 10)
      ids.push(...(await source.pull(10)).map(({ value }) => JSON.parse(Buffer.from(value ?? '').toString()).event_id as string));
    expect(ids.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => 300 + i));
  });

  it('says at the start what is wrong with the configuration', SLOW, async () => {
    await using w = await world('consumer');
    await expect(w.member({ patienceMs: 20_000 }, { topics: [{ name: 'no-such-topic', as: 'x' }] })).rejects.toMatchObject({
      code: 'BROKER_SETUP',
    });
    await expect(w.member({ patienceMs: 20_000 }, { servers: ['127.0.0.1:1'] })).rejects.toMatchObject({ code: 'BROKER_SETUP' });
  });
});
