import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Publisher } from 'rabbitmq-client';
import { makeCertificate } from '../../../../tools/services/certificate.ts';
import { freePorts } from '../../../../tools/services/ports.ts';
import { RabbitService } from '../../../../tools/services/rabbitmq.ts';
import { available, service } from '../../../../tools/services/shared.ts';
import { systemClock } from '../kit/clock.ts';
import type { SourceRecord } from './event-source.ts';
import { type RabbitOptions, type RabbitQueue, connectRabbit } from './rabbit-client.ts';
import { RabbitSink } from './rabbit-sink.ts';
import { RabbitSource, type RabbitSourceOptions } from './rabbit-source.ts';
import { Beside } from './testing/beside.ts';
import { Oracle, drain } from './testing/oracle.ts';
import { rabbitOptions } from './testing/rabbit-options.ts';
import { sinkRecordOf } from './testing/records.ts';

let shared: string;
/** The broker of the running test: the run's, or its own where it kills it. */
let server: string;
let stack: AsyncDisposableStack;
let queue: string;
/** Servers start and time out here. */
const SLOW = { timeout: 120_000 };

function rabbit(changes: Partial<RabbitQueue> = {}): RabbitOptions {
  return rabbitOptions(server, [{ name: queue, ...changes }]);
}

async function beside(): Promise<Beside> {
  const made = new Beside();
  await made.open();
  stack.defer(() => made.dispose());
  return made;
}

async function consume(options: RabbitOptions, source: Partial<RabbitSourceOptions> = {}): Promise<RabbitSource> {
  const { logger, metrics, ledger, log } = await beside();
  const made = new RabbitSource(options, { logger, metrics, ledger, deadLetters: log.deadLetters, clock: systemClock }, source);
  stack.defer(() => made.close());
  await made.open();
  return made;
}

async function publisher(): Promise<Publisher> {
  const connection = connectRabbit(rabbit(), 'producer', (await beside()).logger);
  stack.defer(() => connection.close());
  const made = connection.createPublisher({ confirm: true });
  // A connection waits for the channels that are still open on it.
  stack.defer(() => made.close());
  return made;
}

async function produce(sink: RabbitSink, from: number, count: number): Promise<void> {
  for (let next = from; next < from + count;) {
    const batch = Array.from({ length: Math.min(50, from + count - next) }, (_, i) =>
      sinkRecordOf(String(next + i), `k${(next + i) % 20}`),
    );
    try {
      await sink.append(batch);
      next += batch.length;
    } catch (error) {
      if ((error as { readonly code?: unknown }).code === 'BROKER_CLOSED') throw error;
      // The same again: some of it may come twice.
    }
  }
}

const texts = (records: readonly SourceRecord[]): string[] => records.map(({ value }) => Buffer.from(value ?? '').toString());

async function pullAll(source: RabbitSource, count: number): Promise<SourceRecord[]> {
  const out: SourceRecord[] = [];
  while (out.length < count) out.push(...(await source.pull(count - out.length)));
  return out;
}

const pullTexts = async (source: RabbitSource, count: number): Promise<string[]> => texts(await pullAll(source, count));

