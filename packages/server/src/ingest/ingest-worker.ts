import { setImmediate as nextTurn } from 'node:timers/promises';
import type { EventSource, SourceRecord } from '../brokers/event-source.ts';
import type { Channels, PublishResult } from '../channels/channels.ts';
import { channelsErrors } from '../channels/errors.ts';
import { decode } from '../events/decode.ts';
import type { LiveEvent } from '../events/live-event.ts';
import type { LiveType } from '../events/live-type.ts';
import { type RecordOutcome, mapRecord } from '../events/map-record.ts';
import { type BackoffOptions, backoffMs } from '../kit/backoff.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { type ErrorSpec, MillraceError, kitErrors } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { Pauses, inTime } from '../kit/patience.ts';
import type { Random } from '../kit/random.ts';
import { type Tracer, noTracer } from '../kit/tracer.ts';
import { BREAKER_DEFAULTS, type BreakerOptions, DeadLetterBreaker } from './breaker.ts';
import { ingestErrors } from './errors.ts';
import type { EventTrace } from './event-trace.ts';
import { Lanes, type Run } from './lanes.ts';
import { publishSpans, traceMapped } from './ingest-spans.ts';
import type { IngestMetrics, SourceMetrics } from './metrics.ts';
import { Outcomes } from './outcomes.ts';

export type IngestOptions = {
  /** Records pulled and not settled. */
  readonly capacity: number;
  /** Records in one pull and in one publish. */
  readonly batch: number;
  /** Publishes at once. */
  readonly concurrency: number;
  /** Attempts to publish a record, the first included. */
  readonly maxAttempts: number;
  readonly backoff: BackoffOptions;
  readonly breaker: BreakerOptions;
  /** Bytes of one event. */
  readonly maxEventBytes: number;
  /** Ms that `stop` waits for what is out. */
  readonly drainMs: number;
};

export const INGEST_DEFAULTS: IngestOptions = {
  capacity: 4_096,
  batch: 256,
  concurrency: 4,
  maxAttempts: 12,
  backoff: { baseMs: 100, maxMs: 30_000 },
  breaker: BREAKER_DEFAULTS,
  maxEventBytes: 1_048_576,
  drainMs: 10_000,
};

/** Ms that a scrape of the metrics waits for the broker's answer about the lag. */
const LAG_MS = 2_000;

export type IngestPorts = {
  /** The worker opens and closes it. */
  readonly source: EventSource;
  readonly channels: Pick<Channels, 'interested' | 'publish'>;
  /** The live types of a topic by the current release; asked for every record, so that a new mapping counts at once. */
  readonly liveTypesFor: (topic: string) => readonly LiveType[];
  readonly trace: EventTrace;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: IngestMetrics;
  /** Without it nothing is traced. */
  readonly tracer?: Tracer;
};

/** The store's fault, not the records'. */
const AWAY: ReadonlySet<ErrorSpec> = new Set([channelsErrors.CHANNELS_AWAY, channelsErrors.CHANNELS_OVERLOADED]);

/** A record on its way. */
type Item = {
  readonly record: SourceRecord;
  /** Wall clock and monotonic ms when it was pulled. */
  readonly receivedAt: number;
  readonly startedAt: number;
  /** Publishes that failed, and those of them in which the store was not to blame. */
  failures: number;
  counted: number;
  firstError: string | null;
};

/** An item with the events that it became; they stand in the publish call from `first` on. */
type Pending = { readonly item: Item; readonly events: readonly LiveEvent[]; readonly first: number };

/** What one publish call carries, and from which item of which run each part comes. */
type Mapped = { readonly events: readonly LiveEvent[]; readonly byRun: readonly (readonly Pending[])[] };

/**
 * Pulls records from one source, maps them, publishes their events and settles each record after its effect: a crash in between
 * redelivers, and the duplicate check of the channels absorbs it. Order per key; keys do not wait for each other.
 */
