/**
 * Servers that outlive whoever started them. A starter's own process cannot clean up after SIGKILL, and a start that fails has nobody to
 * call `stop()`; both left servers, ports and folders behind on the machine until somebody noticed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, it } from 'vitest';
import { NginxService } from './nginx.ts';
import { available } from './shared.ts';

const MODULES = JSON.stringify(import.meta.dirname);
const folder = mkdtempSync(join(tmpdir(), 'millrace orphans-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A process of its own that runs the code with temporary files in a folder whose name has a space. */
function run(code: string): ChildProcess {
  const env = { ...process.env, TMPDIR: folder };
  return spawn(process.execPath, ['--input-type=module', '-e', code], { env, stdio: ['ignore', 'pipe', 'inherit'] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) return line;
  throw new Error('it ended without a word');
}

/** Resolves when the server on the port is gone, which the connection to it tells. */
function gone(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve());
    socket.once('close', () => resolve());
    socket.once('connect', () => socket.resume());
    socket.setTimeout(20_000, () => reject(new Error(`somebody still listens on ${port}`)));
  });
}

describe.skipIf(!available('redis'))('a server whose starter', () => {
  it('was killed is ended, and its folder removed', async () => {
    const child = run(`
      const { RedisService } = await import(${MODULES} + '/redis.ts');
      const redis = await RedisService.start();
      redis.process.pause();
      console.log(redis.port);
      setInterval(() => {}, 1000);
    `);
    const port = Number(await firstLine(child));
    expect(readdirSync(folder)).toHaveLength(1);
    child.kill('SIGKILL');
    await gone(port);
    await expect.poll(() => readdirSync(folder), { timeout: 10_000 }).toEqual([]);
  });

  it('left without stopping it is ended, and its folder removed', async () => {
    const child = run(`
      const { RedisService } = await import(${MODULES} + '/redis.ts');
      console.log((await RedisService.start()).port);
      process.exit(0);
    `);
    await gone(Number(await firstLine(child)));
    await expect.poll(() => readdirSync(folder), { timeout: 10_000 }).toEqual([]);
  });
});

describe.skipIf(!available('nginx'))('a start that fails', () => {
  it('leaves nothing, and says what the server said', async () => {
    let own = '';
    const starting = NginxService.start({
      http: (_, at) => {
        own = at;
        return 'nonsense;';
      },
    });
    await expect(starting).rejects.toThrow(/nginx did not start: it ended with code 1\n.*unknown directive "nonsense"/);
    expect(readdirSync(tmpdir())).not.toContain(own.split('/').at(-1));
  });
});