async function securedRabbit(): Promise<AsyncDisposable & { readonly server: string; readonly ca: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-certificate-'));
  const { ca, certFile, keyFile } = await makeCertificate(folder);
  const [port] = await freePorts(1);
  const files = [`ssl_options.cacertfile = ${certFile}`, `ssl_options.certfile = ${certFile}`, `ssl_options.keyfile = ${keyFile}`];
  const own = await RabbitService.start({ config: [`listeners.ssl.1 = 127.0.0.1:${port}`, ...files] });
  return {
    server: `127.0.0.1:${port}`,
    ca,
    async [Symbol.asyncDispose]() {
      await own.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

describe.skipIf(!available('rabbitmq'))('rabbitmq under faults and in every topology', () => {
  beforeAll(async () => {
    shared = `127.0.0.1:${(await service('rabbitmq')).port}`;
  });
  beforeEach(() => {
    stack = new AsyncDisposableStack();
    server = shared;
    queue = `q${randomUUID().slice(0, 8)}`;
  });
  afterEach(() => stack.disposeAsync());

  for (const kind of ['classic', 'quorum', 'stream'] as const) {
    it(`${kind}: loses nothing when the broker is killed under load`, SLOW, async () => {
      const own = await RabbitService.start();
      stack.defer(() => own.stop());
      server = `127.0.0.1:${own.port}`;
      const oracle = new Oracle();
      const options = rabbit({ kind });
      const source = await consume(options);
      const running = drain(source, oracle);
      // RabbitMQ 3.10 may never elect a leader again where it is killed within seconds of the birth of a quorum queue or stream.
      if (kind !== 'classic') await own.restart();
      const sink = new RabbitSink(options, (await beside()).logger);
      stack.defer(() => sink.close());
      await produce(sink, 0, 1_000);
      await oracle.reached(500);
      const producing = produce(sink, 1_000, 2_000);
      await own.kill();
      await own.start();
      await producing;
      await oracle.reached(3_000);
      await source.close();
      await running;
      expect(oracle.distinct).toBe(3_000);
      expect(oracle.disorder).toEqual([]);
    });
  }

  it('point-to-point: two consumers share a queue, and what one had out comes to the other', async () => {
    const oracle = new Oracle();
    const options = rabbit();
    const first = await consume(options, { maxUnsettled: 50 });
    const sink = new RabbitSink(options, (await beside()).logger);
    stack.defer(() => sink.close());
    await produce(sink, 0, 200);
    expect((await first.pull(10)).length).toBeGreaterThan(0);
    const second = await consume(options);
    const running = drain(second, oracle);
    await first.close();
    await oracle.reached(200);
    await second.close();
    await running;
    expect(oracle.distinct).toBe(200);
  });

  it('one consumer at a time keeps the order of the queue when it goes over to another', async () => {
    const options = rabbit({ singleActive: true });
    const first = await consume(options, { maxUnsettled: 20 });
    const second = await consume(options);
    const sink = new RabbitSink(options, (await beside()).logger);
    stack.defer(() => sink.close());
    await produce(sink, 0, 100);
    const [one] = await first.pull(1);
    first.settle(one!, { kind: 'done' });
    await first.close();
    const rest = await pullTexts(second, 99);
    const ids = rest.map((text) => Number((JSON.parse(text) as { event_id: string }).event_id));
    expect(ids).toEqual(Array.from({ length: 99 }, (_, i) => i + 1));
  });

  it('publish/subscribe: every queue bound to a fanout exchange gets every message', async () => {
    const exchange = `${queue}.all`;
    const bindings = [{ exchange, type: 'fanout', routingKey: '', arguments: {} }] as const;
    const one = await consume(rabbit({ name: `${queue}.1`, bindings }));
    const two = await consume(rabbit({ name: `${queue}.2`, bindings }));
    await (await publisher()).send({ exchange, durable: true }, Buffer.from('{"n":1}'));
    expect([await pullTexts(one, 1), await pullTexts(two, 1)]).toEqual([['{"n":1}'], ['{"n":1}']]);
  });

  it('routing and filtering: by the routing key, by its pattern, and by headers', async () => {
    const exchange = `${queue}.topic`;
    const byHeader = `${queue}.headers`;
    const byKey = `${queue}.direct`;
    const deals = await consume(
      rabbit({
        bindings: [
          { exchange, type: 'topic', routingKey: 'crm.*.changed', arguments: {} },
          { exchange: byKey, type: 'direct', routingKey: 'deal', arguments: {} },
          { exchange: byHeader, type: 'headers', routingKey: '', arguments: { 'x-match': 'all', region: 'eu' } },
        ],
      }),
    );
    const send = await publisher();
    await send.send({ exchange, routingKey: 'crm.deal.deleted' }, Buffer.from('no'));
    await send.send({ exchange, routingKey: 'crm.deal.changed' }, Buffer.from('pattern'));
    await send.send({ exchange: byKey, routingKey: 'deal.x' }, Buffer.from('no'));
    await send.send({ exchange: byKey, routingKey: 'deal' }, Buffer.from('key'));
    await send.send({ exchange: byHeader, headers: { region: 'us' } }, Buffer.from('no'));
    await send.send({ exchange: byHeader, headers: { region: 'eu' } }, Buffer.from('header'));
    expect(await pullTexts(deals, 3)).toEqual(['pattern', 'key', 'header']);
  });

  it('request/reply: the request goes by the queue, its correlation and reply address arrive as headers', async () => {
    const source = await consume(rabbit());
    const send = await publisher();
    await send.send({ routingKey: queue, correlationId: 'c1', replyTo: 'answers' }, Buffer.from('{}'));
    const [record] = await source.pull(1);
    expect(record?.headers.get('correlation-id')).toBe('c1');
    expect(record?.headers.get('reply-to')).toBe('answers');
  });

  it('keeps the bytes of JSON and text, which the client would parse', async () => {
    const source = await consume(rabbit());
    const send = await publisher();
    const bodies = ['{"n": 12345678901234567890,\n "a":1, "a":2}', 'not json'];
    for (const body of bodies) await send.send({ routingKey: queue, contentType: 'application/json' }, Buffer.from(body));
    await send.send({ routingKey: queue, contentType: 'text/plain' }, Buffer.from([0xff, 0x00, 0x41]));
    const out: SourceRecord[] = [];
    while (out.length < 3) out.push(...(await source.pull(3)));
    expect(texts(out.slice(0, 2))).toEqual(bodies);
    expect([...(out[2]?.value ?? [])]).toEqual([0xff, 0x00, 0x41]);
    expect(out[0]?.headers.get('content-type')).toBe('application/json');
    expect(out[0]?.headers.has('content-encoding')).toBe(false);
  });

  it('declares a queue again that was deleted under it', async () => {
    const source = await consume(rabbit());
    const connection = connectRabbit(rabbit(), 'operator', (await beside()).logger);
    stack.defer(() => connection.close());
    await connection.queueDelete({ queue });
    const sink = new RabbitSink(rabbit(), (await beside()).logger);
    stack.defer(() => sink.close());
    await produce(sink, 0, 1);
    expect(await source.pull(1)).toHaveLength(1);
  });

  it('reads a stream from its beginning that was deleted and made anew under its name', async () => {
    const options = rabbit({ kind: 'stream' });
    const source = await consume(options);
    const sink = new RabbitSink(options, (await beside()).logger);
    stack.defer(() => sink.close());
    await produce(sink, 0, 30);
    const before = await pullAll(source, 30);
    for (const record of before) source.settle(record, { kind: 'done' });
    await source.flush();
    const connection = connectRabbit(options, 'operator', (await beside()).logger);
    stack.defer(() => connection.close());
    await connection.queueDelete({ queue });
    await produce(sink, 30, 5);
    expect(new Set(texts(await pullAll(source, 5)))).toEqual(
      new Set(Array.from({ length: 5 }, (_, i) => JSON.stringify({ event_id: String(30 + i), pad: '' }))),
    );
  });

  it('refuses to start where the dead-letter exchange is missing, since RabbitMQ would drop in silence', SLOW, async () => {
    await expect(consume(rabbit({ deadLetterExchange: `${queue}.none` }))).rejects.toMatchObject({ code: 'BROKER_SETUP' });
    await expect(consume(rabbit({ declare: false }))).rejects.toMatchObject({ code: 'BROKER_SETUP' });
    await expect(consume({ ...rabbit(), password: 'wrong' })).rejects.toMatchObject({ code: 'BROKER_SETUP' });
  });

  it('consumes and appends over TLS, and only with the authority that signed', SLOW, async () => {
    await using secured = await securedRabbit();
    server = secured.server;
    const withTls = (tls: RabbitOptions['tls']): RabbitOptions => ({ ...rabbit(), tls });
    const source = await consume(withTls({ ca: secured.ca }));
    const sink = new RabbitSink(withTls({ ca: secured.ca }), (await beside()).logger);
    stack.defer(() => sink.close());
    await sink.append([sinkRecordOf('1', 'k')]);
    expect((await source.pull(1)).map(({ key }) => key)).toEqual(['k']);
    await expect(consume(withTls({}))).rejects.toMatchObject({ code: 'BROKER_SETUP' });
    await stack.disposeAsync();
  });

  it('has the broker put what it gives up into the exchange that the configuration names', async () => {
    const exchange = `${queue}.dead`;
    const letters = await consume(rabbit({ name: exchange, bindings: [{ exchange, type: 'fanout', routingKey: '', arguments: {} }] }));
    const limited = rabbit({ deadLetterExchange: exchange, deliveryLimit: 1 });
    const sink = new RabbitSink(limited, (await beside()).logger);
    stack.defer(() => sink.close());
    const first = await consume(limited);
    await sink.append([sinkRecordOf('1', 'k')]);
    // Each consumer takes it and goes away without a word; RabbitMQ counts that as a delivery.
    await first.pull(1);
    await first.close();
    const second = await consume(limited);
    await second.pull(1);
    await second.close();
    expect((await letters.pull(1)).map(({ key }) => key)).toEqual(['k']);
  });

  it('refuses what no queue would take', async () => {
    const options = rabbit({ publish: { exchange: 'amq.direct', routingKey: 'nobody' } });
    await consume(options);
    const sink = new RabbitSink(options, (await beside()).logger);
    stack.defer(() => sink.close());
    await expect(sink.append([sinkRecordOf('1', 'k')])).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
  });
});
