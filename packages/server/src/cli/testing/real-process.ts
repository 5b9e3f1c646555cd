import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const NODE = fileURLToPath(new URL('../../../../../node_modules/node/bin/node', import.meta.url));
const LAUNCHER = fileURLToPath(new URL('../../../bin/millrace.js', import.meta.url));

export type Finished = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type Running = { readonly child: ChildProcess; readonly finished: Promise<Finished> };

/** The program as people run it: a process of its own. */
export function spawnMillrace(args: readonly string[], cwd: string): Running {
  const child = spawn(NODE, [LAUNCHER, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => void (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => void (stderr += chunk.toString()));
  const finished = new Promise<Finished>(
    (resolve) => void child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
  return { child, finished };
}

export function runMillrace(args: readonly string[], cwd: string): Promise<Finished> {
  return spawnMillrace(args, cwd).finished;
}

/** Starts `millrace dev --json` on free ports and resolves when it has said that it is ready. `Symbol.asyncDispose` ends it. */
export async function startDev(
  args: readonly string[],
  cwd: string,
): Promise<Running & { readonly addresses: Readonly<Record<string, string>> } & AsyncDisposable> {
  const running = spawnMillrace(['dev', '--json', '--port', '0', ...args], cwd);
  const line = await Promise.any([firstLine(running.child), running.finished.then(({ stderr }) => Promise.reject(new Error(stderr)))]);
  return {
    ...running,
    addresses: JSON.parse(line) as Record<string, string>,
    async [Symbol.asyncDispose]() {
      running.child.kill('SIGKILL');
      await running.finished;
    },
  };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => void createInterface({ input: child.stdout! }).once('line', resolve));
}
