import type { StatementSync } from 'node:sqlite';
import { type Database, openDatabase } from '../kit/sqlite.ts';

/** What an offset log's own commit cannot say: which records above the committed one are settled, and which wait for a retry. */
export type LedgerEntry = {
  /** The broker's own id of the topic: a topic made anew under the old name starts at offset 0 again and must not inherit anything. */
  readonly incarnation: string;
  /** The next offset to be delivered when this was written. */
  readonly committed: number;
  /** Offsets up to here were delivered. */
  readonly top: number;
  /** Offsets from `committed` to `top` that are not settled; those waiting for a retry are among them. */
  readonly outstanding: readonly number[];
  readonly retries: readonly LedgerRetry[];
};

export type LedgerRetry = {
  readonly offset: number;
  readonly due: number;
  readonly attempt: number;
  readonly firstError: string | null;
  readonly lastError: string | null;
};

export interface DeliveryLedger {
  read(source: string, place: string): LedgerEntry | null;
  /** Null removes it: the broker's commit says all there is. */
  write(changes: readonly { readonly source: string; readonly place: string; readonly entry: LedgerEntry | null }[]): void;
  close(): void;
}

/**
 * The ledger in a file of the data folder. It only ever saves work and keeps due times: lost, or left behind on another machine, records
 * above the committed offset are delivered again, as the contract of EventSource allows. So it is written without forcing the disk.
 * Errors: as `openDatabase`.
 */
export function openDeliveryLedger(path: string): DeliveryLedger {
  const database = openDatabase(path, {
    schemaVersion: 1,
    synchronous: 'normal',
    migrate: (db) =>
      db.exec('CREATE TABLE delivery (source TEXT NOT NULL, place TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (source, place)) STRICT'),
  });
  return new SqliteLedger(database);
}

class SqliteLedger implements DeliveryLedger {
  readonly #database: Database;
  readonly #read: StatementSync;
  readonly #upsert: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: Database) {
    this.#database = database;
    this.#read = database.db.prepare('SELECT entry FROM delivery WHERE source = ? AND place = ?');
    this.#upsert = database.db.prepare('INSERT OR REPLACE INTO delivery (source, place, entry) VALUES (?, ?, ?)');
    this.#remove = database.db.prepare('DELETE FROM delivery WHERE source = ? AND place = ?');
  }

  read(source: string, place: string): LedgerEntry | null {
    const row = this.#read.get(source, place);
    return row === undefined ? null : (JSON.parse(String(row['entry'])) as LedgerEntry);
  }

  write(changes: Parameters<DeliveryLedger['write']>[0]): void {
    this.#database.transaction(() => {
      for (const { source, place, entry } of changes) {
        if (entry === null) this.#remove.run(source, place);
        else this.#upsert.run(source, place, JSON.stringify(entry));
      }
    });
  }

  close(): void {
    this.#database.close();
  }
}
