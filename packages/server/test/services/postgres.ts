import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

const BIN = '/usr/lib/postgresql/15/bin';

export type PostgresServer = {
  /** Address of the database `postgres`. */
  readonly url: string;
  /** An empty database of its own. */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
};

/** Null where PostgreSQL is not installed: said in one line, or a failure where MILLRACE_REQUIRE_SERVICES=1 demands it. */
export function postgresInstalled(): boolean {
  if (existsSync(join(BIN, 'postgres'))) return true;
  const line = `SKIPPED: tests on PostgreSQL, ${BIN}/postgres is missing (apt-get install postgresql-15)`;
  if (process.env['MILLRACE_REQUIRE_SERVICES'] === '1') throw new Error(line);
  console.warn(line);
  return false;
}

/** A private throw-away instance on a free port of loopback with its data in a temporary folder. Ends only what it started. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-postgres-'));
  const user = serverUser();
  if (user) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  run(user, 'initdb', ['-D', data, '-U', 'millrace', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']);
  const port = await freePort();
  const args = ['-D', data, '-p', `${port}`, '-h', '127.0.0.1', '-k', folder, '-c', 'fsync=off', '-c', 'max_connections=60'];
  const child = spawn(join(BIN, 'postgres'), args, { stdio: 'ignore', cwd: folder, ...user });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `postgres://millrace@127.0.0.1:${port}/postgres`;
  try {
    await ready(url, child);
  } catch (error) {
    await stop(child, exited, folder);
    throw error;
  }
  let made = 0;
  return {
    url,
    async createDatabase() {
      const name = `test_${(made += 1)}`;
      await query(url, `CREATE DATABASE ${name}`);
      return url.replace(/\/postgres$/, `/${name}`);
    },
    stop: () => stop(child, exited, folder),
  };
}

type User = { readonly uid: number; readonly gid: number };

/** PostgreSQL refuses to run as root; its own user is made by the package. */
function serverUser(): User | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

function run(user: User | null, program: string, args: readonly string[]): void {
  execFileSync(join(BIN, program), args, { stdio: ['ignore', 'ignore', 'inherit'], cwd: tmpdir(), ...user });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
      .once('error', reject)
      .listen(0, '127.0.0.1', () => {
        const { port } = probe.address() as AddressInfo;
        probe.close(() => resolve(port));
      });
  });
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`postgres ended with ${child.exitCode}`);
    try {
      await query(url, 'SELECT 1');
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    await client.query(text);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** SIGINT is PostgreSQL's fast shutdown: open transactions are rolled back. */
async function stop(child: ChildProcess, exited: Promise<void>, folder: string): Promise<void> {
  if (child.exitCode === null) {
    child.kill('SIGINT');
    await exited;
  }
  rmSync(folder, { recursive: true, force: true });
}
