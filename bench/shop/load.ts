import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onCores } from '../lib/machine.ts';
import type { LoadJob, LoadResult } from './http-load.ts';

/** A process of ours on the generator's cores that speaks JSON messages or lines with us. */
function helper(file: string, stdio: 'ipc' | 'pipe'): ChildProcess {
  const command = onCores('generator', ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL(file, import.meta.url))]);
  return spawn(command.command, command.args, {
    stdio: ['ignore', stdio === 'ipc' ? 'inherit' : 'pipe', 'inherit', ...(stdio === 'ipc' ? ['ipc' as const] : [])],
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

/** The load generator for HTTP, in a process of its own. */
export class HttpLoad implements AsyncDisposable {
  readonly #child = helper('http-load.ts', 'ipc');

  /** Throws with the first answer that was a failure: figures of refusals mean nothing. */
  async run(job: LoadJob): Promise<LoadResult> {
    const answered = new Promise<LoadResult>((resolve, reject) => {
      const gone = (): void => reject(new Error('the load generator ended'));
      this.#child.once('exit', gone);
      this.#child.once('message', (result: LoadResult) => {
        this.#child.off('exit', gone);
        resolve(result);
      });
    });
    this.#child.send(job);
    const result = await answered;
    if (result.failure !== null) throw new Error(`${job.url} answered ${result.failure}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child);
  }
}

/** The subgraphs of the shop. */
export class Subgraphs implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(file = 'subgraphs.ts'): Promise<Subgraphs> {
    const child = helper(file, 'pipe');
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    return new Subgraphs(child, (JSON.parse(line.toString()) as { url: string }).url);
  }

  /** Requests that it has answered so far. */
  async count(): Promise<number> {
    return Number(await (await fetch(`${this.url}/count`, { method: 'POST' })).text());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child);
  }
}
