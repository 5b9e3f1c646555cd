import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type DataLock, lockDataFolder } from './data-lock.ts';
import { MillraceError } from './errors.ts';
import { sqliteErrors, toSqliteError } from './sqlite-errors.ts';

export { lockDataFolder, type DataLock } from './data-lock.ts';
export { sqliteErrors, toSqliteError } from './sqlite-errors.ts';

export type DatabaseOptions = {
  /** From 1. Kept in `user_version`; raise it with every change of tables. */
  readonly schemaVersion: number;
  /** Makes or changes the tables, inside a transaction. `from` is 0 for a new file, else the version found, below `schemaVersion`. */
  migrate(db: DatabaseSync, from: number): void;
  /** `full`: a commit survives a power cut (default). `normal`: it survives kill -9, a power cut may take the last ones back. */
  readonly synchronous?: 'full' | 'normal';
  /** Whether to hold the lock of the file's folder while open (default). False in a worker thread whose main thread holds it. */
  readonly lock?: boolean;
};

/** An open database; `db` is node:sqlite's own handle for prepared statements. */
export interface Database {
  readonly db: DatabaseSync;
  readonly path: string;
  /** Runs `work` in one IMMEDIATE transaction: committed when it returns, rolled back when it throws. Not re-entrant. Errors come coded. */
  transaction<T>(work: () => T): T;
  /** Runs `work` with SQLite's errors turned into coded ones. */
  guard<T>(work: () => T): T;
  close(): void;
}

/** 'MLRC': tells our files from those of other programs before a migration could spoil them. */
const APPLICATION_ID = 0x4d4c5243;

/**
 * Opens (or creates) a database in WAL mode and brings it to `schemaVersion`. The folder is created and locked against other processes.
 * Errors, one line each: DATA_VERSION, DATA_CORRUPT, DATA_LOCKED, DATA_UNUSABLE, DISK_FULL.
 */
export function openDatabase(path: string, options: DatabaseOptions): Database {
  const inMemory = path === ':memory:';
  const lock = inMemory || options.lock === false ? null : lockDataFolder(dirname(resolve(path)));
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(path);
    configure(db, options.synchronous ?? 'full');
    checkOwner(db, path);
    upgrade(db, path, options);
    return new OpenDatabase(db, path, lock);
  } catch (thrown) {
    if (db?.isOpen) db.close();
    lock?.release();
    throw toSqliteError(thrown, path);
  }
}

function configure(db: DatabaseSync, synchronous: 'full' | 'normal'): void {
  // Two seconds: a check-point of another connection of ours may hold the file for a moment.
  db.exec(`PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous === 'full' ? 'FULL' : 'NORMAL'};
    PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF`);
}

function checkOwner(db: DatabaseSync, path: string): void {
  const id = pragma(db, 'application_id');
  if (id === APPLICATION_ID) return;
  const { tables } = db.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number };
  if (id === 0 && tables === 0) return;
  throw new MillraceError(sqliteErrors.DATA_VERSION, `${path} is a database of another program: name another data folder`, { path });
}

function upgrade(db: DatabaseSync, path: string, options: DatabaseOptions): void {
  const found = pragma(db, 'user_version');
  if (found === options.schemaVersion) return;
  if (found > options.schemaVersion) {
    const line = `${path} has data version ${found}, this Millrace knows up to ${options.schemaVersion}: start the newer one, or name another data folder`;
    throw new MillraceError(sqliteErrors.DATA_VERSION, line, { path, found, known: options.schemaVersion });
  }
  inTransaction(db, () => {
    options.migrate(db, found);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${options.schemaVersion}`);
  });
}

function pragma(db: DatabaseSync, name: 'application_id' | 'user_version'): number {
  return Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}

function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (thrown) {
    // SQLite has rolled back by itself after some errors (disk full among them); a second ROLLBACK would hide the first error.
    if (db.isTransaction) db.exec('ROLLBACK');
    throw thrown;
  }
}

class OpenDatabase implements Database {
  readonly db: DatabaseSync;
  readonly path: string;
  readonly #lock: DataLock | null;

  constructor(db: DatabaseSync, path: string, lock: DataLock | null) {
    this.db = db;
    this.path = path;
    this.#lock = lock;
  }

  transaction<T>(work: () => T): T {
    return this.guard(() => inTransaction(this.db, work));
  }

  guard<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw toSqliteError(thrown, this.path);
    }
  }

  close(): void {
    if (this.db.isOpen) this.db.close();
    this.#lock?.release();
  }
}
