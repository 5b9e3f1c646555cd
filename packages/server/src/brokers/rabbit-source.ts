import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AsyncMessage, Channel, Connection } from 'rabbitmq-client';
import { type BackoffOptions, backoffMs } from '../kit/backoff.ts';
import { type Clock, type Timer, systemClock } from '../kit/clock.ts';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { type Random, systemRandom } from '../kit/random.ts';
import { Pauses, inTime } from '../kit/patience.ts';
import type { DeadLetters } from './dead-letters.ts';
import { DeadSettlement } from './dead-settlement.ts';
import { type Delivery, DeliveryDesk } from './delivery-desk.ts';
import type { DeliveryLedger, LedgerRetry } from './delivery-ledger.ts';
import { brokersErrors } from './errors.ts';
import type { EventSource, Settlement, SourceRecord } from './event-source.ts';
import { type Fate, LogPartition } from './log-partition.ts';
import type { BrokersMetrics } from './metrics.ts';
import { Settlements } from './settlements.ts';
import { type RabbitOptions, type RabbitQueue, connectRabbit, keepBytes, recordOf } from './rabbit-client.ts';
import { declareQueue } from './rabbit-topology.ts';

export type RabbitSourceOptions = {
  readonly maxUnsettled: number;
  readonly maxUnsettledBytes: number;
  /** Messages that each queue may have on the way to us, those out included. */
  readonly prefetch: number;
  /** Where a stream that was never read begins. */
  readonly start: 'earliest' | 'latest';
  /** Ms that the position of a stream may wait to be written. */
  readonly commitDelayMs: number;
  /** Ms that the broker may take to answer when settlements are flushed and when the source closes. */
  readonly patienceMs: number;
  readonly backoff: BackoffOptions;
};

export const RABBIT_SOURCE_DEFAULTS: RabbitSourceOptions = {
  maxUnsettled: 10_000,
  maxUnsettledBytes: 64 * 1024 * 1024,
  prefetch: 1_000,
  start: 'earliest',
  commitDelayMs: 100,
  patienceMs: 5_000,
  backoff: { baseMs: 100, maxMs: 5_000 },
};

/** Failures to set a queue up at the start after which the configuration is taken to be wrong. */
const SETUP_ATTEMPTS = 3;

export type RabbitSourceDeps = {
  readonly deadLetters: Pick<DeadLetters, 'add'>;
  readonly ledger: DeliveryLedger;
  readonly clock: Clock;
  /** Measures the waits for the broker itself; a test that holds the time of records must not hold those. */
  readonly waits?: Clock;
  readonly random?: Random;
  readonly logger: Logger;
  readonly metrics: BrokersMetrics;
  /** Where a test wants to hold the connection. */
  readonly connect?: () => Connection;
};

/** One queue on one channel; after the channel has closed there is another. */
type Reader = { readonly queue: RabbitQueue; readonly channel: Channel; readonly stream: LogPartition | null; consumerTag: string };

type Handle = { readonly reader: Reader; readonly tag: number; readonly offset: number };
const FRESH: Fate = { kind: 'new' };

type Arrived = { readonly reader: Reader; readonly message: AsyncMessage };

/** Queues and streams of a RabbitMQ cluster. A queue is acknowledged message by message, a stream has its position in the ledger. */
export class RabbitSource implements EventSource {
  readonly name: string;
  readonly #rabbit: RabbitOptions;
  readonly #options: RabbitSourceOptions;
  readonly #deps: RabbitSourceDeps;
  readonly #desk: DeliveryDesk<Handle>;
  readonly #dead: DeadSettlement;
  readonly #settlements: Settlements<Handle>;
  readonly #waits: Clock;
  readonly #pauses: Pauses;
  readonly #readers = new Map<string, Reader>();
  /** Arrived beyond the bound on what may be out; itself bounded by the prefetch of the queues. */
  #backlog: Arrived[] = [];
  #connection: Connection | null = null;
  #running: readonly Promise<void>[] = [];
  #commitTimer: Timer | null = null;
  #delivered = 0;
  #closed = false;

