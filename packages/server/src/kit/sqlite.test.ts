import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MillraceError } from './errors.ts';
import { type DatabaseOptions, openDatabase } from './sqlite.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-sqlite-'));
  path = join(folder, 'data.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function options(schemaVersion = 1): DatabaseOptions {
  return { schemaVersion, migrate: (db, from) => db.exec(from === 0 ? 'CREATE TABLE t (x)' : 'ALTER TABLE t ADD COLUMN y') };
}

function failure(run: () => unknown): MillraceError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

describe('openDatabase', () => {
  it('creates, keeps and migrates', () => {
    const first = openDatabase(path, options());
    first.transaction(() => first.db.exec('INSERT INTO t VALUES (1)'));
    first.close();
    const second = openDatabase(path, options(2));
    expect(second.db.prepare('SELECT x, y FROM t').all()).toEqual([{ x: 1, y: null }]);
    expect(second.db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    expect(second.db.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 });
    second.close();
  });

  it('rolls back when the work throws', () => {
    const database = openDatabase(':memory:', options());
    expect(() =>
      database.transaction(() => {
        database.db.exec('INSERT INTO t VALUES (1)');
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(database.db.prepare('SELECT * FROM t').all()).toEqual([]);
    database.close();
  });

  it('refuses a newer version and leaves the file alone', () => {
    openDatabase(path, options(7)).close();
    const error = failure(() => openDatabase(path, options(3)));
    expect(error.code).toBe('DATA_VERSION');
    expect(error.message).toContain('data version 7, this Millrace knows up to 3');
    openDatabase(path, options(7)).close();
  });

  it('refuses a database of another program', () => {
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE theirs (x)');
    other.close();
    expect(failure(() => openDatabase(path, options())).code).toBe('DATA_VERSION');
  });

  it('calls rubbish corrupt, in one line', () => {
    writeFileSync(path, 'this is no database '.repeat(500));
    const error = failure(() => openDatabase(path, options()));
    expect(error.code).toBe('DATA_CORRUPT');
    expect(error.message).not.toContain('\n');
  });

  it('names a full disk, and works on when there is room again', () => {
    const database = openDatabase(path, options());
    database.db.exec('PRAGMA max_page_count = 4');
    const error = failure(() => database.transaction(() => database.db.prepare('INSERT INTO t VALUES (?)').run('x'.repeat(100_000))));
    expect(error.code).toBe('DISK_FULL');
    database.db.exec('PRAGMA max_page_count = 100000');
    database.transaction(() => database.db.exec('INSERT INTO t VALUES (2)'));
    expect(database.db.prepare('SELECT x FROM t').all()).toEqual([{ x: 2 }]);
    database.close();
  });

  it('says which folder cannot be used', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(failure(() => openDatabase(join(folder, 'file', 'data.db'), options())).code).toBe('DATA_UNUSABLE');
  });
});

describe('the lock of a data folder', () => {
  const holder = `const { lockDataFolder } = await import(${JSON.stringify(join(import.meta.dirname, 'data-lock.ts'))});
    lockDataFolder(process.argv[1]); process.stdout.write('held'); setInterval(() => {}, 1000);`;

  it('names the live owner, and a killed one does not block', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', holder, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const error = failure(() => openDatabase(path, options()));
    expect(error.code).toBe('DATA_LOCKED');
    expect(error.message).toContain(`process ${child.pid}`);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    const database = openDatabase(path, options());
    expect(readFileSync(join(folder, 'lock.pid'), 'utf8').trim()).toBe(String(process.pid));
    database.close();
  });

  it('is shared by the databases of one process and freed with the last', () => {
    const one = openDatabase(path, options());
    const two = openDatabase(join(folder, 'other.db'), options());
    one.close();
    one.close();
    const peek = new DatabaseSync(join(folder, 'lock'));
    expect(() => peek.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')).toThrow('locked');
    two.close();
    peek.exec('BEGIN EXCLUSIVE; ROLLBACK');
    peek.close();
  });
});
