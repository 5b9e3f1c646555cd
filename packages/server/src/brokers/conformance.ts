import { afterEach, describe, expect, it } from 'vitest';
import type { DeadLetters } from './dead-letters.ts';
import type { EventSink, SinkRecord } from './event-sink.ts';
import type { EventSource, SourceRecord } from './event-source.ts';

/** One broker under test, with one consumer group. */
export interface BrokerHarness {
  readonly sink: EventSink;
  /** Open. After `restart` it is another object. */
  readonly source: EventSource;
  readonly deadLetters: DeadLetters;
  /** Open; where records come out that were redriven. The embedded log's own source, which a foreign broker has beside it. */
  readonly redriven: EventSource;
  /** Whether due time and attempt of a waiting retry survive a restart; a queue has nowhere to keep them, and gives the record out at once. */
  readonly retriesSurvive: boolean;
  now(): number;
  /** Moves the broker's time (or waits) by `ms`. */
  elapse(ms: number): Promise<void>;
  /** Ends the process as a crash would (`crash`: settlements not flushed may be lost) or in good order, and opens everything again. */
  restart(how: 'crash' | 'close'): Promise<void>;
  dispose(): Promise<void>;
}

export type BrokerHarnessOptions = { readonly maxPending?: number; readonly maxUnsettled?: number; readonly maxDeadLetters?: number };

const TOPIC = 'crm.deals';

export function sinkRecord(eventId: string, key: string | null = null, text = `{"event_id":"${eventId}"}`, topic = TOPIC): SinkRecord {
  return {
    topic,
    key,
    eventId,
    headers: new Map([['content-type', 'application/json']]),
    value: Buffer.from(text),
    timestamp: 1_700_000_000_000,
  };
}

function textOf(record: SourceRecord): string {
  return record.value === null ? '<tombstone>' : Buffer.from(record.value).toString();
}

function idsOf(records: readonly SourceRecord[]): string[] {
  return records.map((record) => (JSON.parse(textOf(record)) as { event_id: string }).event_id);
}

async function pullExactly(source: EventSource, count: number): Promise<SourceRecord[]> {
  const out: SourceRecord[] = [];
  while (out.length < count) out.push(...(await source.pull(count - out.length)));
  return out;
}

/** A broker may count a moment behind what it has confirmed: RabbitMQ does so with streams. */
async function lagIs(source: EventSource, expected: number): Promise<void> {
  for (let tries = 0; tries < 10_000 && (await source.lag()) !== expected; tries++);
  expect(await source.lag()).toBe(expected);
}

/** What EventSink, EventSource and DeadLetters promise, for one broker that offers all three. */
export function brokerConformance(name: string, make: (options: BrokerHarnessOptions) => Promise<BrokerHarness>): void {
  describe(`broker conformance: ${name}`, () => {
    let harness: BrokerHarness | null = null;
    const start = async (options: BrokerHarnessOptions = {}): Promise<BrokerHarness> => (harness = await make(options));
    afterEach(async () => {
      await harness?.dispose();
      harness = null;
    });
    describe('sink', () => sinkTests(start));
    describe('source', () => sourceTests(start));
    describe('retries', () => retryTests(start));
    describe('dead letters', () => deadLetterTests(start));
  });
}

type Start = (options?: BrokerHarnessOptions) => Promise<BrokerHarness>;

