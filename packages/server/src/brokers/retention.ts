import type { DatabaseSync } from 'node:sqlite';
import type { Clock, Timer } from '../kit/clock.ts';
import { reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { EmbeddedDeadLetters } from './embedded-dead-letters.ts';
import type { GroupCommit } from './group-commit.ts';
import type { LogRow, LogStore } from './log-store.ts';
import type { BrokersMetrics } from './metrics.ts';

export type RetentionBounds = {
  /** Settled records older than this go. */
  readonly maxAgeMs: number;
  /** Settled records go, the oldest first, while the log holds more than this. */
  readonly maxBytes: number;
  readonly maxRecords: number;
  /** Beyond this, unsettled records go as well: counted and logged as BROKER_RETENTION_LOSS. */
  readonly hardMaxBytes: number;
};

/** Rows in one transaction; bounds the stall of the event loop (about 2 µs a row). */
const REMOVE_AT_ONCE = 1000;
const EVERY_MS = 30_000;
const SWEEP_PAUSE_MS = 250;

/**
 * Removes what the bounds no longer allow, in small transactions of their own between those of the appends. A record goes only when
 * every group of the file has settled it and none waits to retry it; the hard bound alone overrides that.
 */
export class Retention {
  readonly #db: DatabaseSync;
  readonly #store: LogStore;
  readonly #commit: GroupCommit;
  readonly #deadLetters: EmbeddedDeadLetters;
  readonly #bounds: RetentionBounds;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: BrokersMetrics;
  #timer: Timer | null = null;
  #running: Promise<void> | null = null;
  /** Where the bounds on size are passed but nothing may go, every append would sweep in vain. */
  #notBefore = 0;
  #closed = false;

  constructor(deps: {
    db: DatabaseSync;
    store: LogStore;
    commit: GroupCommit;
    deadLetters: EmbeddedDeadLetters;
    bounds: RetentionBounds;
    clock: Clock;
    logger: Logger;
    metrics: BrokersMetrics;
  }) {
    this.#db = deps.db;
    this.#store = deps.store;
    this.#commit = deps.commit;
    this.#deadLetters = deps.deadLetters;
    this.#bounds = deps.bounds;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#metrics = deps.metrics;
    this.#arm();
  }

  /** After appends: cheap unless a bound on size is passed. */
  check(): void {
    const { records, bytes } = this.#store.extent;
    if (records <= this.#bounds.maxRecords && bytes <= this.#bounds.maxBytes) return;
    if (this.#clock.monotonic() >= this.#notBefore) void this.run();
  }

  /** One sweep, until nothing more may go. Never rejects: what failed is logged and tried again with the next sweep. */
  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      let more = true;
      while (more && !this.#closed) more = await this.#commit.submit(0, 0, () => this.#sweep());
    } catch (thrown) {
      this.#logger.warn({ reason: reasonOf(thrown) }, 'retention of the event log was put off');
    } finally {
      this.#running = null;
      this.#notBefore = this.#clock.monotonic() + SWEEP_PAUSE_MS;
    }
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer = this.#clock.after(EVERY_MS, () => {
      void this.run();
      this.#arm();
    });
  }

  #sweep(): boolean {
    const moreLetters = this.#deadLetters.evict();
    const soft = this.#cut(this.#store.oldest(this.#slowest(), REMOVE_AT_ONCE, false), this.#bounds.maxBytes, true);
    if (soft.rows > 0) {
      this.#store.remove(soft.upTo, false, soft.rows, soft.bytes);
      this.#metrics.removed.inc(soft.rows);
      return true;
    }
    return this.#sweepHard() || moreLetters;
  }

  #sweepHard(): boolean {
    if (this.#store.extent.bytes <= this.#bounds.hardMaxBytes) return false;
    const hard = this.#cut(this.#store.oldest(this.#store.extent.top, REMOVE_AT_ONCE, true), this.#bounds.hardMaxBytes, false);
    if (hard.rows === 0) return false;
    this.#store.remove(hard.upTo, true, hard.rows, hard.bytes);
    this.#metrics.lost.inc(hard.rows);
    const { hardMaxBytes } = this.#bounds;
    this.#logger.error(
      { code: 'BROKER_RETENTION_LOSS', records: hard.rows, upTo: hard.upTo, hardMaxBytes },
      'unsettled records were removed: the log is at its hard bound',
    );
    return true;
  }

  /** The oldest rows that are beyond the bounds: how many, their bytes, and the last position. */
  #cut(rows: readonly LogRow[], maxBytes: number, byAgeAndCount: boolean): { rows: number; bytes: number; upTo: number } {
    const { extent } = this.#store;
    const cutoff = this.#clock.now() - this.#bounds.maxAgeMs;
    const cut = { rows: 0, bytes: 0, upTo: 0 };
    for (const row of rows) {
      const old = byAgeAndCount && (row.at < cutoff || extent.records - cut.rows > this.#bounds.maxRecords);
      if (!old && extent.bytes - cut.bytes <= maxBytes) break;
      cut.rows += 1;
      cut.bytes += row.bytes;
      cut.upTo = row.position;
    }
    return cut;
  }

  /**
   * The lowest committed position of all groups that the file knows, those not running now included. Without any group nothing is
   * settled: the first one to come must find what was accepted before it.
   */
  #slowest(): number {
    const row = this.#db.prepare('SELECT min(committed) AS committed FROM consumer').get();
    const committed = row?.['committed'];
    return typeof committed === 'number' ? committed : 0;
  }
}
