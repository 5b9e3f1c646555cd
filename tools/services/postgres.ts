import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Need, programNeed } from './available.ts';
import { type Owner, makeFolder } from './folder.ts';
import { freePort } from './ports.ts';
import { SingleServer, startIn } from './single-server.ts';

const BIN = '/usr/lib/postgresql/15/bin';

export const postgresNeed = (): Need | null => programNeed(`${BIN}/postgres`, 'postgresql-15');

/** A private PostgreSQL on a free port of loopback, with the user `millrace` and no password. */
export class PostgresService extends SingleServer {
  readonly port: number;
  /** Address of the database `postgres`. */
  readonly url: string;

  private constructor(folder: string, port: number, owner: Owner | null) {
    const url = `postgres://millrace@127.0.0.1:${port}/postgres`;
    const settings = ['-c', 'fsync=off', '-c', 'max_connections=60'];
    super({
      name: 'postgres',
      command: [`${BIN}/postgres`, '-D', join(folder, 'data'), '-p', `${port}`, '-h', '127.0.0.1', '-k', folder, ...settings],
      folder,
      owner,
      // Its fast shutdown: open transactions are rolled back, where SIGTERM waits for clients to leave.
      stopSignal: 'SIGINT',
      ready: async () => void (await psql(url, 'SELECT 1')),
    });
    this.port = port;
    this.url = url;
  }

  static start(): Promise<PostgresService> {
    const owner = serverUser();
    const folder = makeFolder('postgres', owner);
    return startIn(folder, async () => {
      const options = ['-U', 'millrace', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
      await promisify(execFile)(`${BIN}/initdb`, ['-D', join(folder, 'data'), ...options], { cwd: folder, ...owner });
      return new PostgresService(folder, await freePort(), owner);
    });
  }

  /** An empty database of its own; resolves to its address. */
  createDatabase(): Promise<string> {
    return createDatabase(this.url);
  }

  /** Runs a statement in the database `postgres` and resolves to its rows, one a line. */
  query(statement: string): Promise<string> {
    return psql(this.url, statement);
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
