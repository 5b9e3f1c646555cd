import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { RawRecord } from '../events/record.ts';
import type { SinkRecord } from './event-sink.ts';
import type { Participant } from './group-commit.ts';

export const LOG_SCHEMA_VERSION = 1;

/**
 * `log.at` is the time of the append, for retention; `log.timestamp` is the record's own. Positions are given by us and never reused:
 * `meta` keeps the highest even when retention has emptied the table. Of a consumer everything up to `committed` is settled, and of what
 * follows up to `taken` everything but `outstanding` (a JSON list).
 */
export function migrateLog(db: DatabaseSync): void {
  db.exec(`
    CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), top INTEGER NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL);
    INSERT INTO meta VALUES (1, 0, 0, 0);
    CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE log (
      position INTEGER PRIMARY KEY, topic INTEGER NOT NULL, event_id TEXT NOT NULL, key TEXT, headers TEXT, value BLOB,
      timestamp INTEGER NOT NULL, at INTEGER NOT NULL, bytes INTEGER NOT NULL);
    CREATE UNIQUE INDEX log_event ON log (event_id, topic);
    CREATE TABLE consumer (
      name TEXT PRIMARY KEY, committed INTEGER NOT NULL, taken INTEGER NOT NULL, outstanding TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE retry (
      consumer TEXT NOT NULL, position INTEGER NOT NULL, due INTEGER NOT NULL, attempt INTEGER NOT NULL,
      first_error TEXT NOT NULL, last_error TEXT NOT NULL, PRIMARY KEY (consumer, position)) WITHOUT ROWID;
    CREATE TABLE dead_letter (
      id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, position TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
      attempts INTEGER NOT NULL, first_error TEXT NOT NULL, last_error TEXT NOT NULL, key TEXT, headers TEXT, value BLOB,
      timestamp INTEGER NOT NULL, bytes INTEGER NOT NULL, at INTEGER NOT NULL, redriven_at INTEGER);
    CREATE INDEX dead_letter_topic ON dead_letter (topic, id)`);
}

export type LogRow = { readonly position: number; readonly bytes: number; readonly at: number };
export type LoggedRecord = RawRecord & { readonly at: number; readonly logPosition: number };
export type Appended = { readonly position: number; readonly record: RawRecord };
export type LogExtent = { readonly top: number; readonly records: number; readonly bytes: number };

const EMPTY_HEADERS: ReadonlyMap<string, string> = new Map();

/** A record's size as the bounds count it: what it holds, and about what its row and index entry add. */
export function recordBytes(record: RawRecord): number {
  return (record.value?.length ?? 0) + (record.key?.length ?? 0) + record.headers.size * 40 + 80;
}

