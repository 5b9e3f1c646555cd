import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Channel, Connection, Envelope } from 'rabbitmq-client';
import { type Clock, systemClock } from '../kit/clock.ts';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { inTime } from '../kit/patience.ts';
import { AppendQueue } from './append-queue.ts';
import { brokersErrors } from './errors.ts';
import type { AppendResult, EventSink, SinkGuarantees, SinkRecord } from './event-sink.ts';
import { type RabbitOptions, type RabbitQueue, connectRabbit, sentHeaders } from './rabbit-client.ts';

const MAX_BATCH = 500;
/** Ms that the broker may take to be reached and to confirm a batch. The producer is told to come again then. */
const CONFIRM_MS = 10_000;

type Message = { readonly queue: string; readonly envelope: Envelope; readonly body: Buffer };

/** Publishes persistent messages with confirms and `mandatory`: what no queue took is refused, not lost. The source beside it declares the queues. */
export class RabbitSink implements EventSink {
  readonly guarantees: SinkGuarantees = { atomic: false, detectsDuplicates: false };
  readonly #rabbit: RabbitOptions;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #queues: ReadonlyMap<string, RabbitQueue>;
  readonly #calls: AppendQueue;
  #connection: Connection | null = null;
  #channel: Channel | null = null;
  /** Queues that are known to take messages, for as long as the channel lives. */
  readonly #seen = new Set<string>();
  #returned = 0;

  constructor(rabbit: RabbitOptions, logger: Logger, maxPending = 20_000, clock: Clock = systemClock) {
    this.#rabbit = rabbit;
    this.#logger = logger;
    this.#clock = clock;
    this.#queues = new Map(rabbit.queues.map((queue) => [queue.as, queue]));
    this.#calls = new AppendQueue((records) => this.#send(records), { maxPending, maxBatch: MAX_BATCH });
  }

  append(records: readonly SinkRecord[]): Promise<readonly AppendResult[]> {
    return this.#calls.append(records);
  }

  async close(): Promise<void> {
    await this.#calls.close();
    await this.#channel?.close().catch(() => {});
    await this.#connection?.close().catch(() => {});
    this.#forget();
  }

  /** Without a word to the broker: one that confirms nothing (no leader of the queue, an alarm) does not answer to a farewell either. */
  #forget(): void {
    this.#connection?.unsafeDestroy();
    this.#connection = null;
    this.#channel = null;
    this.#seen.clear();
  }

  async #send(records: readonly SinkRecord[]): Promise<readonly AppendResult[]> {
    const messages = records.map((record) => this.#message(record));
    this.#returned = 0;
    try {
      const late = (): Error => new Error(`not confirmed within ${CONFIRM_MS} ms`);
      await inTime(this.#clock, CONFIRM_MS, this.#publish(messages), late);
      // A returned message is confirmed too; the client tells of it in the turn after.
      await nextTurn();
    } catch (error) {
      this.#logger.warn({ reason: reasonOf(error), broker: this.#rabbit.name }, 'RabbitMQ did not take a batch');
      this.#forget();
      if (error instanceof MillraceError) throw error;
      throw new MillraceError(brokersErrors.BROKER_UNAVAILABLE, `rabbitmq:${this.#rabbit.name} did not confirm the events`, {}, error);
    }
    if (this.#returned > 0)
      throw new MillraceError(
        brokersErrors.BROKER_UNAVAILABLE,
        `rabbitmq:${this.#rabbit.name}: ${this.#returned} events were routed to no queue`,
      );
    return messages.map(({ queue }) => ({ status: 'accepted', position: `rabbitmq:${this.#rabbit.name}/${queue}` }));
  }

  async #publish(messages: readonly Message[]): Promise<void> {
    const channel = await this.#open();
    const unseen = [...new Set(messages.map(({ queue }) => queue))].filter((queue) => !this.#seen.has(queue));
    // A queue whose node is starting says so to this, at once; what is published to it would be waited for in vain.
    for (const queue of unseen) await channel.queueDeclare({ queue, passive: true });
    // One that has no leader yet drops what comes before it has one, and takes what comes after: its first alone finds out.
    const first = new Set(unseen.map((queue) => messages.find((message) => message.queue === queue)));
    for (const message of first) if (message) await channel.basicPublish(message.envelope, message.body);
    for (const queue of unseen) this.#seen.add(queue);
    const rest = messages.filter((message) => !first.has(message));
    await Promise.all(rest.map(({ envelope, body }) => channel.basicPublish(envelope, body)));
  }

  #message(record: SinkRecord): Message {
    const queue = this.#queues.get(record.topic);
    if (queue === undefined)
      throw new MillraceError(brokersErrors.TOPIC_UNKNOWN, `rabbitmq:${this.#rabbit.name} has no queue for ${record.topic}`);
    const { exchange, routingKey } = queue.publish ?? { exchange: '', routingKey: queue.name };
    const contentType = record.headers.get('content-type');
    const envelope = {
      exchange,
      routingKey,
      mandatory: true,
      durable: true,
      messageId: record.eventId.slice(0, 255),
      timestamp: Math.floor(record.timestamp / 1_000),
      headers: sentHeaders(record, queue.keyHeader),
      ...(contentType === undefined ? {} : { contentType }),
    };
    return { queue: queue.name, envelope, body: Buffer.from(record.value ?? '') };
  }

  async #open(): Promise<Channel> {
    if (this.#channel?.active) return this.#channel;
    this.#seen.clear();
    this.#connection ??= connectRabbit(this.#rabbit, 'sink', this.#logger);
    const channel = await this.#connection.acquire();
    await channel.confirmSelect();
    channel.on('basic.return', () => (this.#returned += 1));
    return (this.#channel = channel);
  }
}
