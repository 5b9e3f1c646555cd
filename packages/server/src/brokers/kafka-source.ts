import { AuthenticationError, Consumer, ListOffsetTimestamps, type MessagesStream, ProtocolError } from '@platformatic/kafka';
import { type BackoffOptions, backoffMs } from '../kit/backoff.ts';
import { type Clock, type Timer, systemClock } from '../kit/clock.ts';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { type Random, systemRandom } from '../kit/random.ts';
import { Pauses, inTime } from '../kit/patience.ts';
import type { DeadLetters } from './dead-letters.ts';
import { DeadSettlement } from './dead-settlement.ts';
import { type Delivery, DeliveryDesk } from './delivery-desk.ts';
import type { DeliveryLedger } from './delivery-ledger.ts';
import { brokersErrors } from './errors.ts';
import type { EventSource, Settlement, SourceRecord } from './event-source.ts';
import { type KafkaMessage, type KafkaOptions, clientOptions, recordOf } from './kafka-client.ts';
import { LogPartition } from './log-partition.ts';
import type { BrokersMetrics } from './metrics.ts';
import { Settlements } from './settlements.ts';

export type KafkaSourceOptions = {
  readonly maxUnsettled: number;
  readonly maxUnsettledBytes: number;
  /** Ms that settlements may wait to be committed together. */
  readonly commitDelayMs: number;
  /** Ms without a heartbeat after which the group gives the partitions away (classic protocol; with KIP-848 the broker decides). */
  readonly sessionTimeoutMs: number;
  /** Ms that `open` waits for the group, and `flush` for a commit. */
  readonly patienceMs: number;
  readonly backoff: BackoffOptions;
};

export const KAFKA_SOURCE_DEFAULTS: KafkaSourceOptions = {
  maxUnsettled: 10_000,
  maxUnsettledBytes: 64 * 1024 * 1024,
  commitDelayMs: 100,
  sessionTimeoutMs: 30_000,
  patienceMs: 30_000,
  backoff: { baseMs: 100, maxMs: 5_000 },
};

/** The library waits 5 s for a fetch by default, and holds a rebalance up for as long. */
const MAX_WAIT_MS = 100;
const FETCH_BYTES = 8 * 1024 * 1024;
const PARTITION_BYTES = 1024 * 1024;
/** Decoded messages that wait between a fetch and the desk. */
const HIGH_WATER = 512;

export type KafkaConsumer = Consumer;
type Stream = MessagesStream<Buffer, Buffer, Buffer, Buffer>;

export type KafkaSourceDeps = {
  readonly deadLetters: Pick<DeadLetters, 'add'>;
  readonly ledger: DeliveryLedger;
  readonly clock: Clock;
  /** Measures the waits for the broker itself; a test that holds the time of records must not hold those. */
  readonly waits?: Clock;
  readonly random?: Random;
  readonly logger: Logger;
  readonly metrics: BrokersMetrics;
  /** Where a test wants to hold the client. */
  readonly makeConsumer?: (options: ConstructorParameters<typeof Consumer>[0]) => KafkaConsumer;
};

/** One membership in the group; after a failure there is a new one. */
type Session = {
  readonly consumer: KafkaConsumer;
  stream: Stream | null;
  /** Reading goes on only once the positions that the stream took up are known to be right. */
  verified: Promise<void>;
  /** The stream holds messages of partitions that were taken away in between; another one reads on. */
  renew: boolean;
};

type Handle = { readonly partition: LogPartition; readonly offset: number };

/** One consumer group of a Kafka cluster. DESIGN.md says why it reads, commits and gives up partitions as it does. */
export class KafkaSource implements EventSource {
  readonly name: string;
  readonly #kafka: KafkaOptions;
  readonly #options: KafkaSourceOptions;
  readonly #deps: KafkaSourceDeps;
  readonly #desk: DeliveryDesk<Handle>;
  readonly #dead: DeadSettlement;
  readonly #settlements: Settlements<Handle>;
  readonly #waits: Clock;
  readonly #pauses: Pauses;
  readonly #partitions = new Map<string, LogPartition>();
  readonly #topics: ReadonlyMap<string, string>;
  #session: Session | null = null;
  #failure: MillraceError | null = null;
  #running: Promise<void> | null = null;
  #opened = Promise.withResolvers<void>();
  #progress: (() => void)[] = [];
  #commitTimer: Timer | null = null;
  #committing: Promise<void> | null = null;
  #closed = false;

