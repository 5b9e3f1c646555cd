import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';

/** The row as the monolith keeps it; the names are also those of the events, which is why they are not camel case. */
export type DealRow = {
  readonly id: string;
  readonly company_id: string;
  readonly title: string;
  readonly account: string;
  readonly value: number;
  readonly currency: string;
  readonly stage_id: string;
  readonly owner_id: string | null;
  readonly rev: number;
  readonly updated_at: string;
};

export type DealPatch = Partial<Pick<DealRow, 'title' | 'value' | 'stage_id' | 'owner_id'>>;

export type NewDeal = Omit<DealRow, 'id' | 'rev' | 'updated_at'>;

const COLUMNS = 'id, company_id, title, account, value, currency, stage_id, owner_id, rev, updated_at';

/** Deleted deals stay readable by key for a while, so that a DELETED event can still be enriched. */
const TOMBSTONES = 500;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS deals (
    company_id TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, account TEXT NOT NULL, value REAL NOT NULL,
    currency TEXT NOT NULL, stage_id TEXT NOT NULL, owner_id TEXT, rev INTEGER NOT NULL, updated_at TEXT NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (company_id, id)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS refused (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;
`;

/** Read-only access to the monolith's table: what the deals subgraph uses. */
export class DealReader {
  protected readonly db: DatabaseSync;

  constructor(path: string, options: { readonly readOnly: boolean } = { readOnly: true }) {
    this.db = new DatabaseSync(path, { readOnly: options.readOnly, timeout: 5_000 });
  }

  /** The most valuable first. */
  list(company: string, stage: string | null, first: number): DealRow[] {
    const sql = `SELECT ${COLUMNS} FROM deals WHERE company_id = ? AND deleted = 0 AND (? IS NULL OR stage_id = ?) ORDER BY value DESC, id LIMIT ?`;
    return this.db.prepare(sql).all(company, stage, stage, first) as unknown as DealRow[];
  }

  get(company: string, id: string, options: { readonly deletedToo?: boolean } = {}): DealRow | null {
    const sql = `SELECT ${COLUMNS} FROM deals WHERE company_id = ? AND id = ? AND deleted <= ?`;
    return (this.db.prepare(sql).get(company, id, options.deletedToo ? 1 : 0) as unknown as DealRow | undefined) ?? null;
  }

  close(): void {
    this.db.close();
  }
}

export type OutboxRow = { readonly seq: number; readonly body: string };

/** The monolith's own database. Each change and the event that tells of it are one transaction, so neither exists without the other. */
export class DealStore extends DealReader {
  constructor(path: string) {
    super(path, { readOnly: false });
    this.db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    this.db.exec(SCHEMA);
  }

  isEmpty(): boolean {
    return this.db.prepare('SELECT 1 FROM deals LIMIT 1').get() === undefined;
  }

  /** `silent`: no event, for the seed. */
  create(deal: NewDeal, by: string, options: { readonly silent?: boolean } = {}): DealRow {
    return this.#transaction(() => {
      const row: DealRow = { ...deal, id: this.#nextId(deal.company_id), rev: 1, updated_at: new Date().toISOString() };
      this.db
        .prepare(`INSERT INTO deals (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
        .run(row.id, row.company_id, row.title, row.account, row.value, row.currency, row.stage_id, row.owner_id, row.rev, row.updated_at);
      if (!options.silent) this.#publish('added', row, null, by);
      return row;
    });
  }

  /** Null where the deal does not exist (any more) in this company. */
  change(company: string, id: string, patch: DealPatch, by: string): DealRow | null {
    return this.#transaction(() => {
      const before = this.get(company, id);
      if (!before) return null;
      const row: DealRow = { ...before, ...patch, rev: before.rev + 1, updated_at: new Date().toISOString() };
      this.db
        .prepare(
          'UPDATE deals SET title = ?, value = ?, stage_id = ?, owner_id = ?, rev = ?, updated_at = ? WHERE company_id = ? AND id = ?',
        )
        .run(row.title, row.value, row.stage_id, row.owner_id, row.rev, row.updated_at, company, id);
      this.#publish('changed', row, before, by);
      return row;
    });
  }

  delete(company: string, id: string, by: string): DealRow | null {
    return this.#transaction(() => {
      const before = this.get(company, id);
      if (!before) return null;
      const row: DealRow = { ...before, rev: before.rev + 1, updated_at: new Date().toISOString() };
      this.db
        .prepare('UPDATE deals SET deleted = 1, rev = ?, updated_at = ? WHERE company_id = ? AND id = ?')
        .run(row.rev, row.updated_at, company, id);
      this.db
        .prepare(
          'DELETE FROM deals WHERE deleted = 1 AND rowid NOT IN (SELECT rowid FROM deals WHERE deleted = 1 ORDER BY updated_at DESC LIMIT ?)',
        )
        .run(TOMBSTONES);
      this.#publish('deleted', row, before, by);
      return row;
    });
  }

  /** The oldest events that Millrace has not accepted yet. */
  pending(limit: number): OutboxRow[] {
    return this.db.prepare('SELECT seq, body FROM outbox ORDER BY seq LIMIT ?').all(limit) as unknown as OutboxRow[];
  }

  pendingCount(): number {
    return (this.db.prepare('SELECT count(*) AS n FROM outbox').get() as { n: number }).n;
  }

  settled(seqs: readonly number[]): void {
    const remove = this.db.prepare('DELETE FROM outbox WHERE seq = ?');
    this.#transaction(() => seqs.forEach((seq) => remove.run(seq)));
  }

  /** Sets an event aside that Millrace will never take, so that it does not block those behind it. The newest 1,000 are kept. */
  refuse(row: OutboxRow, code: string, reason: string): void {
    this.#transaction(() => {
      this.db.prepare('INSERT OR REPLACE INTO refused (seq, body, code, reason) VALUES (?, ?, ?, ?)').run(row.seq, row.body, code, reason);
      this.db.prepare('DELETE FROM refused WHERE seq <= ?').run(row.seq - 1_000);
      this.db.prepare('DELETE FROM outbox WHERE seq = ?').run(row.seq);
    });
  }

  /** Plain JSON as this monolith has always published it; it knows nothing of GraphQL. */
  #publish(action: 'added' | 'changed' | 'deleted', row: DealRow, before: DealRow | null, by: string): void {
    const event = { event_id: randomUUID(), action, at: row.updated_at, changed_by: by, ...row, before };
    this.db.prepare('INSERT INTO outbox (body) VALUES (?)').run(JSON.stringify(event));
  }

  #nextId(company: string): string {
    const sql = 'INSERT INTO numbers (name, last) VALUES (?, 1001) ON CONFLICT (name) DO UPDATE SET last = last + 1 RETURNING last';
    const { last } = this.db.prepare(sql).get(company) as { last: number };
    return `${company.slice(0, 2).toUpperCase()}-${last}`;
  }

  #transaction<T>(run: () => T): T {
    this.db.exec('BEGIN IMMEDIATE');
    try {
      const result = run();
      this.db.exec('COMMIT');
      return result;
    } catch (error) {
      this.db.exec('ROLLBACK');
      throw error;
    }
  }
}
