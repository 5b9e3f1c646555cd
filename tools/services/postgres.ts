import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Need, programNeed } from './available.ts';
import { type Owner, makeFolder, removeFolder } from './folder.ts';
import { freePort } from './ports.ts';
import { ServerProcess } from './server-process.ts';

const BIN = '/usr/lib/postgresql/15/bin';

export const postgresNeed = (): Need | null => programNeed(`${BIN}/postgres`, 'postgresql-15');

/** A private PostgreSQL on a free port of loopback, with the user `millrace` and no password. */
export class PostgresService implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  /** Address of the database `postgres`. */
  readonly url: string;
  readonly process: ServerProcess;

  private constructor(folder: string, port: number, owner: Owner | null) {
    this.folder = folder;
    this.port = port;
    this.url = `postgres://millrace@127.0.0.1:${port}/postgres`;
    const settings = ['-c', 'fsync=off', '-c', 'max_connections=60'];
    this.process = new ServerProcess({
      name: 'postgres',
      command: [`${BIN}/postgres`, '-D', join(folder, 'data'), '-p', `${port}`, '-h', '127.0.0.1', '-k', folder, ...settings],
      folder,
      owner,
      // Its fast shutdown: open transactions are rolled back, where SIGTERM waits for clients to leave.
      stopSignal: 'SIGINT',
      ready: async () => void (await this.query('SELECT 1')),
    });
  }

  static async start(): Promise<PostgresService> {
    const owner = serverUser();
    const folder = makeFolder('postgres', owner);
    try {
      const options = ['-U', 'millrace', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
      await promisify(execFile)(`${BIN}/initdb`, ['-D', join(folder, 'data'), ...options], { cwd: folder, ...owner });
      const service = new PostgresService(folder, await freePort(), owner);
      await service.process.start();
      return service;
    } catch (error) {
      await removeFolder(folder);
      throw error;
    }
  }

  /** An empty database of its own; resolves to its address. */
  createDatabase(): Promise<string> {
    return createDatabase(this.url);
  }

  /** Runs a statement in the database `postgres` and resolves to its rows, one a line. */
  query(statement: string): Promise<string> {
    return psql(this.url, statement);
  }

  kill(): Promise<void> {
    return this.process.kill();
  }

  restart(): Promise<void> {
    return this.process.restart();
  }

  async stop(): Promise<void> {
    // Orderly, for its memory segments' sake: PostgreSQL's helpers are in groups of their own.
    await this.process.stop();
    await removeFolder(this.folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

let made = 0;

/** An empty database beside the one at `url`, also of a server that another process started; resolves to its address. */
export async function createDatabase(url: string): Promise<string> {
  const name = `test_${process.pid}_${(made += 1)}`;
  await psql(url, `CREATE DATABASE ${name}`);
  return url.replace(/\/\w+$/, `/${name}`);
}

async function psql(url: string, statement: string): Promise<string> {
  const { stdout } = await promisify(execFile)(`${BIN}/psql`, ['-X', '-q', '-A', '-t', '-d', url, '-c', statement]);
  return stdout.trim();
}

/** PostgreSQL refuses to run as root; its own user is made by the package. */
function serverUser(): Owner | null {
  if (process.getuid?.() !== 0) return null;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
