import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import type { Clock } from '../kit/clock.ts';
import type { DeadLetter, DeadLetterRow, DeadLetters, NewDeadLetter } from './dead-letters.ts';
import type { GroupCommit, Participant } from './group-commit.ts';
import { decodeHeaders, encodeHeaders, type LogStore, recordBytes } from './log-store.ts';
import type { BrokersMetrics } from './metrics.ts';

export type DeadLetterBounds = { readonly maxCount: number; readonly maxBytes: number; readonly maxAgeMs: number };

/** Rows without bodies, as `list` gives them. */
const COLUMNS = 'id, topic, position, code, reason, attempts, bytes, at, redriven_at';
/** Rows that one insertion removes at most: amortises a lowered bound over the insertions that follow. */
const EVICT_AT_ONCE = 64;
const LIST_LIMIT = 1000;

/** Dead letters in the log's own file, so that redriving is one transaction with the append. */
export class EmbeddedDeadLetters implements DeadLetters, Participant {
  readonly #db: DatabaseSync;
  readonly #commit: GroupCommit;
  readonly #store: LogStore;
  readonly #bounds: DeadLetterBounds;
  readonly #clock: Clock;
  readonly #metrics: BrokersMetrics;
  readonly #insert: StatementSync;
  readonly #extent: StatementSync;
  readonly #oldest: StatementSync;
  readonly #remove: StatementSync;
  #count = 0;
  #bytes = 0;

