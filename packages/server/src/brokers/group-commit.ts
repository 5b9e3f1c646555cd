import { MillraceError, reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Database } from '../kit/sqlite.ts';
import { toSqliteError } from '../kit/sqlite.ts';
import type { Checkpointer } from './checkpointer.ts';
import { brokersErrors } from './errors.ts';
import type { BrokersMetrics } from './metrics.ts';

/** Takes part in every transaction of the log: consumer groups put their positions into it at no further cost. */
export interface Participant {
  /** Within the transaction. Must be repeatable: after a rollback it is called again with the next one. */
  write(): void;
  /** The transaction is committed, though not yet on the disk. */
  written(): void;
  rolledBack(): void;
  /** All that was written is on the disk. */
  durable(): void;
}

export type GroupCommitOptions = {
  /** Records that may wait, BROKER_BUSY beyond. */
  readonly maxPending: number;
  /** Records in one transaction at most (a single larger call excepted); bounds the stall of the event loop. */
  readonly maxBatch: number;
  /** Bytes written between two check-points. */
  readonly checkpointBytes: number;
};

type Job = { readonly weight: number; readonly bytes: number; run(): void; durable(): void; fail(error: unknown): void };

/**
 * Calls made within one turn of the event loop, or while the disk is busy with the ones before, share one transaction and one
 * fdatasync. The transaction runs on this thread without forcing the disk (`synchronous = NORMAL`); the write-ahead log is then forced
 * by libuv's threads, and only after that are the calls answered: what FULL promises, without its stall. DESIGN.md has the measurements.
 */
