import { Producer, compatibilityPartitioner } from '@platformatic/kafka';
import { type Clock, systemClock } from '../kit/clock.ts';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { inTime } from '../kit/patience.ts';
import { AppendQueue } from './append-queue.ts';
import { brokersErrors } from './errors.ts';
import type { AppendResult, EventSink, SinkGuarantees, SinkRecord } from './event-sink.ts';
import { type KafkaOptions, clientOptions } from './kafka-client.ts';

const MAX_BATCH = 1_000;
/** Ms that the cluster may take to be reached and to confirm a batch. The producer is told to come again then. */
const CONFIRM_MS = 15_000;
const CLOSE_MS = 2_000;
/** acks=all: every replica in sync has it. */
const ALL = -1;

type KafkaProducer = Producer;

/** Appends to Kafka with acks=all and an idempotent producer, so that the client's own retries append once and in order. */
export class KafkaSink implements EventSink {
  readonly guarantees: SinkGuarantees = { atomic: false, detectsDuplicates: false };
  readonly #kafka: KafkaOptions;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #queue: AppendQueue;
  readonly #names: ReadonlyMap<string, string>;
  #producer: KafkaProducer | null = null;
  #round = 0;

  constructor(kafka: KafkaOptions, logger: Logger, maxPending = 20_000, clock: Clock = systemClock) {
    this.#kafka = kafka;
    this.#logger = logger;
    this.#clock = clock;
    this.#names = new Map(kafka.topics.map(({ name, as }) => [as, name]));
    this.#queue = new AppendQueue((records) => this.#send(records), { maxPending, maxBatch: MAX_BATCH });
  }

  append(records: readonly SinkRecord[]): Promise<readonly AppendResult[]> {
    return this.#queue.append(records);
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#forget();
  }

  async #send(records: readonly SinkRecord[]): Promise<readonly AppendResult[]> {
    const messages = records.map((record) => this.#message(record));
    try {
      const late = (): Error => new Error(`not confirmed within ${CONFIRM_MS} ms`);
      await inTime(this.#clock, CONFIRM_MS, this.#open().send({ messages, acks: ALL }), late);
    } catch (error) {
      // Sequence numbers of what may or may not have arrived: another producer begins with its own.
      await this.#forget();
      this.#logger.warn({ reason: reasonOf(error), broker: this.#kafka.name }, 'Kafka did not take a batch');
      throw new MillraceError(brokersErrors.BROKER_UNAVAILABLE, `kafka:${this.#kafka.name} did not confirm the events`, {}, error);
    }
    return messages.map(({ topic }) => ({ status: 'accepted', position: `kafka:${this.#kafka.name}/${topic}` }));
  }

  #message({ topic, key, headers, value, timestamp }: SinkRecord) {
    const name = this.#names.get(topic);
    if (name === undefined) throw new MillraceError(brokersErrors.TOPIC_UNKNOWN, `kafka:${this.#kafka.name} has no topic for ${topic}`);
    return {
      topic: name,
      headers: new Map([...headers].map(([header, text]) => [Buffer.from(header), Buffer.from(text)])),
      timestamp: BigInt(Math.trunc(timestamp)),
      ...(key === null ? {} : { key: Buffer.from(key) }),
      ...(value === null ? {} : { value: Buffer.from(value) }),
    };
  }

  #open(): KafkaProducer {
    this.#producer ??= new Producer({
      ...clientOptions(this.#kafka, 'sink'),
      idempotent: true,
      acks: ALL,
      // As the Java client does it: events of one key stand in one partition, whoever produced them. Those without go round.
      partitioner: (message, key) => (key === undefined ? this.#round++ & 0x7fffffff : compatibilityPartitioner(message, key)),
    });
    return this.#producer;
  }

  async #forget(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    if (producer === null) return;
    // Its own retries end with it: a batch of before must not land behind what follows.
    const late = (): Error => new Error('no answer');
    await inTime(this.#clock, CLOSE_MS, producer.close(true), late).catch(() => {});
  }
}