  constructor(deps: {
    db: DatabaseSync;
    commit: GroupCommit;
    store: LogStore;
    bounds: DeadLetterBounds;
    clock: Clock;
    metrics: BrokersMetrics;
  }) {
    this.#db = deps.db;
    this.#commit = deps.commit;
    this.#store = deps.store;
    this.#bounds = deps.bounds;
    this.#clock = deps.clock;
    this.#metrics = deps.metrics;
    this.#insert = deps.db.prepare(
      `INSERT INTO dead_letter (topic, position, code, reason, attempts, first_error, last_error, key, headers, value, timestamp, bytes, at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#extent = deps.db.prepare('SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM dead_letter');
    this.#oldest = deps.db.prepare(`SELECT id, bytes, at FROM dead_letter ORDER BY id LIMIT ${EVICT_AT_ONCE}`);
    this.#remove = deps.db.prepare('DELETE FROM dead_letter WHERE id = ?');
    this.#load();
    deps.commit.join(this);
  }

  add(letter: NewDeadLetter): Promise<string> {
    return this.#commit.submit(1, recordBytes(letter.record), () => this.insert(letter));
  }

  /** Within a transaction of the log. */
  insert(letter: NewDeadLetter): string {
    const { record } = letter;
    const bytes = recordBytes(record);
    const headers = record.headers.size === 0 ? null : encodeHeaders(record.headers);
    const { lastInsertRowid } = this.#insert.run(
      record.topic,
      letter.position,
      letter.code,
      letter.reason,
      letter.attempts,
      letter.firstError,
      letter.lastError,
      record.key,
      headers,
      record.value,
      Math.trunc(record.timestamp),
      bytes,
      this.#clock.now(),
    );
    this.#count += 1;
    this.#bytes += bytes;
    this.#metrics.deadLettersAdded.inc();
    this.evict();
    return String(lastInsertRowid);
  }

  /** Within a transaction: removes the oldest beyond the bounds; true where there may be more to remove. */
  evict(): boolean {
    const cutoff = this.#clock.now() - this.#bounds.maxAgeMs;
    const over = (at: number): boolean => this.#count > this.#bounds.maxCount || this.#bytes > this.#bounds.maxBytes || at < cutoff;
    if (this.#count <= this.#bounds.maxCount && this.#bytes <= this.#bounds.maxBytes && !this.#oldestIsBefore(cutoff)) return false;
    for (const row of this.#oldest.all() as { id: number; bytes: number; at: number }[]) {
      if (!over(row.at)) return false;
      this.#remove.run(row.id);
      this.#count -= 1;
      this.#bytes -= row.bytes;
      this.#metrics.deadLettersEvicted.inc();
    }
    return this.#count > 0;
  }

  async list(query: { readonly topic?: string; readonly limit: number; readonly after?: string }): Promise<readonly DeadLetterRow[]> {
    const before = query.after === undefined ? Number.MAX_SAFE_INTEGER : idOf(query.after);
    if (before === null) return [];
    const limit = Math.max(1, Math.min(LIST_LIMIT, Math.trunc(query.limit) || 1));
    const rows =
      query.topic === undefined
        ? this.#db.prepare(`SELECT ${COLUMNS} FROM dead_letter WHERE id < ? ORDER BY id DESC LIMIT ?`).all(before, limit)
        : this.#db
            .prepare(`SELECT ${COLUMNS} FROM dead_letter WHERE topic = ? AND id < ? ORDER BY id DESC LIMIT ?`)
            .all(query.topic, before, limit);
    return rows.map(rowOf);
  }

  async show(id: string): Promise<DeadLetter | null> {
    return this.#find(id);
  }

  /**
   * The append carries an event id made of the letter's, so that even a repeat after a crash between commit and answer appends once.
   * The producer's own event id would not do: the first delivery of the record still occupies it.
   */
  redrive(id: string): Promise<'redriven' | 'already' | 'unknown'> {
    return this.#commit.submit(1, 0, () => {
      const letter = this.#find(id);
      if (!letter) return 'unknown';
      if (letter.redrivenAt !== null) return 'already';
      this.#store.append({ ...letter.record, eventId: `millrace-redrive:${letter.id}` }, this.#clock.now());
      this.#db.prepare('UPDATE dead_letter SET redriven_at = ? WHERE id = ?').run(this.#clock.now(), Number(letter.id));
      this.#metrics.deadLettersRedriven.inc();
      return 'redriven';
    });
  }

  async count(): Promise<number> {
    return this.#count;
  }

  write(): void {}
  written(): void {
    this.#metrics.deadLetters.set(this.#count);
  }
  rolledBack(): void {
    this.#load();
  }
  durable(): void {}

  #load(): void {
    const extent = this.#extent.get() as { count: number; bytes: number };
    this.#count = extent.count;
    this.#bytes = extent.bytes;
    this.#metrics.deadLetters.set(this.#count);
  }

  #oldestIsBefore(cutoff: number): boolean {
    const oldest = this.#db.prepare('SELECT at FROM dead_letter ORDER BY id LIMIT 1').get();
    return oldest !== undefined && Number(oldest['at']) < cutoff;
  }

  #find(id: string): DeadLetter | null {
    const key = idOf(id);
    if (key === null) return null;
    const row = this.#db.prepare('SELECT * FROM dead_letter WHERE id = ?').get(key);
    return row === undefined ? null : letterOf(row);
  }
}

function idOf(id: string): number | null {
  return /^[1-9][0-9]{0,14}$/.test(id) ? Number(id) : null;
}

function rowOf(row: Record<string, SQLOutputValue>): DeadLetterRow {
  return {
    id: String(row['id']),
    topic: String(row['topic']),
    position: String(row['position']),
    code: String(row['code']),
    reason: String(row['reason']),
    attempts: Number(row['attempts']),
    bytes: Number(row['bytes']),
    at: Number(row['at']),
    redrivenAt: row['redriven_at'] === null ? null : Number(row['redriven_at']),
  };
}

function letterOf(row: Record<string, SQLOutputValue>): DeadLetter {
  return {
    ...rowOf(row),
    firstError: String(row['first_error']),
    lastError: String(row['last_error']),
    record: {
      topic: String(row['topic']),
      key: row['key'] as string | null,
      headers: decodeHeaders(row['headers'] as string | null),
      value: row['value'] as Uint8Array | null,
      timestamp: Number(row['timestamp']),
    },
  };
}