export class GroupCommit {
  readonly #database: Database;
  readonly #sync: () => Promise<void>;
  readonly #checkpointer: Checkpointer | null;
  readonly #options: GroupCommitOptions;
  readonly #metrics: BrokersMetrics;
  readonly #logger: Logger;
  readonly #participants: Participant[] = [];
  #queue: Job[] = [];
  #pending = 0;
  #scheduled = false;
  #committing = false;
  #checkpoint: 'idle' | 'first' | 'wanted' | 'second' = 'idle';
  #sinceCheckpoint = 0;
  #failed: MillraceError | null = null;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(deps: {
    database: Database;
    sync: () => Promise<void>;
    checkpointer: Checkpointer | null;
    options: GroupCommitOptions;
    metrics: BrokersMetrics;
    logger: Logger;
  }) {
    this.#database = deps.database;
    this.#sync = deps.sync;
    this.#checkpointer = deps.checkpointer;
    this.#options = deps.options;
    this.#metrics = deps.metrics;
    this.#logger = deps.logger;
  }

  join(participant: Participant): void {
    this.#participants.push(participant);
  }

  /**
   * Runs `work` in the next transaction; resolves with its result when that is on the disk. `weight` counts against `maxPending`;
   * 0 is always admitted. Errors: BROKER_BUSY, BROKER_CLOSED, BROKER_FAILED, DISK_FULL.
   */
  submit<T>(weight: number, bytes: number, work: () => T): Promise<T> {
    const refusal = this.#refusal(weight);
    if (refusal) return Promise.reject(refusal);
    this.#pending += weight;
    this.#metrics.pending.set(this.#pending);
    return new Promise<T>((resolve, reject) => {
      let result: T;
      this.#queue.push({
        weight,
        bytes,
        run: () => {
          result = work();
        },
        durable: () => resolve(result),
        fail: reject,
      });
      this.#schedule();
    });
  }

  /** Makes everything submitted so far durable, then takes nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#queue.length > 0 || this.#committing || this.#checkpoint !== 'idle')
      await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #refusal(weight: number): MillraceError | null {
    if (this.#failed) return this.#failed;
    if (this.#closed) return new MillraceError(brokersErrors.BROKER_CLOSED, 'the event log is closed: send again after the restart');
    if (weight === 0 || this.#pending === 0 || this.#pending + weight <= this.#options.maxPending) return null;
    this.#metrics.busy.inc();
    return new MillraceError(brokersErrors.BROKER_BUSY, `${this.#pending} records wait for the disk: send again later`, {
      pending: this.#pending,
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#committing || this.#checkpoint === 'wanted' || this.#checkpoint === 'second') return;
    this.#scheduled = true;
    // After the sockets of this turn have been read, so that what they brought shares the commit.
    setImmediate(() => {
      this.#scheduled = false;
      void this.#commit();
    });
  }

  async #commit(): Promise<void> {
    const jobs = this.#take();
    this.#committing = true;
    const start = performance.now();
    try {
      this.#write(jobs);
    } catch (thrown) {
      this.#settle(jobs, () => {
        for (const job of jobs) job.fail(thrown);
      });
      return;
    }
    try {
      await this.#sync();
    } catch (thrown) {
      this.#fail(thrown);
      const failed = this.#failed;
      this.#settle(jobs, () => {
        for (const job of jobs) job.fail(failed);
      });
      return;
    }
    this.#metrics.commitSeconds.observe((performance.now() - start) / 1000);
    this.#settle(jobs, () => {
      for (const job of jobs) job.durable();
      for (const participant of this.#participants) participant.durable();
    });
  }

  #take(): Job[] {
    let weight = 0;
    let count = 0;
    for (const job of this.#queue) {
      if (count > 0 && weight + job.weight > this.#options.maxBatch) break;
      weight += job.weight;
      this.#sinceCheckpoint += job.bytes;
      count += 1;
    }
    if (weight > 0) this.#metrics.commitRecords.observe(weight);
    return this.#queue.splice(0, count);
  }

  #write(jobs: readonly Job[]): void {
    try {
      this.#database.transaction(() => {
        for (const job of jobs) job.run();
        for (const participant of this.#participants) participant.write();
      });
    } catch (thrown) {
      for (const participant of this.#participants) participant.rolledBack();
      throw thrown;
    }
    for (const participant of this.#participants) participant.written();
  }

  #settle(jobs: readonly Job[], answer: () => void): void {
    for (const job of jobs) this.#pending -= job.weight;
    this.#metrics.pending.set(this.#pending);
    this.#committing = false;
    answer();
    this.#next();
  }

  #next(): void {
    if (this.#sinceCheckpoint >= this.#options.checkpointBytes && this.#checkpoint === 'idle' && !this.#closed) void this.#runCheckpoint();
    if (this.#checkpoint === 'wanted') void this.#finishCheckpoint();
    else if (this.#queue.length > 0) this.#schedule();
    else if (this.#checkpoint === 'idle') this.#ready();
  }

  #ready(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  /**
   * Two passes: the first copies nearly all while commits go on; for the short second one commits wait (the event loop does not), so
   * that the write-ahead log is wholly copied and starts again at its beginning. Without that it would grow for as long as events come.
   */
  async #runCheckpoint(): Promise<void> {
    if (!this.#checkpointer) return;
    this.#checkpoint = 'first';
    this.#sinceCheckpoint = 0;
    const ms = await this.#checkpointer.run();
    if (ms !== null) this.#metrics.checkpointSeconds.observe(ms / 1000);
    this.#checkpoint = 'wanted';
    if (!this.#committing) await this.#finishCheckpoint();
  }

  async #finishCheckpoint(): Promise<void> {
    this.#checkpoint = 'second';
    const ms = (await this.#checkpointer?.run()) ?? null;
    if (ms !== null) this.#metrics.checkpointSeconds.observe(ms / 1000);
    this.#checkpoint = 'idle';
    if (!this.#committing) this.#next();
  }

  /** After a failed fdatasync the kernel may have dropped the pages: a second try would succeed and lie. So nothing more is taken. */
  #fail(thrown: unknown): void {
    const cause = toSqliteError(thrown, this.#database.path);
    const why = reasonOf(cause);
    this.#failed = new MillraceError(
      brokersErrors.BROKER_FAILED,
      `the event log could not be forced to the disk (${why}): restart Millrace`,
      {},
      cause,
    );
    this.#logger.fatal({ code: 'BROKER_FAILED', reason: why }, 'the event log takes nothing more until a restart');
    const queue = this.#queue;
    this.#queue = [];
    for (const job of queue) {
      this.#pending -= job.weight;
      job.fail(this.#failed);
    }
  }
}
