import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { redisCommand } from './services/redis-command.ts';
import { available } from './services/shared.ts';

function run(...args: readonly string[]): { readonly child: ChildProcess; readonly code: Promise<number | null>; said(): string } {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'services.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return { child, code: new Promise((resolve) => child.once('close', resolve)), said: () => said };
}

describe('npm run services', () => {
  it('refuses what it does not know, with what there is', async () => {
    const { code, said } = run('mysql');
    expect(await code).toBe(2);
    expect(said()).toMatch(/no service mysql; there are redis, .*postgres/);
  });

  it.skipIf(!available('redis'))('prints the facts as one line of JSON, and ends with 0 on a signal', async () => {
    const { child, code } = run('--json', 'redis');
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const { redis } = JSON.parse(String((await lines.next()).value)) as { readonly redis: { readonly port: number } };
    expect(await redisCommand(redis, 'PING')).toBe('PONG');
    child.kill('SIGINT');
    expect(await code).toBe(0);
    await expect(redisCommand(redis, 'PING')).rejects.toThrow(/ECONNREFUSED/);
  });
});
