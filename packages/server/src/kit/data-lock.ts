import { mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MillraceError } from './errors.ts';
import { sqliteErrors, toSqliteError } from './sqlite-errors.ts';

export type DataLock = { release(): void };

type Held = { readonly db: DatabaseSync; count: number };

const held = new Map<string, Held>();

/**
 * One live process for each data folder. The lock is an open exclusive SQLite transaction on `<folder>/lock`: a lock of the
 * operating system on a file, which ends with the process, so that nothing stale is left after kill -9. (Node has no flock,
 * and a file with a process id alone cannot tell a dead owner from another process with a recycled id.)
 * Counted within the process: every database of one folder takes it, the last release frees it.
 *
 * Errors: DATA_LOCKED names the owner's process id; DATA_UNUSABLE, DISK_FULL.
 */
export function lockDataFolder(folder: string): DataLock {
  const path = prepareFolder(folder);
  const existing = held.get(path);
  if (existing) existing.count += 1;
  else held.set(path, { db: acquire(path), count: 1 });
  let released = false;
  return {
    release() {
      if (released) return;
      released = true;
      letGo(path);
    },
  };
}

function prepareFolder(folder: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return realpathSync(folder);
  } catch (thrown) {
    throw toSqliteError(thrown, folder);
  }
}

function acquire(folder: string): DatabaseSync {
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(join(folder, 'lock'));
    // A rollback journal: in WAL mode an exclusive transaction would still let others open and read.
    db.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    writeFileSync(join(folder, 'lock.pid'), `${process.pid}\n`);
    return db;
  } catch (thrown) {
    if (db?.isOpen) db.close();
    const error = toSqliteError(thrown, folder);
    if (error instanceof MillraceError && error.spec === sqliteErrors.DATA_LOCKED) throw lockedBy(folder, thrown);
    throw error;
  }
}

function lockedBy(folder: string, cause: unknown): MillraceError {
  const pid = ownerOf(folder);
  const owner = pid === null ? 'another process' : `process ${pid}`;
  const line = `data folder ${folder} is in use by ${owner}: stop it, or name another folder`;
  return new MillraceError(sqliteErrors.DATA_LOCKED, line, { folder, pid }, cause);
}

/** Null where the owner has not written its id yet. */
function ownerOf(folder: string): number | null {
  try {
    const pid = Number(readFileSync(join(folder, 'lock.pid'), 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : null;
  } catch {
    return null;
  }
}

function letGo(folder: string): void {
  const lock = held.get(folder);
  if (!lock) return;
  lock.count -= 1;
  if (lock.count > 0) return;
  held.delete(folder);
  // Closing rolls the empty transaction back and frees the lock. The files stay: deleting them would race with the next owner.
  lock.db.close();
}
