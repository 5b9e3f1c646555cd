import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Clock, systemClock } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import { type Database, openDatabase } from '../kit/sqlite.ts';
import { ThreadCheckpointer } from './checkpointer.ts';
import type { DeadLetters } from './dead-letters.ts';
import { type DeadLetterBounds, EmbeddedDeadLetters } from './embedded-dead-letters.ts';
import { EmbeddedSource, SOURCE_DEFAULTS, type SourceOptions } from './embedded-source.ts';
import type { AppendResult, EventSink, SinkRecord } from './event-sink.ts';
import type { EventSource } from './event-source.ts';
import { GroupCommit, type GroupCommitOptions } from './group-commit.ts';
import { LOG_SCHEMA_VERSION, LogStore, migrateLog, recordBytes } from './log-store.ts';
import type { BrokersMetrics } from './metrics.ts';
import { Retention, type RetentionBounds } from './retention.ts';

const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;

export type EmbeddedLogOptions = GroupCommitOptions & {
  readonly retention: RetentionBounds;
  readonly deadLetters: DeadLetterBounds;
};

export const EMBEDDED_LOG_DEFAULTS: EmbeddedLogOptions = {
  maxPending: 20_000,
  maxBatch: 1_000,
  checkpointBytes: 8 * MIB,
  retention: { maxAgeMs: DAY_MS, maxBytes: 1024 * MIB, maxRecords: 5_000_000, hardMaxBytes: 4096 * MIB },
  deadLetters: { maxCount: 100_000, maxBytes: 256 * MIB, maxAgeMs: 30 * DAY_MS },
};

export type EmbeddedLogDeps = { readonly logger: Logger; readonly metrics: BrokersMetrics; readonly clock?: Clock };

/** A durable log, its consumer groups and its dead letters in one SQLite file. See DESIGN.md for how it writes. */
export interface EmbeddedLog {
  readonly sink: EventSink;
  readonly deadLetters: DeadLetters;
  /** One consumer group; each may be made once for as long as the log is open. Its name is its identity over restarts. */
  source(group: string, options?: Partial<SourceOptions>): EventSource;
  /** One sweep of retention now; otherwise it runs every 30 s and when a bound on size is passed. */
  enforceRetention(): Promise<void>;
  /** Closes the sources, makes all settlements durable, then the file. */
  close(): Promise<void>;
}

/**
 * Opens or creates the log at `path` (`:memory:` for tests: nothing is durable then). Errors: DATA_VERSION, DATA_CORRUPT, DATA_LOCKED,
 * DATA_UNUSABLE, DISK_FULL.
 */
export function openEmbeddedLog(path: string, deps: EmbeddedLogDeps, options: Partial<EmbeddedLogOptions> = {}): EmbeddedLog {
  return new OpenLog(path, deps, { ...EMBEDDED_LOG_DEFAULTS, ...options });
}

class OpenLog implements EmbeddedLog, EventSink {
  readonly guarantees = { atomic: true, detectsDuplicates: true };
  readonly #database: Database;
  readonly #disk: Disk;
  readonly #commit: GroupCommit;
  readonly #store: LogStore;
  readonly #letters: EmbeddedDeadLetters;
  readonly #retention: Retention;
  readonly #checkpointer: ThreadCheckpointer | null;
  readonly #sources = new Map<string, EmbeddedSource>();
  readonly #deps: EmbeddedLogDeps & { readonly clock: Clock };
  #closing: Promise<void> | null = null;

