import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { LiveEvent } from '../events/live-event.ts';
import { type Clock, systemClock } from '../kit/clock.ts';
import type { JsonObject } from '../kit/json.ts';
import { type Database, openDatabase } from '../kit/sqlite.ts';
import type { ChannelEvent, ChannelName } from './channels.ts';
import type { ChannelJournal, JournalBatch, JournalledChannel, JournalledEvent } from './journal.ts';

export type SqliteJournalOptions = {
  /** Events whose body is brought back; the history's bound on count. */
  readonly maxEvents: number;
  /** Events kept per channel, for the duplicate check after a restart. */
  readonly duplicateWindow: number;
  /** Names the run of the machine: another one than at the last write, without a clean end, means that a power cut may have taken writes back. */
  readonly machineRun: string;
};

export const SQLITE_JOURNAL_DEFAULTS: Omit<SqliteJournalOptions, 'machineRun'> = { maxEvents: 1_000, duplicateWindow: 4_000 };

/** Rows beyond the window that may gather before they are deleted together. */
const TRIM_SLACK = 256;

function migrate(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE run (id INTEGER PRIMARY KEY CHECK (id = 1), machine TEXT NOT NULL, clean INTEGER NOT NULL);
    CREATE TABLE channel (
      id INTEGER PRIMARY KEY, type TEXT NOT NULL, tenant TEXT NOT NULL, epoch TEXT NOT NULL, idle_since INTEGER, UNIQUE (type, tenant));
    CREATE TABLE event (
      channel INTEGER NOT NULL, offset INTEGER NOT NULL, at INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
      PRIMARY KEY (channel, offset)) WITHOUT ROWID`);
}

/** Channel rows that this process has written or read: the row's id and the first offset that is still there. */
type Known = { readonly id: number; first: number; epoch: string };

/**
 * The journal in one SQLite file, `synchronous = NORMAL`: a commit is a write to the kernel, about 10 µs, which a killed process
 * cannot lose. Errors of `openSqliteJournal`: DATA_VERSION, DATA_CORRUPT, DATA_LOCKED, DATA_UNUSABLE, DISK_FULL.
 */
export function openSqliteJournal(path: string, options: Partial<SqliteJournalOptions> & { readonly clock?: Clock } = {}): ChannelJournal {
  const database = openDatabase(path, { schemaVersion: 1, migrate, synchronous: 'normal' });
  return new SqliteJournal(database, {
    ...SQLITE_JOURNAL_DEFAULTS,
    machineRun: options.machineRun ?? machineRun(options.clock ?? systemClock),
    ...options,
  });
}

class SqliteJournal implements ChannelJournal {
  readonly #database: Database;
  readonly #options: SqliteJournalOptions;
  readonly #known = new Map<string, Known>();
  #sweptTo = 0;
  readonly #find: StatementSync;
  readonly #ids: StatementSync;
  readonly #events: StatementSync;
  readonly #upsert: StatementSync;
  readonly #insert: StatementSync;
  readonly #trim: StatementSync;

  constructor(database: Database, options: SqliteJournalOptions) {
    this.#database = database;
    this.#options = options;
    const { db } = database;
    this.#begin();
    this.#find = db.prepare('SELECT id, epoch, idle_since FROM channel WHERE type = ? AND tenant = ?');
    this.#ids = db.prepare('SELECT offset, id FROM event WHERE channel = ? AND offset < ? ORDER BY offset');
    this.#events = db.prepare('SELECT offset, at, body FROM event WHERE channel = ? ORDER BY offset DESC LIMIT ?');
    this.#upsert = db.prepare(
      `INSERT INTO channel (type, tenant, epoch, idle_since) VALUES (?, ?, ?, ?)
       ON CONFLICT (type, tenant) DO UPDATE SET epoch = excluded.epoch, idle_since = excluded.idle_since RETURNING id`,
    );
    this.#insert = db.prepare('INSERT OR REPLACE INTO event (channel, offset, at, id, body) VALUES (?, ?, ?, ?, ?)');
    this.#trim = db.prepare('DELETE FROM event WHERE channel = ? AND offset < ?');
  }

  load(name: ChannelName): JournalledChannel | null {
    return this.#database.guard(() => {
      const row = this.#find.get(name.type, name.tenant);
      if (!row) return null;
      const id = Number(row['id']);
      const epoch = String(row['epoch']);
      const events = this.#events
        .all(id, this.#options.maxEvents)
        .reverse()
        .map((event) => journalled(epoch, event));
      const first = events[0]?.entry.position.offset ?? 1;
      const older = this.#ids.all(id, first);
      this.#known.set(keyOf(name), { id, epoch, first: Number(older[0]?.['offset'] ?? first) });
      const idleSince = row['idle_since'] === null ? null : Number(row['idle_since']);
      return { epoch, top: events.at(-1)?.entry.position.offset ?? 0, events, olderIds: older.map((o) => String(o['id'])), idleSince };
    });
  }

  write(batch: JournalBatch): void {
    try {
      this.#database.transaction(() => this.#apply(batch));
    } catch (thrown) {
      // Row ids given within the transaction are gone with it.
      for (const { name } of batch.channels) this.#known.delete(keyOf(name));
      for (const { name } of batch.events) this.#known.delete(keyOf(name));
      throw thrown;
    }
  }

  sweep(limit: number): boolean {
    return this.#database.transaction(() => {
      const { db } = this.#database;
      const rows = db.prepare('SELECT id, type, tenant FROM channel WHERE id > ? ORDER BY id LIMIT ?').all(this.#sweptTo, limit);
      for (const row of rows) {
        const name = { type: String(row['type']), tenant: String(row['tenant']) };
        if (!this.#known.has(keyOf(name))) this.#remove(name);
        this.#sweptTo = Number(row['id']);
      }
      return rows.length === limit;
    });
  }

  close(): void {
    this.#database.guard(() => {
      const { db } = this.#database;
      // FULL forces the log to the disk with this commit, everything before it included: only then may the end be called clean.
      db.exec('PRAGMA synchronous = FULL; UPDATE run SET clean = 1');
    });
    this.#database.close();
  }

  #begin(): void {
    this.#database.transaction(() => {
      const { db } = this.#database;
      const run = db.prepare('SELECT machine, clean FROM run').get();
      const continues = run !== undefined && (Number(run['clean']) === 1 || run['machine'] === this.#options.machineRun);
      if (!continues) db.exec('DELETE FROM event; DELETE FROM channel');
      db.prepare('INSERT OR REPLACE INTO run (id, machine, clean) VALUES (1, ?, 0)').run(this.#options.machineRun);
    });
    // Durable before the first event: a power cut later must find "not clean".
    this.#database.guard(() => this.#database.db.exec('PRAGMA wal_checkpoint(TRUNCATE)'));
  }

  #apply(batch: JournalBatch): void {
    for (const name of batch.removed) this.#remove(name);
    for (const { name, epoch, idleSince } of batch.channels) this.#rowOf(name, epoch, idleSince);
    for (const event of batch.events) this.#append(event);
  }

  #append({ name, entry, at }: JournalledEvent): void {
    const { position, event } = entry;
    const row = this.#known.get(keyOf(name)) ?? this.#rowOf(name, position.epoch, null);
    this.#insert.run(row.id, position.offset, at, event.id, bodyOf(event));
    const keepFrom = position.offset - Math.max(this.#options.duplicateWindow, this.#options.maxEvents) + 1;
    if (keepFrom - row.first < TRIM_SLACK) return;
    this.#trim.run(row.id, keepFrom);
    row.first = keepFrom;
  }

  /** A channel of another epoch is another channel: what the row had goes. */
  #rowOf(name: ChannelName, epoch: string, idleSince: number | null): Known {
    const before = this.#known.get(keyOf(name)) ?? this.#foundOf(name);
    if (before && before.epoch !== epoch) this.#trim.run(before.id, Number.MAX_SAFE_INTEGER);
    const id = Number(this.#upsert.get(name.type, name.tenant, epoch, idleSince)?.['id']);
    const known: Known = { id, epoch, first: before?.epoch === epoch ? before.first : 1 };
    this.#known.set(keyOf(name), known);
    return known;
  }

  #foundOf(name: ChannelName): Known | null {
    const row = this.#find.get(name.type, name.tenant);
    return row ? { id: Number(row['id']), epoch: String(row['epoch']), first: 1 } : null;
  }

  #remove(name: ChannelName): void {
    const known = this.#known.get(keyOf(name)) ?? this.#foundOf(name);
    this.#known.delete(keyOf(name));
    if (!known) return;
    this.#trim.run(known.id, Number.MAX_SAFE_INTEGER);
    this.#database.db.prepare('DELETE FROM channel WHERE id = ?').run(known.id);
  }
}

function keyOf(name: ChannelName): string {
  return `${name.type}\u0000${name.tenant}`;
}

/** Without the entity: it is what `raw` says, and parsing it at a restart is cheaper than writing it twice with every event. */
function bodyOf(event: LiveEvent): string {
  const { entity: _, ...rest } = event;
  return JSON.stringify(rest);
}

function journalled(epoch: string, row: Record<string, SQLOutputValue>): { entry: ChannelEvent; at: number } {
  const rest = JSON.parse(String(row['body'])) as Omit<LiveEvent, 'entity'>;
  const event: LiveEvent = { ...rest, entity: JSON.parse(rest.raw) as JsonObject };
  return { entry: { position: { epoch, offset: Number(row['offset']) }, event }, at: Number(row['at']) };
}

/** Linux names each run of the kernel; elsewhere the time of its start, to the minute, does. */
function machineRun(clock: Clock): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return `boot-${Math.round((clock.now() / 1000 - uptime()) / 60)}`;
  }
}
