import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Addresses } from '../../packages/server/src/server/runtime-file.ts';

const PROGRAM = fileURLToPath(new URL('../../packages/server/bin/millrace.js', import.meta.url));

export type MillraceProcess = AsyncDisposable & { readonly addresses: Addresses };

/** `millrace dev` with these flags as a process of its own. Its log goes to standard error. */
export async function startMillrace(name: string, flags: readonly string[]): Promise<MillraceProcess> {
  const child = spawn(process.execPath, [PROGRAM, 'dev', '--json', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const addresses = await new Promise<Addresses>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => resolve(JSON.parse(line) as Addresses));
    void exited.then((code) => reject(new Error(`${name} ended with ${code} before it was ready`)));
  });
  return {
    addresses,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