/** The tables of the log and their statements. Runs inside the transactions of `GroupCommit`; knows nothing of time or waiting. */
export class LogStore implements Participant {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #range: StatementSync;
  readonly #one: StatementSync;
  readonly #oldest: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteAll: StatementSync;
  readonly #meta: StatementSync;
  #topics = new Map<string, number>();
  #names = new Map<number, string>();
  #top = 0;
  #records = 0;
  #bytes = 0;
  #saved: LogExtent;
  #durableTop: number;
  #fresh: Appended[] = [];
  #committedFresh: Appended[] = [];
  /** Hands over what has just become durable, in order, so that consumers that are up to date need not read it back. */
  onDurable: (appended: readonly Appended[], previousTop: number) => void = () => {};

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#insert = db.prepare(
      'INSERT INTO log (position, topic, event_id, key, headers, value, timestamp, at, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    );
    this.#range = db.prepare('SELECT * FROM log WHERE position > ? AND position <= ? ORDER BY position LIMIT ?');
    this.#one = db.prepare('SELECT * FROM log WHERE position = ?');
    this.#oldest = db.prepare(
      `SELECT position, bytes, at FROM log WHERE position <= ? AND (? OR position NOT IN (SELECT position FROM retry)) ORDER BY position LIMIT ?`,
    );
    this.#delete = db.prepare('DELETE FROM log WHERE position <= ? AND position NOT IN (SELECT position FROM retry)');
    this.#deleteAll = db.prepare('DELETE FROM log WHERE position <= ?');
    this.#meta = db.prepare('UPDATE meta SET top = ?, records = ?, bytes = ?');
    this.#saved = this.#load();
    this.#durableTop = this.#top;
  }

  get extent(): LogExtent {
    return { top: this.#top, records: this.#records, bytes: this.#bytes };
  }

  /** The highest position that is on the disk; nothing above it is ever delivered. */
  get durableTop(): number {
    return this.#durableTop;
  }

  /** The position, or 0 where an event of this id is still in the topic. */
  append(record: SinkRecord, at: number): number {
    const position = this.#top + 1;
    const bytes = recordBytes(record);
    const headers = record.headers.size === 0 ? null : encodeHeaders(record.headers);
    const topic = this.#topicId(record.topic);
    const { timestamp, key, value, eventId } = record;
    if (this.#insert.run(position, topic, eventId, key, headers, value, Math.trunc(timestamp), at, bytes).changes === 0) return 0;
    this.#top = position;
    this.#records += 1;
    this.#bytes += bytes;
    this.#fresh.push({ position, record });
    return position;
  }

  /** Durable records after a position, in order. */
  range(after: number, limit: number): readonly LoggedRecord[] {
    return this.#range.all(after, this.#durableTop, limit).map((row) => this.#decode(row));
  }

  record(position: number): LoggedRecord | null {
    const row = this.#one.get(position);
    return row ? this.#decode(row) : null;
  }

  /** The oldest rows up to `floor`, those waiting for a retry only where asked for. */
  oldest(floor: number, limit: number, withRetries: boolean): readonly LogRow[] {
    return this.#oldest.all(floor, withRetries ? 1 : 0, limit) as unknown as readonly LogRow[];
  }

  remove(upTo: number, withRetries: boolean, rows: number, bytes: number): void {
    (withRetries ? this.#deleteAll : this.#delete).run(upTo);
    if (withRetries) this.#db.prepare('DELETE FROM retry WHERE position <= ?').run(upTo);
    this.#records -= rows;
    this.#bytes -= bytes;
  }

  write(): void {
    const saved = this.#saved;
    if (saved.top !== this.#top || saved.records !== this.#records) this.#meta.run(this.#top, this.#records, this.#bytes);
  }

  written(): void {
    this.#saved = this.extent;
    this.#committedFresh = this.#fresh;
    this.#fresh = [];
  }

  rolledBack(): void {
    this.#fresh = [];
    this.#topics.clear();
    this.#names.clear();
    this.#saved = this.#load();
  }

  durable(): void {
    const previous = this.#durableTop;
    const fresh = this.#committedFresh;
    this.#committedFresh = [];
    this.#durableTop = this.#saved.top;
    if (fresh.length > 0) this.onDurable(fresh, previous);
  }

  #load(): LogExtent {
    const meta = this.#db.prepare('SELECT top, records, bytes FROM meta').get() as LogExtent;
    this.#top = meta.top;
    this.#records = meta.records;
    this.#bytes = meta.bytes;
    for (const { id, name } of this.#db.prepare('SELECT id, name FROM topic').all() as { id: number; name: string }[]) {
      this.#topics.set(name, id);
      this.#names.set(id, name);
    }
    return this.extent;
  }

  #topicId(name: string): number {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const id = Number(this.#db.prepare('INSERT INTO topic (name) VALUES (?)').run(name).lastInsertRowid);
    this.#topics.set(name, id);
    this.#names.set(id, name);
    return id;
  }

  #decode(row: Record<string, SQLOutputValue>): LoggedRecord {
    return {
      logPosition: Number(row['position']),
      topic: this.#names.get(Number(row['topic'])) ?? '',
      key: row['key'] as string | null,
      headers: decodeHeaders(row['headers'] as string | null),
      value: row['value'] as Uint8Array | null,
      timestamp: Number(row['timestamp']),
      at: Number(row['at']),
    };
  }
}

export function encodeHeaders(headers: ReadonlyMap<string, string>): string {
  return JSON.stringify([...headers]);
}

export function decodeHeaders(text: string | null): ReadonlyMap<string, string> {
  return text === null ? EMPTY_HEADERS : new Map(JSON.parse(text) as [string, string][]);
}
