import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { onCores } from './machine.ts';
import { cpuMicros, residentBytes } from './process-figures.ts';

/** Lets the harness ask a server for a full garbage collection, in every subject alike, so that RSS is told without garbage too. */
const COLLECT = fileURLToPath(new URL('collect-on-signal.ts', import.meta.url));

export type ServerOptions = {
  /** Program and arguments for Node. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Flags for Node itself. */
  readonly nodeFlags?: readonly string[];
};

/** Who waits for a line of standard output. */
type Lines = { collected: (heap: number) => void };

/** One server under test: a process of its own on its own core. Its first JSON line on standard output says that it is ready. */
export class ServerProcess implements AsyncDisposable {
  readonly ready: Readonly<Record<string, unknown>>;
  readonly #child: ChildProcess;
  readonly #log: { text: string };
  readonly #lines: Lines;

  private constructor(child: ChildProcess, ready: Readonly<Record<string, unknown>>, log: { text: string }, lines: Lines) {
    this.#lines = lines;
    this.#child = child;
    this.ready = ready;
    this.#log = log;
  }

  static async start({ args, env, cwd, nodeFlags = [] }: ServerOptions): Promise<ServerProcess> {
    const command = onCores('server', [...nodeFlags, '--disable-warning=ExperimentalWarning', '--import', COLLECT, ...args]);
    const child = spawn(command.command, command.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_ENV: 'production', ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    const log = { text: '' };
    const lines: Lines = { collected: () => undefined };
    child.stderr.on('data', (chunk: Buffer) => void (log.text = (log.text + chunk.toString()).slice(-20_000)));
    const ready = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        if (!line.startsWith('{')) return;
        const message = JSON.parse(line) as Record<string, unknown>;
        if (typeof message['collected'] === 'number') lines.collected(message['collected']);
        else resolve(message);
      });
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${args.join(' ')} ended with ${code} before it was ready:\n${log.text}`)));
    });
    return new ServerProcess(child, ready, log, lines);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get log(): string {
    return this.#log.text;
  }

  cpuMicros(): number {
    return cpuMicros(this.pid);
  }

  residentBytes(): number {
    return residentBytes(this.pid);
  }

  /** After full collections: RSS, and what JavaScript itself holds (heap and buffers), which knows neither malloc nor sockets. */
  async collected(): Promise<{ readonly resident: number; readonly heap: number }> {
    let heap = Number.NaN;
    for (let round = 0; round < 3; round += 1) {
      const told = new Promise<number>((resolve) => void (this.#lines.collected = resolve));
      this.#child.kill('SIGUSR2');
      heap = await told;
      await sleep(200);
    }
    return { resident: this.residentBytes(), heap };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 30_000);
    await gone;
    clearTimeout(late);
  }
}