  constructor(kafka: KafkaOptions, deps: KafkaSourceDeps, options: Partial<KafkaSourceOptions> = {}) {
    this.name = `kafka:${kafka.name}`;
    this.#kafka = kafka;
    this.#deps = deps;
    this.#options = { ...KAFKA_SOURCE_DEFAULTS, ...options };
    const { maxUnsettled, maxUnsettledBytes } = this.#options;
    this.#desk = new DeliveryDesk({ clock: deps.clock, maxUnsettled, maxBytes: maxUnsettledBytes });
    this.#dead = new DeadSettlement(deps.deadLetters, deps.clock, deps.logger);
    this.#settlements = new Settlements({
      name: this.name,
      desk: this.#desk,
      dead: this.#dead,
      metrics: deps.metrics,
      settled: (delivery) => this.#settled(delivery),
      parked: () => this.#commitSoon(),
    });
    this.#waits = deps.waits ?? systemClock;
    this.#pauses = new Pauses(this.#waits);
    this.#topics = new Map(kafka.topics.map(({ name, as }) => [name, as]));
    this.#opened.promise.catch(() => {});
  }

  /** Resolves when the group has said which partitions are ours. Rejects with BROKER_SETUP where it does not in time. */
  async open(): Promise<void> {
    this.#running ??= this.#run();
    try {
      const late = (): Error => this.#setupError('the group did not answer in time');
      await inTime(this.#waits, this.#options.patienceMs, this.#opened.promise, late);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Topic/partition of what is assigned now, for tests and the log. */
  get assigned(): readonly string[] {
    return [...this.#partitions.keys()];
  }

  async pull(max: number): Promise<readonly SourceRecord[]> {
    let records: readonly SourceRecord[] = [];
    while (records.length === 0 && !this.#closed) {
      if (this.#failure !== null) throw this.#failure;
      records = await this.#desk.pull(max);
      if (this.#desk.closed) break;
    }
    this.#deps.metrics.delivered.inc({ group: this.name }, records.length);
    return records;
  }

  settle(record: SourceRecord, settlement: Settlement): void {
    if (this.#closed || !this.#settlements.take(record, settlement))
      this.#deps.logger.debug({ position: record.position, source: this.name }, 'settled after the partition was given away; ignored');
  }

  async flush(): Promise<void> {
    const late = (): Error => new MillraceError(brokersErrors.BROKER_UNAVAILABLE, `${this.name} takes no commit`);
    // Dead letters too: a full disk must not hold up the end of the process.
    const settled = this.#dead.settled().then(() => this.#commitUntilClean());
    await inTime(this.#waits, this.#options.patienceMs, settled, late);
  }

  async lag(): Promise<number> {
    const consumer = this.#session?.consumer;
    if (!consumer || this.#partitions.size === 0) return this.#desk.unsettled;
    const partitions: Record<string, number[]> = {};
    for (const { topic, partition } of this.#partitions.values()) (partitions[topic] ??= []).push(partition);
    const ends = await consumer.listOffsets({ topics: Object.keys(partitions), partitions, timestamp: ListOffsetTimestamps.LATEST });
    let ahead = 0;
    for (const { topic, partition, next } of this.#partitions.values())
      ahead += Math.max(0, Number(ends.get(topic)?.[partition] ?? 0) - next);
    return ahead + this.#desk.unsettled;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#desk.close();
    try {
      if (this.#session !== null) await this.flush();
    } catch (error) {
      this.#deps.logger.warn(
        { reason: reasonOf(error), source: this.name },
        'the last settlements were not committed; their records come again',
      );
    }
    this.#closed = true;
    this.#dead.close();
    this.#commitTimer?.cancel();
    this.#pauses.end();
    this.#signalProgress();
    await this.#endSession();
    await this.#running;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#closed) {
      try {
        await this.#consume(() => (failures = 0));
      } catch (error) {
        if (this.#closed) break;
        failures += 1;
        this.#failed(error, failures);
      }
      await this.#endSession();
      if (!this.#closed) await this.#backOff(failures);
    }
  }

  #failed(error: unknown, failures: number): void {
    const { logger, metrics } = this.#deps;
    metrics.reconnects.inc({ group: this.name });
    logger.warn({ reason: describe(error), source: this.name, failures }, 'the session with Kafka ended; beginning another');
    if (!(error instanceof MillraceError)) {
      // After kill -9 the group (KIP-848) keeps our name for the one that died until its session times out. Nothing is wrong with the configuration.
      if (isUnreleased(error)) this.#opened.resolve();
      // The first session decides whether the configuration can work at all. No wait makes a wrong password right.
      if (failures >= 3 || isRefusal(error)) this.#opened.reject(this.#setupError(describe(error)));
      return;
    }
    this.#failure = error;
    this.#opened.reject(error);
    this.#desk.interruptPull();
  }

  /** One session, to its end. */
  async #consume(healthy: () => void): Promise<void> {
    const session = this.#begin();
    const { consumer } = session;
    while (!this.#closed) {
      const stream = await consumer.consume({
        topics: [...this.#topics.keys()],
        mode: 'committed',
        // Never latest: a position that is lost would skip everything up to now. Where that is wanted it is committed first (#verify).
        fallbackMode: 'earliest',
        autocommit: false,
        maxWaitTime: MAX_WAIT_MS,
        maxBytes: FETCH_BYTES,
        maxBytesPerPartition: PARTITION_BYTES,
        highWaterMark: HIGH_WATER,
        sessionTimeout: this.#options.sessionTimeoutMs,
        rebalanceTimeout: Math.max(this.#options.sessionTimeoutMs, 60_000),
        heartbeatInterval: Math.min(3_000, Math.ceil(this.#options.sessionTimeoutMs / 3)),
      });
      session.stream = stream;
      session.renew = false;
      stream.on('error', () => {});
      stream.on('offsets', () => this.#verifyLater(session, stream, healthy));
      try {
        for await (const message of stream as AsyncIterable<KafkaMessage>) {
          await session.verified;
          if (session.renew || this.#closed) break;
          await this.#take(session, message);
        }
      } catch (error) {
        if (!session.renew && !this.#closed) throw error;
      }
      if (!session.renew) return;
    }
  }

  #begin(): Session {
    const { group, instanceId, protocol } = this.#kafka;
    const make = this.#deps.makeConsumer ?? ((options) => new Consumer(options as never));
    const consumer = make({
      ...clientOptions(this.#kafka, 'source'),
      groupId: group,
      groupProtocol: protocol,
      autocommit: false,
      ...(instanceId === null ? {} : { groupInstanceId: instanceId }),
    });
    const session: Session = { consumer, stream: null, verified: Promise.resolve(), renew: false };
    this.#session = session;
    // One reference of ours, so that the end of one stream is not the end of the subscription, which would make the member join anew.
    for (const topic of this.#topics.keys()) consumer.topics.track(topic);
    consumer.on('error', () => {});
    const reconcile = (): void => this.#reconcile(session);
    consumer.on('consumer:group:join', reconcile);
    consumer.on('consumer:heartbeat:end', reconcile);
    return session;
  }

  /** Gives up what is not ours any more. The protocol tells of revocations by the assignment alone. */
  #reconcile(session: Session): void {
    const assigned = new Set(
      (session.consumer.assignments ?? []).flatMap(({ topic, partitions }) => partitions.map((p) => `${topic}/${p}`)),
    );
    if (session.consumer.assignments === null) return;
    for (const [place, partition] of this.#partitions) if (!assigned.has(place)) this.#giveUp(session, place, partition);
  }

  #giveUp(session: Session, place: string, partition: LogPartition): void {
    this.#partitions.delete(place);
    const dropped = this.#desk.drop((handle) => handle.partition === partition);
    if (dropped > 0) this.#deps.metrics.redelivered.inc({ group: this.name }, dropped);
    this.#deps.logger.info({ source: this.name, place, dropped }, 'a partition was given away');
    this.#renew(session);
    this.#signalProgress();
  }

  /** Messages that the stream has read ahead may belong to a membership that ended: read again by another stream, from what is committed. */
  #renew(session: Session): void {
    session.renew = true;
    session.stream?.destroy();
  }

  /** The stream has taken up positions, at its start or after a rebalance. */
  #verifyLater(session: Session, stream: Stream, healthy: () => void): void {
    if (session.stream !== stream) return;
    const positions = new Map(stream.offsetsToFetch);
    const verifying = this.#verify(session, positions);
    session.verified = verifying;
    verifying.then(
      () => {
        if (session.consumer.assignments === null) return;
        healthy();
        this.#failure = null;
        this.#opened.resolve();
      },
      (error: unknown) => stream.destroy(error instanceof Error ? error : new Error(String(error))),
    );
  }

  /**
   * Compares each position with what this group committed. The library may take up another one without a word: after an error of the group,
   * or because retention removed what was committed. Throws BROKER_OFFSET_JUMP.
   */
  async #verify(session: Session, positions: ReadonlyMap<string, bigint>): Promise<void> {
    const { consumer } = session;
    const assignments = consumer.assignments ?? [];
    if (assignments.length === 0) return;
    this.#reconcile(session);
    const committed = await consumer.listCommittedOffsets({ topics: assignments });
    const metadata = await consumer.metadata({ topics: [...this.#topics.keys()] });
    const fresh: { topic: string; partition: number }[] = [];
    for (const { topic, partitions } of assignments) {
      for (const partition of partitions) {
        const known = Number(committed.get(topic)?.[partition] ?? -1n);
        const position = Number(positions.get(`${topic}:${partition}`) ?? -1n);
        const place = { topic, partition, incarnation: metadata.topics.get(topic)?.id ?? '' };
        if (known < 0 && this.#kafka.start === 'latest') fresh.push(place);
        else if (position >= 0) this.#adopt(session, place, position, known);
      }
    }
    if (fresh.length > 0) await this.#startAtEnd(session, fresh);
    this.#commitSoon();
  }

  #adopt(session: Session, place: { topic: string; partition: number; incarnation: string }, position: number, committed: number): void {
    const name = `${place.topic}/${place.partition}`;
    const held = this.#partitions.get(name);
    // A topic that was made anew under the old name begins at 0: what was known of the old one would pass for read.
    const same = held?.incarnation === place.incarnation ? held : undefined;
    const expected = same?.next ?? (committed < 0 ? position : committed);
    if (same && position <= expected) return;
    if (position > expected && position !== committed) this.#jumped(name, expected, position);
    // Somebody else had the partition in between and went on with it.
    if (held) this.#giveUp(session, name, held);
    const ledger = this.#deps.ledger.read(this.name, name);
    this.#partitions.set(name, new LogPartition(place, position, committed, ledger));
  }

  #jumped(place: string, expected: number, position: number): void {
    const skipped = position - expected;
    const message = `${this.name}: of ${place} the offsets ${expected} to ${position - 1} (${skipped} of them) were skipped unread`;
    if (this.#kafka.onLoss === 'stop') throw new MillraceError(brokersErrors.BROKER_OFFSET_JUMP, message);
    this.#deps.metrics.jumped.inc({ group: this.name }, skipped);
    this.#deps.logger.error({ code: brokersErrors.BROKER_OFFSET_JUMP.code, source: this.name, place, expected, position }, message);
  }

  /** A group that is to begin with what comes next commits that first: a position that only the client knew could be lost, and then jump. */
  async #startAtEnd(session: Session, places: readonly { topic: string; partition: number }[]): Promise<void> {
    const { consumer } = session;
    const partitions: Record<string, number[]> = {};
    for (const { topic, partition } of places) (partitions[topic] ??= []).push(partition);
    const ends = await consumer.listOffsets({ topics: Object.keys(partitions), partitions, timestamp: ListOffsetTimestamps.LATEST });
    const offsets = places.map(({ topic, partition }) => ({
      topic,
      partition,
      offset: ends.get(topic)?.[partition] ?? 0n,
      leaderEpoch: -1,
    }));
    await consumer.commit({ offsets });
    this.#renew(session);
  }

  async #take(session: Session, message: KafkaMessage): Promise<void> {
    const place = `${message.topic}/${message.partition}`;
    const offset = Number(message.offset);
    await this.#desk.room();
    for (;;) {
      const partition = this.#partitions.get(place);
      if (partition === undefined || session.renew || this.#closed) return;
      if (partition.hasRoom(offset)) return this.#deliver(partition, message, offset);
      await new Promise<void>((resolve) => this.#progress.push(resolve));
    }
  }

  #deliver(partition: LogPartition, message: KafkaMessage, offset: number): void {
    const fate = partition.take(offset);
    if (fate.kind === 'seen') return this.#commitSoon();
    const as = this.#topics.get(message.topic) ?? message.topic;
    const retry = fate.kind === 'retry' ? fate.retry : null;
    this.#desk.admit(recordOf(message, as, this.#deps.clock.now(), retry?.attempt ?? 1), { partition, offset }, retry);
  }

  #settled(delivery: Delivery<Handle>): void {
    if (!this.#desk.isHere(delivery)) return;
    delivery.handle.partition.settle(delivery.handle.offset);
    this.#desk.forget(delivery);
    this.#signalProgress();
    this.#commitSoon();
  }

  #signalProgress(): void {
    for (const wake of this.#progress.splice(0)) wake();
  }

  #commitSoon(): void {
    if (this.#closed) return;
    this.#commitTimer ??= this.#deps.clock.after(this.#options.commitDelayMs, () => {
      this.#commitTimer = null;
      this.#commitOnce().catch((error: unknown) => {
        this.#deps.logger.warn({ reason: describe(error), source: this.name }, 'a commit failed; trying again');
        this.#commitSoon();
      });
    });
  }

  async #commitUntilClean(): Promise<void> {
    let failures = 0;
    while (!this.#closed) {
      try {
        await this.#commitOnce();
        return;
      } catch (error) {
        failures += 1;
        this.#deps.logger.warn({ reason: describe(error), source: this.name }, 'a commit failed; trying again');
        await this.#backOff(failures);
      }
    }
  }

  /** All settlements so far; one commit at a time, or an older one could overtake a newer. */
  async #commitOnce(): Promise<void> {
    while (this.#committing !== null) await this.#committing.catch(() => {});
    this.#committing = this.#commit().finally(() => (this.#committing = null));
    await this.#committing;
  }

  async #commit(): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    this.#reconcile(session);
    const moved = [...this.#partitions.values()].filter(({ committed, persisted }) => committed !== persisted);
    const offsets = moved.map(({ topic, partition, committed }) => ({ topic, partition, offset: BigInt(committed), leaderEpoch: -1 }));
    if (offsets.length > 0) await session.consumer.commit({ offsets });
    moved.forEach((partition, i) => (partition.persisted = Number(offsets[i]?.offset)));
    this.#writeLedger();
  }

  /** After the commit: an entry from after the committed offset would count as left over from before the group was moved. */
  #writeLedger(): void {
    const changes: Parameters<DeliveryLedger['write']>[0][number][] = [];
    for (const [place, partition] of this.#partitions) {
      const entry = partition.ledgerEntry(this.#desk.retries((handle) => (handle.partition === partition ? handle.offset : null)));
      if (entry === null && !partition.inLedger) continue;
      partition.inLedger = entry !== null;
      changes.push({ source: this.name, place, entry });
    }
    if (changes.length > 0) this.#deps.ledger.write(changes);
  }

  async #endSession(): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    this.#session = null;
    for (const [place, partition] of this.#partitions) this.#giveUp(session, place, partition);
    session.stream?.destroy();
    try {
      await session.consumer.close(true);
    } catch (error) {
      this.#deps.logger.debug({ reason: describe(error), source: this.name }, 'leaving the group failed');
    }
  }

  #backOff(failures: number): Promise<void> {
    return this.#pauses.pause(backoffMs(Math.max(1, failures), this.#options.backoff, this.#deps.random ?? systemRandom));
  }

  #setupError(why: string): MillraceError {
    return new MillraceError(brokersErrors.BROKER_SETUP, `${this.name} (${this.#kafka.servers.join(', ')}): ${why}`);
  }
}

/** The library wraps what the broker said, several layers deep; the innermost says most. */
function layersOf(error: unknown): readonly unknown[] {
  const inner: unknown =
    error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error instanceof Error ? error.cause : undefined;
  return inner === undefined ? [error] : [error, ...layersOf(inner)];
}

function describe(error: unknown): string {
  return layersOf(error).map(reasonOf).join(' ');
}

function isUnreleased(error: unknown): boolean {
  return layersOf(error).some((layer) => layer instanceof ProtocolError && layer['apiId'] === 'UNRELEASED_INSTANCE_ID');
}

function isRefusal(error: unknown): boolean {
  return layersOf(error).some((layer) => layer instanceof AuthenticationError);
}