  constructor(rabbit: RabbitOptions, deps: RabbitSourceDeps, options: Partial<RabbitSourceOptions> = {}) {
    this.name = `rabbitmq:${rabbit.name}`;
    this.#rabbit = rabbit;
    this.#deps = deps;
    this.#options = { ...RABBIT_SOURCE_DEFAULTS, ...options };
    const { maxUnsettled, maxUnsettledBytes } = this.#options;
    this.#desk = new DeliveryDesk({ clock: deps.clock, maxUnsettled, maxBytes: maxUnsettledBytes });
    this.#dead = new DeadSettlement(deps.deadLetters, deps.clock, deps.logger);
    this.#settlements = new Settlements({
      name: this.name,
      desk: this.#desk,
      dead: this.#dead,
      metrics: deps.metrics,
      settled: (delivery) => this.#settled(delivery),
      parked: () => this.#writeSoon(),
    });
    this.#waits = deps.waits ?? systemClock;
    this.#pauses = new Pauses(this.#waits);
  }

  /** Resolves when every queue is consumed from. Rejects with BROKER_SETUP where one cannot be. */
  async open(): Promise<void> {
    this.#connection = this.#deps.connect?.() ?? connectRabbit(this.#rabbit, 'source', this.#deps.logger);
    const opened = this.#rabbit.queues.map((queue) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const running = this.#run(queue, resolve, reject);
      return { promise, running };
    });
    this.#running = opened.map(({ running }) => running);
    try {
      await Promise.all(opened.map(({ promise }) => promise));
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async pull(max: number): Promise<readonly SourceRecord[]> {
    const records = await this.#desk.pull(max);
    this.#deps.metrics.delivered.inc({ group: this.name }, records.length);
    return records;
  }

  settle(record: SourceRecord, settlement: Settlement): void {
    if (this.#closed || !this.#settlements.take(record, settlement))
      this.#deps.logger.debug({ position: record.position, source: this.name }, 'settled after the connection was lost; ignored');
  }

  /** AMQP answers no acknowledgement; but it does things in order, so that the answer to a question behind it tells that it was taken. */
  async flush(): Promise<void> {
    const late = (): Error => new Error(`no answer within ${this.#options.patienceMs} ms`);
    try {
      await inTime(this.#waits, this.#options.patienceMs, this.#askAll(), late);
    } catch (error) {
      throw new MillraceError(brokersErrors.BROKER_UNAVAILABLE, `${this.name} did not take the acknowledgements`, {}, error);
    }
  }

  /** Dead letters first, within the same time: a full disk must not hold up the end of the process. */
  async #askAll(): Promise<void> {
    await this.#dead.settled();
    this.#writeStreams();
    for (const { channel, queue } of this.#readers.values())
      if (channel.active) await channel.queueDeclare({ queue: queue.name, passive: true });
  }

  async lag(): Promise<number> {
    let waiting = 0;
    for (const { channel, queue, stream } of this.#readers.values()) {
      if (!channel.active) continue;
      const { messageCount } = await channel.queueDeclare({ queue: queue.name, passive: true });
      // What a stream holds was mostly read already.
      waiting += stream === null ? messageCount : Math.max(0, messageCount - stream.next);
    }
    // Messages that were counted out before the answer are handed over in the turn after it.
    await nextTurn();
    return waiting + this.#backlog.length + this.#desk.unsettled;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#desk.close();
    try {
      await this.flush();
    } catch (error) {
      this.#deps.logger.warn(
        { reason: reasonOf(error), source: this.name },
        'the last acknowledgements may be lost; their messages come again',
      );
    }
    this.#closed = true;
    this.#backlog = [];
    this.#dead.close();
    this.#commitTimer?.cancel();
    this.#pauses.end();
    await this.#leave().catch((error: unknown) => {
      this.#deps.logger.warn({ reason: reasonOf(error), source: this.name }, 'RabbitMQ did not answer to the farewell');
    });
    this.#connection?.unsafeDestroy();
    await Promise.all(this.#running);
  }

  async #leave(): Promise<void> {
    const leave = async (): Promise<void> => {
      await Promise.all([...this.#readers.values()].map(({ channel }) => channel.close()));
      await this.#connection?.close();
    };
    await inTime(this.#waits, this.#options.patienceMs, leave(), () => new Error(`no answer within ${this.#options.patienceMs} ms`));
  }

  async #run(queue: RabbitQueue, opened: () => void, failed: (error: unknown) => void): Promise<void> {
    let failures = 0;
    while (!this.#closed) {
      try {
        const reader = await this.#read(queue);
        failures = 0;
        opened();
        await closed(reader.channel);
        this.#giveUp(reader);
      } catch (error) {
        failures += 1;
        this.#deps.logger.warn(
          { reason: reasonOf(error), source: this.name, queue: queue.name, failures },
          'a queue could not be consumed from',
        );
        if (failures >= SETUP_ATTEMPTS || error instanceof MillraceError) failed(this.#setupError(queue, error));
      }
      if (this.#closed) return;
      this.#deps.metrics.reconnects.inc({ group: this.name });
      await this.#pauses.pause(backoffMs(Math.max(1, failures), this.#options.backoff, this.#deps.random ?? systemRandom));
    }
  }

  async #read(queue: RabbitQueue): Promise<Reader> {
    const connection = this.#connection;
    if (connection === null) throw new Error('not open');
    const found = await declareQueue(connection, queue);
    // What is remembered of the one before would pass for read.
    if (found === 'made') this.#deps.ledger.write([{ source: this.name, place: queue.name, entry: null }]);
    const channel = await connection.acquire();
    try {
      return await this.#consume(queue, channel);
    } catch (error) {
      await channel.close().catch(() => {});
      throw error;
    }
  }

  async #consume(queue: RabbitQueue, channel: Channel): Promise<Reader> {
    keepBytes(channel);
    const stream = queue.kind === 'stream' ? this.#streamOf(queue) : null;
    const reader: Reader = { queue, channel, stream, consumerTag: '' };
    // The server cancels where the queue is deleted; the channel would live on and nothing would ever come.
    channel.once('basic.cancel', () => void channel.close().catch(() => {}));
    await channel.basicQos({ prefetchCount: Math.min(this.#options.prefetch, this.#options.maxUnsettled) });
    this.#readers.set(queue.name, reader);
    const from = stream === null ? {} : { arguments: { 'x-stream-offset': stream.persisted < 0 ? this.#firstOffset() : stream.committed } };
    const { consumerTag } = await channel.basicConsume({ queue: queue.name, ...from }, (message) => this.#arrived({ reader, message }));
    reader.consumerTag = consumerTag;
    return reader;
  }

  #firstOffset(): 'first' | 'next' {
    return this.#options.start === 'earliest' ? 'first' : 'next';
  }

  #streamOf({ name }: RabbitQueue): LogPartition {
    const entry = this.#deps.ledger.read(this.name, name);
    return new LogPartition({ topic: name, partition: 0, incarnation: '' }, entry?.committed ?? 0, entry?.committed ?? -1, entry);
  }

  #arrived(arrived: Arrived): void {
    this.#backlog.push(arrived);
    this.#admit();
  }

  #admit(): void {
    while (this.#backlog.length > 0 && this.#desk.hasRoom && !this.#closed) {
      const next = this.#backlog.shift() as Arrived;
      this.#deliver(next);
    }
  }

  #deliver({ reader, message }: Arrived): void {
    const { queue, stream, channel } = reader;
    const tag = message.deliveryTag;
    const offset = stream === null ? 0 : Number(message.headers?.['x-stream-offset'] ?? 0);
    // The broker sends whole chunks of a stream: what lies before the offset that was asked for is passed over.
    const fate = stream?.take(offset) ?? FRESH;
    if (fate.kind === 'seen') {
      if (channel.active) channel.basicAck({ deliveryTag: tag });
      return;
    }
    const position = stream === null ? `${queue.name}/${(this.#delivered += 1)}` : `${queue.name}/${offset}`;
    const retry = fate.kind === 'retry' ? fate.retry : null;
    this.#desk.admit(recordOf(message, queue, position, this.#deps.clock.now(), retry?.attempt ?? 1), { reader, tag, offset }, retry);
  }

  #settled(delivery: Delivery<Handle>): void {
    if (!this.#desk.isHere(delivery)) return;
    const { reader, tag, offset } = delivery.handle;
    this.#desk.forget(delivery);
    if (reader.channel.active) reader.channel.basicAck({ deliveryTag: tag });
    if (reader.stream !== null) {
      reader.stream.settle(offset);
      this.#writeSoon();
    }
    this.#admit();
  }

  /** The broker gives everything unacknowledged of a closed channel out again. */
  #giveUp(reader: Reader): void {
    if (this.#readers.get(reader.queue.name) === reader) this.#readers.delete(reader.queue.name);
    this.#backlog = this.#backlog.filter((arrived) => arrived.reader !== reader);
    if (reader.stream !== null) this.#writeStream(reader.queue.name, reader.stream);
    const dropped = this.#desk.drop((handle) => handle.reader === reader);
    if (dropped > 0) this.#deps.metrics.redelivered.inc({ group: this.name }, dropped);
    this.#admit();
  }

  #writeSoon(): void {
    this.#commitTimer ??= this.#deps.clock.after(this.#options.commitDelayMs, () => {
      this.#commitTimer = null;
      this.#writeStreams();
    });
  }

  #writeStreams(): void {
    for (const { queue, stream } of this.#readers.values()) if (stream !== null) this.#writeStream(queue.name, stream);
  }

  #writeStream(place: string, stream: LogPartition): void {
    try {
      this.#deps.ledger.write([{ source: this.name, place, entry: stream.fullEntry(this.#retriesOf(stream)) }]);
    } catch (error) {
      this.#deps.logger.error({ reason: reasonOf(error), source: this.name, place }, 'the position of a stream could not be written');
    }
  }

  #retriesOf(stream: LogPartition): readonly LedgerRetry[] {
    return this.#desk.retries(({ reader, offset }) => (reader.stream === stream ? offset : null));
  }

  #setupError(queue: RabbitQueue, error: unknown): MillraceError {
    if (error instanceof MillraceError) return error;
    return new MillraceError(brokersErrors.BROKER_SETUP, `${this.name}, queue ${queue.name}: ${reasonOf(error)}`, {}, error);
  }
}

function closed(channel: Channel): Promise<void> {
  return channel.active ? new Promise((resolve) => channel.once('close', () => resolve())) : Promise.resolve();
}