export class IngestWorker {
  readonly #ports: IngestPorts;
  readonly #options: IngestOptions;
  readonly #lanes: Lanes<Item>;
  readonly #breaker: DeadLetterBreaker;
  readonly #metrics: SourceMetrics;
  readonly #outcomes: Outcomes;
  readonly #pauses: Pauses;
  readonly #tracer: Tracer;
  #publishing = 0;
  #lag = 0;
  #stopping = false;
  #pulling: Promise<void> | null = null;
  #stopped: Promise<void> | null = null;
  #wakePuller: (() => void) | null = null;
  #onIdle: (() => void) | null = null;
  #timer: Timer | null = null;

  constructor(ports: IngestPorts, options: Partial<IngestOptions> = {}) {
    this.#ports = ports;
    this.#options = { ...INGEST_DEFAULTS, ...options };
    this.#tracer = ports.tracer ?? noTracer;
    this.#pauses = new Pauses(ports.clock);
    const { capacity, batch, concurrency, breaker } = this.#options;
    this.#lanes = new Lanes({ capacity, maxBusy: batch * concurrency, maxRun: batch });
    this.#breaker = new DeadLetterBreaker(breaker);
    this.#metrics = ports.metrics.forSource(ports.source.name, {
      held: () => this.#lanes.held,
      parked: () => this.#lanes.parkedLanes,
      breakerOpen: () => (this.#breaker.state === 'closed' ? 0 : 1),
      lag: () => this.#currentLag(),
    });
    this.#outcomes = new Outcomes(ports, this.#metrics, this.#breaker);
  }

  /** Opens the source and begins. Rejects where the source does not open. */
  async start(): Promise<void> {
    await this.#ports.source.open();
    this.#pulling = this.#pullLoop();
  }

  /**
   * Pulls nothing more, finishes what can be finished within `drainMs`, makes settlements durable and closes the source. What waits
   * for a retry stays unsettled and is delivered again at the next start. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#drain();
    return this.#stopped;
  }

  async #drain(): Promise<void> {
    this.#stopping = true;
    this.#pauses.end();
    this.#pump();
    if (!this.#isIdle()) {
      await new Promise<void>((resolve) => {
        const limit = this.#ports.clock.after(this.#options.drainMs, resolve);
        this.#onIdle = () => {
          limit.cancel();
          resolve();
        };
      });
    }
    this.#timer?.cancel();
    const left = this.#lanes.clear().length;
    if (left > 0)
      this.#ports.logger.info({ records: left }, 'stopped with records that wait for a retry; they are delivered again at the next start');
    try {
      await this.#ports.source.flush();
    } catch (error) {
      // A broker that is away must not keep the rest of the program from ending well; what it has not heard of comes again.
      this.#ports.logger.warn({ err: error, source: this.#ports.source.name }, 'the last settlements were not taken by the source');
    }
    await this.#ports.source.close();
    await this.#pulling;
  }

  /** Nothing is out, and nothing could leave before a retry falls due or the breaker closes. */
  #isIdle(): boolean {
    const now = this.#ports.clock.monotonic();
    return this.#publishing === 0 && (!this.#lanes.hasReady(now) || this.#breaker.allowance(now) === 0);
  }

  async #pullLoop(): Promise<void> {
    const { source, clock, logger } = this.#ports;
    let failures = 0;
    while (!this.#stopping) {
      const room = Math.min(this.#options.batch, this.#lanes.free, this.#breaker.allowance(clock.monotonic()));
      if (room === 0) {
        await this.#untilRoom();
        continue;
      }
      try {
        const records = await source.pull(room);
        failures = 0;
        if (records.length === 0 || this.#stopping) break;
        this.#admit(records);
        // A source that always has records would otherwise keep every socket of the process waiting.
        await nextTurn();
      } catch (error) {
        this.#metrics.sourceFailures.inc();
        const pause = backoffMs(++failures, this.#options.backoff, this.#ports.random);
        logger.error({ err: error, source: source.name, retryInMs: pause }, 'the source failed; trying again');
        await this.#pauses.pause(pause);
      }
    }
  }

  #admit(records: readonly SourceRecord[]): void {
    const receivedAt = this.#ports.clock.now();
    const startedAt = this.#ports.clock.monotonic();
    this.#metrics.records.inc(records.length);
    for (const record of records) {
      const admitted = this.#lanes.admit(record.orderKey, { record, receivedAt, startedAt, failures: 0, counted: 0, firstError: null });
      // Cannot be: no more was asked for than there is room. Unsettled, it would be delivered again.
      if (!admitted)
        this.#ports.logger.error({ position: record.position }, 'the source gave more records than it was asked for; left unsettled');
    }
    this.#pump();
  }

  /** Starts as many publishes as may run. */
  #pump(): void {
    const { clock } = this.#ports;
    const { batch, concurrency } = this.#options;
    while (this.#publishing < concurrency) {
      const now = clock.monotonic();
      if (!this.#lanes.hasReady(now)) break;
      const allowance = this.#breaker.allowance(now);
      if (allowance === 0) break;
      const runs = this.#lanes.take(now, Math.min(batch, allowance));
      this.#breaker.take(count(runs));
      const pending = this.#mapRuns(runs);
      if (pending.events.length === 0) for (const run of runs) this.#lanes.finish(run);
      else void this.#publish(runs, pending);
    }
    this.#armTimer();
    if (this.#lanes.free > 0 || this.#stopping) this.#wakePuller?.();
    if (this.#stopping && this.#isIdle()) this.#onIdle?.();
  }

  /** Settles what is no event for anybody; what is left must be published. */
  #mapRuns(runs: readonly Run<Item>[]): Mapped {
    const events: LiveEvent[] = [];
    const byRun = runs.map((run) => {
      const pending: Pending[] = [];
      for (const item of run.items) {
        const wanted = this.#eventsOf(item);
        if (wanted.length === 0) continue;
        pending.push({ item, events: wanted, first: events.length });
        events.push(...wanted);
      }
      return pending;
    });
    return { events, byRun };
  }

  /** The events that somebody may be waiting for. Where there are none the record has been settled. */
  #eventsOf(item: Item): readonly LiveEvent[] {
    const outcome = this.#mapped(item);
    if (outcome.kind === 'reject') {
      this.#outcomes.dead(item.record, outcome.code, outcome.reason);
      return [];
    }
    if (outcome.kind === 'drop') {
      this.#outcomes.dropped(item.record, outcome.reason);
      return [];
    }
    const wanted = outcome.events.filter((event) => this.#isWanted(item.record, event));
    if (wanted.length === 0) this.#outcomes.done(item.record);
    return this.#tracer.enabled ? traceMapped(this.#tracer, wanted) : wanted;
  }

  #mapped({ record, receivedAt }: Item): RecordOutcome | { readonly kind: 'reject'; readonly code: string; readonly reason: string } {
    try {
      const types = this.#ports.liveTypesFor(record.topic);
      if (types.length === 0)
        return { kind: 'reject', code: ingestErrors.NO_LIVE_TYPE.code, reason: `no live type takes events from topic ${record.topic}` };
      return mapRecord(decode(record, { receivedAt, maxBytes: this.#options.maxEventBytes }), types);
    } catch (error) {
      // A fault of ours in one record must not come back at every start and keep all others from being read.
      this.#ports.logger.error({ err: error, position: record.position }, 'mapping failed');
      return { kind: 'reject', code: kitErrors.INTERNAL.code, reason: 'mapping failed; the log has the particulars' };
    }
  }

  #isWanted(record: SourceRecord, event: LiveEvent): boolean {
    if (this.#ports.channels.interested(event)) return true;
    this.#outcomes.noInterest(record, event);
    return false;
  }

  async #publish(runs: readonly Run<Item>[], { events, byRun }: Mapped): Promise<void> {
    this.#publishing++;
    let results: readonly PublishResult[] | null = null;
    const spans = this.#tracer.enabled ? publishSpans(this.#tracer, events) : null;
    try {
      results = await this.#ports.channels.publish(spans?.events ?? events);
      if (results.length !== events.length) throw new Error(`the channels answered ${results.length} of ${events.length} events`);
    } catch (error) {
      results = null;
      spans?.failed(error);
      this.#failed(runs, byRun, error);
    }
    if (results) {
      spans?.published(results);
      this.#published(runs, byRun, results);
    }
    this.#publishing--;
    this.#pump();
  }

  #published(runs: readonly Run<Item>[], byRun: readonly (readonly Pending[])[], results: readonly PublishResult[]): void {
    const now = this.#ports.clock.monotonic();
    for (const pending of byRun) {
      for (const { item, events, first } of pending) {
        events.forEach((event, i) => this.#outcomes.published(item.record, event, results[first + i] as PublishResult));
        this.#metrics.latency.observe((now - item.startedAt) / 1_000);
        this.#outcomes.done(item.record);
      }
    }
    for (const run of runs) this.#lanes.finish(run);
  }

  /**
   * Nothing of the call counts: every record of it is parked with its key, or dead after its last attempt. While the store is away
   * no attempt counts: it would turn an outage into dead letters of records that nothing is wrong with.
   */
  #failed(runs: readonly Run<Item>[], byRun: readonly (readonly Pending[])[], error: unknown): void {
    const message = error instanceof MillraceError ? `${error.code}: ${error.message}` : 'the channels failed';
    this.#metrics.publishFailures.inc();
    this.#ports.logger.error({ err: error, records: count(runs) }, 'publishing failed');
    const now = this.#ports.clock.monotonic();
    const away = error instanceof MillraceError && AWAY.has(error.spec);
    let parked = 0;
    runs.forEach((run, i) => {
      const rest: Item[] = [];
      for (const { item } of byRun[i] ?? []) {
        item.failures++;
        if (!away) item.counted++;
        item.firstError ??= message;
        if (!away && item.record.attempt + item.counted - 1 >= this.#options.maxAttempts) this.#giveUp(item, message);
        else {
          this.#outcomes.retry(item.record, message);
          rest.push(item);
        }
      }
      parked += rest.length;
      const failures = Math.max(0, ...rest.map((item) => item.failures));
      this.#lanes.park(run, rest, now + backoffMs(failures, this.#options.backoff, this.#ports.random));
    });
    this.#breaker.giveBack(parked);
  }

  #giveUp(item: Item, message: string): void {
    const attempts = item.record.attempt + item.counted - 1;
    this.#outcomes.dead(item.record, ingestErrors.PUBLISH_FAILED.code, `not published in ${attempts} attempts; ${message}`, {
      attempts,
      firstError: item.firstError ?? message,
    });
  }

  /** One timer for the next thing that time brings: a parked key that falls due, or the end of the breaker's pause. */
  #armTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const due = this.#breaker.state === 'open' ? this.#breaker.until : this.#lanes.earliestDue;
    if (!Number.isFinite(due) || this.#stopping) return;
    this.#timer = this.#ports.clock.after(Math.max(1, due - this.#ports.clock.monotonic()), () => this.#pump());
  }

  async #untilRoom(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wakePuller = resolve;
    });
    this.#wakePuller = null;
  }

  async #currentLag(): Promise<number> {
    try {
      const late = (): Error => new Error('the source did not answer');
      this.#lag = await inTime(this.#ports.clock, LAG_MS, this.#ports.source.lag(), late);
    } catch {
      // A broker that is away, or says nothing, must not take the whole scrape with it; its other failures are counted.
    }
    return this.#lag;
  }
}

function count(runs: readonly Run<Item>[]): number {
  return runs.reduce((sum, run) => sum + run.items.length, 0);
}