function sinkTests(start: Start): void {
  it('keeps a record as it was given', async () => {
    const h = await start();
    const headers = new Map([
      ['ce-id', 'ü \u{1F600}'],
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
    await h.sink.append([
      { ...sinkRecord('a', 'k\u0000"1'), headers },
      { ...sinkRecord('b'), value: null },
      { ...sinkRecord('c'), value: new Uint8Array([0, 255, 128, 10]) },
      { ...sinkRecord('d'), value: new Uint8Array(0), headers: new Map() },
    ]);
    await h.restart('close');
    const [a, b, c, d] = await pullExactly(h.source, 4);
    expect(a).toMatchObject({ topic: TOPIC, key: 'k\u0000"1', orderKey: 'k\u0000"1', attempt: 1, timestamp: 1_700_000_000_000 });
    expect(new Map(a?.headers)).toEqual(headers);
    expect(b?.value).toBeNull();
    expect([...(c?.value ?? [])]).toEqual([0, 255, 128, 10]);
    expect(d?.value?.length).toBe(0);
    expect(d?.orderKey).not.toBe('');
  });

  it('answers in the order given, and takes an event id once per topic, or says that it does not', async () => {
    const h = await start();
    const again = h.sink.guarantees.detectsDuplicates ? 'duplicate' : 'accepted';
    const first = await h.sink.append([sinkRecord('a'), sinkRecord('b'), sinkRecord('a')]);
    expect(first.map((r) => r.status)).toEqual(['accepted', 'accepted', again]);
    const second = await h.sink.append([sinkRecord('b'), sinkRecord('a', null, '{}', 'other.topic'), sinkRecord('c')]);
    expect(second.map((r) => r.status)).toEqual([again, 'accepted', 'accepted']);
    await h.restart('crash');
    expect((await h.sink.append([sinkRecord('c')])).map((r) => r.status)).toEqual([again]);
    await lagIs(h.source, again === 'duplicate' ? 4 : 7);
  });

  it('orders calls as they were made', async () => {
    const h = await start();
    await Promise.all(Array.from({ length: 50 }, (_, i) => h.sink.append([sinkRecord(`${i}a`, 'k'), sinkRecord(`${i}b`, 'k')])));
    expect(idsOf(await pullExactly(h.source, 100))).toEqual(Array.from({ length: 50 }, (_, i) => [`${i}a`, `${i}b`]).flat());
  });

  it('refuses at once beyond maxPending, and appends nothing of the refused call', async () => {
    const h = await start({ maxPending: 10 });
    const accepted = h.sink.append(Array.from({ length: 8 }, (_, i) => sinkRecord(`a${i}`)));
    await expect(h.sink.append([sinkRecord('x'), sinkRecord('y'), sinkRecord('z')])).rejects.toMatchObject({ code: 'BROKER_BUSY' });
    await accepted;
    expect((await h.sink.append([sinkRecord('x')])).map((r) => r.status)).toEqual(['accepted']);
    expect(idsOf(await pullExactly(h.source, 9)).at(-1)).toBe('x');
  });

  it('takes an empty call', async () => {
    const h = await start();
    expect(await h.sink.append([])).toEqual([]);
  });
}

function sourceTests(start: Start): void {
  it('wakes a waiting pull with the next append', async () => {
    const h = await start();
    const waiting = h.source.pull(10);
    await h.sink.append([sinkRecord('a')]);
    expect(idsOf(await waiting)).toEqual(['a']);
  });

  it('ends a waiting pull on close', async () => {
    const h = await start();
    const waiting = h.source.pull(10);
    await h.source.close();
    expect(await waiting).toEqual([]);
    expect(await h.source.pull(10)).toEqual([]);
  });

  it('gives no more than asked for, and each record once', async () => {
    const h = await start();
    await h.sink.append(Array.from({ length: 7 }, (_, i) => sinkRecord(`${i}`)));
    const pulls: (readonly SourceRecord[])[] = [];
    while (pulls.flat().length < 7) pulls.push(await h.source.pull(3));
    expect(pulls.filter((p) => p.length === 0 || p.length > 3)).toEqual([]);
    expect(idsOf(pulls.flat())).toEqual(['0', '1', '2', '3', '4', '5', '6']);
  });

  it('waits while maxUnsettled records are out, and goes on when one is settled', async () => {
    const h = await start({ maxUnsettled: 3 });
    await h.sink.append(Array.from({ length: 5 }, (_, i) => sinkRecord(`${i}`, `k${i}`)));
    const out = await pullExactly(h.source, 3);
    const waiting = h.source.pull(5);
    expect(await Promise.race([waiting, Promise.resolve('waits')])).toBe('waits');
    for (const record of out.slice(1, 2)) h.source.settle(record, { kind: 'done' });
    expect(idsOf(await waiting)).toEqual(['3']);
    await lagIs(h.source, 4);
  });

  it('delivers again what was not settled, and nothing else', async () => {
    const h = await start();
    await h.sink.append(Array.from({ length: 6 }, (_, i) => sinkRecord(`${i}`, `k${i}`)));
    const out = await pullExactly(h.source, 6);
    for (const record of out.slice(0, 3)) h.source.settle(record, { kind: 'done' });
    await h.source.flush();
    await h.restart('crash');
    await lagIs(h.source, 3);
    expect(idsOf(await pullExactly(h.source, 3))).toEqual(['3', '4', '5']);
  });

  it('never commits past a record that is out', async () => {
    const h = await start();
    await h.sink.append(Array.from({ length: 4 }, (_, i) => sinkRecord(`${i}`, `k${i}`)));
    const out = await pullExactly(h.source, 4);
    for (const record of out.slice(1)) h.source.settle(record, { kind: 'done' });
    await h.source.flush();
    await h.restart('crash');
    expect(idsOf(await h.source.pull(1))).toEqual(['0']);
  });

  it('makes settlements durable on close', async () => {
    const h = await start();
    await h.sink.append([sinkRecord('a'), sinkRecord('b')]);
    for (const record of await pullExactly(h.source, 2)) h.source.settle(record, { kind: 'done' });
    await h.restart('close');
    await lagIs(h.source, 0);
    const waiting = h.source.pull(1);
    await h.sink.append([sinkRecord('c')]);
    expect(idsOf(await waiting)).toEqual(['c']);
  });
}

function retryTests(start: Start): void {
  it('brings a record back when it is due, not before, with the attempt raised', async () => {
    const h = await start();
    await h.sink.append([sinkRecord('a', 'k')]);
    const [record] = await pullExactly(h.source, 1);
    h.source.settle(record!, { kind: 'retry', at: h.now() + 1000, code: 'X', reason: 'first' });
    const waiting = h.source.pull(10);
    await h.elapse(999);
    expect(await Promise.race([waiting, Promise.resolve('waits')])).toBe('waits');
    await h.elapse(1);
    const [again] = await waiting;
    expect(again).toMatchObject({ attempt: 2, position: record!.position, orderKey: 'k' });
    h.source.settle(again!, { kind: 'retry', at: h.now() + 5, code: 'X', reason: 'second' });
    await h.elapse(5);
    const [third] = await h.source.pull(10);
    expect(third?.attempt).toBe(3);
    h.source.settle(third!, { kind: 'done' });
    await lagIs(h.source, 0);
  });

  it('keeps due time and attempt over a restart where it says so, and always the order of the key', async () => {
    const h = await start();
    await h.sink.append([sinkRecord('1', 'k'), sinkRecord('2', 'other'), sinkRecord('3', 'k')]);
    const out = await pullExactly(h.source, 3);
    h.source.settle(out[0]!, { kind: 'retry', at: h.now() + 1000, code: 'X', reason: 'r' });
    h.source.settle(out[1]!, { kind: 'done' });
    await h.source.flush();
    await h.restart('crash');
    if (!h.retriesSurvive) {
      expect(idsOf(await pullExactly(h.source, 2))).toEqual(['1', '3']);
      return;
    }
    await h.sink.append([sinkRecord('4', 'fresh')]);
    expect(idsOf(await pullExactly(h.source, 1))).toEqual(['4']);
    await h.elapse(1000);
    const back = await pullExactly(h.source, 2);
    expect(idsOf(back)).toEqual(['1', '3']);
    expect(back.map((record) => record.attempt)).toEqual([2, 1]);
  });

  it('counts a waiting retry against maxUnsettled', async () => {
    const h = await start({ maxUnsettled: 1 });
    await h.sink.append([sinkRecord('1', 'a'), sinkRecord('2', 'b')]);
    const [record] = await pullExactly(h.source, 1);
    h.source.settle(record!, { kind: 'retry', at: h.now() + 10, code: 'X', reason: 'r' });
    const waiting = h.source.pull(10);
    expect(await Promise.race([waiting, Promise.resolve('waits')])).toBe('waits');
    await h.elapse(10);
    expect(idsOf(await waiting)).toEqual(['1']);
  });
}

function deadLetterTests(start: Start): void {
  it('keeps bytes, headers, reason, first and last error', async () => {
    const h = await start();
    await h.sink.append([sinkRecord('a', 'k')]);
    const [record] = await pullExactly(h.source, 1);
    h.source.settle(record!, { kind: 'retry', at: h.now(), code: 'FIRST', reason: 'one' });
    await h.elapse(1);
    const [again] = await pullExactly(h.source, 1);
    h.source.settle(again!, { kind: 'dead', code: 'LAST', reason: 'two' });
    await h.source.flush();
    await h.restart('crash');
    await lagIs(h.source, 0);
    const [row] = await h.deadLetters.list({ limit: 10 });
    expect(row).toMatchObject({ topic: TOPIC, code: 'LAST', reason: 'two', attempts: 2, position: record!.position, redrivenAt: null });
    const letter = await h.deadLetters.show(row!.id);
    expect(letter).toMatchObject({ firstError: 'FIRST: one', lastError: 'LAST: two' });
    expect(Buffer.from(letter!.record.value!).toString()).toBe('{"event_id":"a"}');
    expect([...letter!.record.headers]).toEqual([['content-type', 'application/json']]);
    expect(letter!.record.key).toBe('k');
  });

  it('keeps how often the caller tried by itself, and what went wrong first', async () => {
    const h = await start();
    await h.sink.append([sinkRecord('a', 'k')]);
    const [record] = await pullExactly(h.source, 1);
    h.source.settle(record!, { kind: 'dead', code: 'LAST', reason: 'twelve', attempts: 12, firstError: 'FIRST: one' });
    await h.source.flush();
    const [row] = await h.deadLetters.list({ limit: 10 });
    expect(await h.deadLetters.show(row!.id)).toMatchObject({ attempts: 12, firstError: 'FIRST: one', lastError: 'LAST: twelve' });
  });

  it('puts the raw record back once', async () => {
    const h = await start();
    const id = await h.deadLetters.add({ ...letterOf('a'), attempts: 1 });
    expect(await Promise.all([h.deadLetters.redrive(id), h.deadLetters.redrive(id)])).toEqual(['redriven', 'already']);
    await h.restart('crash');
    expect(await h.deadLetters.redrive(id)).toBe('already');
    expect(await h.deadLetters.redrive('999999')).toBe('unknown');
    expect(await h.deadLetters.redrive('no such')).toBe('unknown');
    await lagIs(h.redriven, 1);
    expect(idsOf(await h.redriven.pull(5))).toEqual(['a']);
    expect((await h.deadLetters.show(id))?.redrivenAt).toBe(h.now());
  });

  it('redrives a record whose first delivery is still in the log', async () => {
    const h = await start();
    await h.sink.append([sinkRecord('a', 'k')]);
    const [record] = await pullExactly(h.source, 1);
    h.source.settle(record!, { kind: 'dead', code: 'X', reason: 'y' });
    await h.source.flush();
    const [row] = await h.deadLetters.list({ limit: 1 });
    expect(await h.deadLetters.redrive(row!.id)).toBe('redriven');
    const [again] = await pullExactly(h.redriven, 1);
    expect(again).toMatchObject({ key: 'k', attempt: 1 });
    expect(textOf(again!)).toBe('{"event_id":"a"}');
  });

  it('lists newest first, by topic, page by page', async () => {
    const h = await start();
    for (const topic of ['t1', 't2', 't1', 't1']) await h.deadLetters.add(letterOf('a', topic));
    const first = await h.deadLetters.list({ topic: 't1', limit: 2 });
    const second = await h.deadLetters.list({ topic: 't1', limit: 2, after: first[1]!.id });
    expect([first.length, second.length]).toEqual([2, 1]);
    const ids = [...first, ...second].map((row) => Number(row.id));
    expect(ids).toEqual([...ids].sort((a, b) => b - a));
    expect(await h.deadLetters.count()).toBe(4);
    expect(await h.deadLetters.list({ limit: 5, after: 'rubbish' })).toEqual([]);
  });

  it('removes the oldest beyond the bound', async () => {
    const h = await start({ maxDeadLetters: 3 });
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(await h.deadLetters.add(letterOf(`${i}`)));
    expect(await h.deadLetters.count()).toBe(3);
    expect((await h.deadLetters.list({ limit: 10 })).map((row) => row.id)).toEqual(ids.slice(2).reverse());
    expect(await h.deadLetters.show(ids[0]!)).toBeNull();
  });
}

function letterOf(eventId: string, topic = TOPIC) {
  const { eventId: _, ...record } = sinkRecord(eventId, null, undefined, topic);
  return { record, position: 'http', code: 'C', reason: 'why', attempts: 0, firstError: 'C: why', lastError: 'C: why' };
}
