import { defineErrors, MillraceError } from './errors.ts';

export const sqliteErrors = defineErrors({
  DATA_VERSION: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'The data folder was written by another version of Millrace, or by another program.',
    action: 'Start the version that wrote it, or name another data folder.',
  },
  DATA_CORRUPT: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'A file of the data folder cannot be read as the database that it should be.',
    action: 'Restore it from a backup, or move it away and start with an empty one.',
  },
  DATA_LOCKED: {
    class: 'setup',
    http: 500,
    retryable: true,
    meaning: 'Another live Millrace process uses the same data folder.',
    action: 'Stop the process named in the message, or name another data folder.',
  },
  DATA_UNUSABLE: {
    class: 'setup',
    http: 500,
    retryable: false,
    meaning: 'The data folder cannot be created, read or written.',
    action: 'Check its path, its owner and its permissions, and that the file system is not read-only.',
  },
  DISK_FULL: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: 'The file system of the data folder has no room left; nothing of the call was stored.',
    action: 'Free some space; no restart is needed.',
  },
});

/** SQLite's primary result codes (sqlite.org/rescode.html); `errcode` of node:sqlite is the extended one. */
const SQLITE = { busy: 5, locked: 6, readonly: 8, ioerr: 10, corrupt: 11, full: 13, cantopen: 14, notadb: 26 } as const;

/** What SQLite or the file system threw, as a coded error with one line that names the file. Other errors come back unchanged. */
export function toSqliteError(thrown: unknown, path: string): unknown {
  if (thrown instanceof MillraceError || !(thrown instanceof Error)) return thrown;
  const { errcode, code } = thrown as Error & { errcode?: number; code?: string };
  if (typeof errcode === 'number') return fromResultCode(errcode & 0xff, thrown, path);
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(thrown, path);
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR' || code === 'EEXIST') return unusable(thrown, path);
  return thrown;
}

function fromResultCode(primary: number, cause: Error, path: string): Error {
  if (primary === SQLITE.full) return diskFull(cause, path);
  if (primary === SQLITE.corrupt || primary === SQLITE.notadb) {
    const line = `${path} is damaged or not a database (${cause.message}): restore it from a backup, or move it away`;
    return new MillraceError(sqliteErrors.DATA_CORRUPT, line, { path }, cause);
  }
  if (primary === SQLITE.busy || primary === SQLITE.locked) {
    return new MillraceError(
      sqliteErrors.DATA_LOCKED,
      `${path} is in use by another process: stop it, or name another data folder`,
      { path },
      cause,
    );
  }
  if (primary === SQLITE.readonly || primary === SQLITE.cantopen || primary === SQLITE.ioerr) return unusable(cause, path);
  return cause;
}

function diskFull(cause: Error, path: string): MillraceError {
  return new MillraceError(sqliteErrors.DISK_FULL, `the disk that holds ${path} is full: free some space`, { path }, cause);
}

function unusable(cause: Error, path: string): MillraceError {
  const line = `${path} cannot be opened for writing (${cause.message}): check the path and its permissions`;
  return new MillraceError(sqliteErrors.DATA_UNUSABLE, line, { path }, cause);
}