  constructor(path: string, deps: EmbeddedLogDeps, options: EmbeddedLogOptions) {
    const clock = deps.clock ?? systemClock;
    this.#deps = { ...deps, clock };
    this.#database = openFile(path);
    const { db } = this.#database;
    this.#disk = path === ':memory:' ? MEMORY : walOf(path);
    this.#checkpointer = path === ':memory:' ? null : new ThreadCheckpointer(resolve(path), deps.logger);
    const { logger, metrics } = deps;
    this.#commit = new GroupCommit({
      database: this.#database,
      sync: this.#disk.sync,
      checkpointer: this.#checkpointer,
      options,
      metrics,
      logger,
    });
    this.#store = new LogStore(db);
    const shared = { db, commit: this.#commit, store: this.#store, clock, metrics, logger };
    this.#letters = new EmbeddedDeadLetters({ ...shared, bounds: options.deadLetters });
    this.#retention = new Retention({ ...shared, deadLetters: this.#letters, bounds: options.retention });
    this.#commit.join(this.#store);
    this.#store.onDurable = (appended, previousTop) => {
      for (const source of this.#sources.values()) source.feed(appended, previousTop);
      this.#retention.check();
    };
    this.#observe();
  }

  get sink(): EventSink {
    return this;
  }

  get deadLetters(): DeadLetters {
    return this.#letters;
  }

  append(records: readonly SinkRecord[]): Promise<readonly AppendResult[]> {
    let bytes = 0;
    for (const record of records) bytes += recordBytes(record);
    return this.#commit.submit(records.length, bytes, () => this.#write(records));
  }

  source(group: string, options: Partial<SourceOptions> = {}): EventSource {
    // Two readers of one group would each commit past what the other has out.
    if (this.#sources.has(group)) throw new Error(`consumer group ${group} is already in use`);
    const { db } = this.#database;
    const source = new EmbeddedSource(
      group,
      { ...SOURCE_DEFAULTS, ...options },
      {
        ...this.#deps,
        db,
        commit: this.#commit,
        store: this.#store,
        deadLetters: this.#letters,
      },
    );
    this.#sources.set(group, source);
    return source;
  }

  enforceRetention(): Promise<void> {
    return this.#retention.run();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#retention.close();
    await Promise.all([...this.#sources.values()].map((source) => source.close()));
    await this.#commit.close();
    await this.#checkpointer?.close();
    this.#disk.close();
    this.#database.close();
  }

  #write(records: readonly SinkRecord[]): readonly AppendResult[] {
    const at = this.#deps.clock.now();
    const results: AppendResult[] = [];
    let duplicates = 0;
    for (const record of records) {
      const position = this.#store.append(record, at);
      if (position === 0) duplicates += 1;
      results.push(position === 0 ? DUPLICATE : { status: 'accepted', position: String(position) });
    }
    const { appended } = this.#deps.metrics;
    appended.inc({ status: 'accepted' }, records.length - duplicates);
    if (duplicates > 0) appended.inc({ status: 'duplicate' }, duplicates);
    return results;
  }

  #observe(): void {
    const { metrics } = this.#deps;
    const { records, bytes } = this.#store.extent;
    metrics.logRecords.set(records);
    metrics.logBytes.set(bytes);
    this.#commit.join({
      write: () => {},
      written: () => {},
      rolledBack: () => {},
      durable: () => {
        const extent = this.#store.extent;
        metrics.logRecords.set(extent.records);
        metrics.logBytes.set(extent.bytes);
        for (const [group, source] of this.#sources) {
          metrics.lag.set({ group }, source.behind);
          metrics.retries.set({ group }, source.waitingRetries);
        }
      },
    });
  }
}

/** NORMAL: the commit itself does not force the disk; `Disk` does, in another thread, before anybody is answered. */
function openFile(path: string): Database {
  const database = openDatabase(path, { schemaVersion: LOG_SCHEMA_VERSION, migrate: migrateLog, synchronous: 'normal' });
  database.db.exec('PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -32768');
  return database;
}

const DUPLICATE: AppendResult = { status: 'duplicate' };

type Disk = { sync(): Promise<void>; close(): void };

const MEMORY: Disk = { sync: () => Promise.resolve(), close: () => {} };

/**
 * The write-ahead log file that SQLite writes through its own handle: forcing it through ours makes the same bytes durable.
 * It stays the same file for as long as the database is open. (SQLite's locks are on other files, so closing ours frees none.)
 */
function walOf(path: string): Disk {
  const fd = openSync(`${path}-wal`, 'r+');
  syncFolder(dirname(resolve(path)));
  return {
    sync: () => new Promise((done, fail) => fdatasync(fd, (error) => (error ? fail(error) : done()))),
    close: () => closeSync(fd),
  };
}

/** The names of new files are durable only with their folder. Windows cannot open a folder and does not need it. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(folder, 'r');
  fsyncSync(fd);
  closeSync(fd);
}
