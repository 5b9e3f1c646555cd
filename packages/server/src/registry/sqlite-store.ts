import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import { Kysely, type SqliteDatabase, SqliteDialect } from 'kysely';
import { type Database, openDatabase, toSqliteError } from '../kit/sqlite.ts';
import { KyselyStore } from './kysely-store.ts';
import type { RegistryStore } from './store.ts';
import { migrate, type Tables } from './tables.ts';

/**
 * The embedded store, one file (or `:memory:`). Rejects with DATA_VERSION, DATA_CORRUPT, DATA_LOCKED, DATA_UNUSABLE, DISK_FULL, STORE_VERSION.
 * The tables are Kysely's migrations, as on PostgreSQL; the file's own version stays 1.
 */
export async function openSqliteStore(path: string): Promise<RegistryStore> {
  const database = openDatabase(path, { schemaVersion: 1, migrate: () => undefined });
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: forKysely(database) }) });
  try {
    await migrate(db);
  } catch (thrown) {
    database.close();
    throw toSqliteError(thrown, path);
  }
  return new KyselyStore(db, (thrown) => toSqliteError(thrown, path));
}

/** Kysely's dialect for SQLite asks for what better-sqlite3 has; node:sqlite has all of it under other names. */
function forKysely(database: Database): SqliteDatabase {
  return {
    close: () => database.close(),
    prepare(text) {
      const statement = database.db.prepare(text);
      return {
        reader: returnsRows(statement),
        all: (parameters) => statement.all(...values(parameters)),
        run: (parameters) => statement.run(...values(parameters)),
        iterate: (parameters) => statement.iterate(...values(parameters)),
      };
    },
  };
}

function returnsRows(statement: ReturnType<DatabaseSync['prepare']>): boolean {
  return statement.columns().length > 0;
}

/** Kysely passes values as they were given to it; the tables hold only these. */
function values(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters.map((value) => {
    if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint') return value;
    throw new TypeError(`a ${typeof value} cannot be stored in SQLite`);
  });
}
