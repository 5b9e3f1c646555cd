import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Owner } from './folder.ts';
import { tellGuardian } from './guardian.ts';

export type ServerSpec = {
  /** Names the log file and appears in errors. */
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly owner?: Owner | null;
  /** Asks the server something real; rejects as long as it cannot answer. */
  readonly ready: () => Promise<void>;
  /** How long starting may take; 60 s unless told. */
  readonly patience?: number;
  /** The signal that asks for an orderly end; SIGTERM unless told. */
  readonly stopSignal?: NodeJS.Signals;
};

/** Between two questions to a server that is not ready. */
const ASK_AGAIN_MS = 25;
/** After this the orderly end is not waited for any longer. */
const STOP_MS = 15_000;
const TAIL_LINES = 25;

/**
 * One server of ours, in a process group of its own so that its helpers end with it. Everything it says goes to `NAME.log` in its folder.
 * It may be ended and started any number of times with the same command, so the same data and ports.
 */
export class ServerProcess {
  readonly #spec: ServerSpec;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(spec: ServerSpec) {
    this.#spec = spec;
  }

  get name(): string {
    return this.#spec.name;
  }

  get running(): boolean {
    return this.#child !== null;
  }

  get logFile(): string {
    return join(this.#spec.folder, `${this.#spec.name}.log`);
  }

  /** Resolves when the server answers. Where it ends or does not answer in time, nothing is left running and the error has its last lines. */
  async start(): Promise<void> {
    if (this.#child) throw new Error(`${this.name} runs already`);
    const child = this.#spawn();
    const failed = { reason: null as string | null };
    child.once('error', (error) => (failed.reason = error.message));
    child.once('exit', (code, signal) => (failed.reason ??= `it ended with ${signal ?? `code ${code}`}`));
    const deadline = performance.now() + (this.#spec.patience ?? 60_000);
    for (;;) {
      const answer = await this.#spec.ready().then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      // Looked at after the answer too: another server on this port might have given it.
      if (failed.reason === null && answer === null) return;
      const reason = failed.reason ?? (performance.now() > deadline ? `it does not answer: ${answer}` : null);
      if (reason !== null) {
        await this.kill();
        throw new Error(`${this.name} did not start: ${reason}\n${this.tail()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }

  /** The orderly end, or after 15 s the other one. */
  async stop(): Promise<void> {
    this.signal('SIGCONT');
    this.signal(this.#spec.stopSignal ?? 'SIGTERM', 'leader');
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  /** The end of a crash: nothing is flushed, no client is told. Resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.signal(signal);
    await this.#ended;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Keeps its connections and answers nobody, as a machine that hangs. */
  pause(): void {
    this.signal('SIGSTOP');
  }

  continue(): void {
    this.signal('SIGCONT');
  }

  signal(signal: NodeJS.Signals, whom: 'group' | 'leader' = 'group'): void {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(whom === 'group' ? -pid : pid, signal);
    } catch {
      // Gone by itself; its end is on its way.
    }
  }

  /** The last lines of what it said. */
  tail(): string {
    try {
      return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
    } catch {
      return '(it said nothing)';
    }
  }

  #spawn(): ChildProcess {
    const { command, folder, env, owner } = this.#spec;
    const log = openSync(this.logFile, 'a');
    const [program, ...args] = command;
    const child = spawn(program, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', log, log],
      detached: true,
      ...owner,
    });
    closeSync(log);
    this.#child = child;
    if (child.pid !== undefined) tellGuardian('group', child.pid);
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        // Helpers that the server did not take along.
        this.signal('SIGKILL');
        if (child.pid !== undefined) tellGuardian('gone', child.pid);
        this.#child = null;
        resolve();
      };
      child.once('exit', end);
      child.once('error', end);
    });
    return child;
  }
}
