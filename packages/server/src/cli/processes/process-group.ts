import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { backoffMs } from '../../kit/backoff.ts';
import { type Clock, systemClock } from '../../kit/clock.ts';
import { type Random, systemRandom } from '../../kit/random.ts';
import type { Addresses } from '../../server/runtime-file.ts';
import { WORKER_TABLE, type WorkerEvent, type WorkerState } from './worker-table.ts';

export type ProcessGroupOptions = {
  readonly count: number;
  /** Program and arguments of a worker, by its number from 0. It must print a line of JSON with `ready: true` and its addresses. */
  readonly command: (index: number) => readonly [string, ...string[]];
  readonly cwd: string;
  /** A line about what happens to the workers; for operators. */
  readonly say: (line: string) => void;
  /** Every worker is ready; the first time only. */
  readonly onReady: (workers: readonly WorkerFacts[]) => void;
  readonly clock?: Clock;
  readonly random?: Random;
};

export type WorkerFacts = { readonly pid: number; readonly addresses: Addresses };

const BACKOFF = { baseMs: 200, maxMs: 30_000 };
/** A worker that was ready for so long did not die of its start. */
const PROVEN_MS = 60_000;
/** Deaths in a row of one worker that never came that far, after which all of them end: a restart does not mend it. */
const DEATHS_MAX = 8;

/**
 * Several processes of one server that share a port. One that dies is started again, with growing pauses; one that dies again and again,
 * or before the first start is complete, ends them all with its exit code.
 */
export class ProcessGroup {
  readonly #options: ProcessGroupOptions;
  readonly #workers: readonly Worker[];
  readonly #ended = Promise.withResolvers<number>();
  #readyOnce = false;
  #code = 0;

  constructor(options: ProcessGroupOptions) {
    this.#options = options;
    this.#workers = Array.from({ length: options.count }, (_, index) => new Worker(index, options, this));
    for (const worker of this.#workers) worker.start();
  }

  /** The exit code: 0 after `stop`, else that of the worker that ended them. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /** SIGTERM to all; each drains. */
  stop(): void {
    for (const worker of this.#workers) worker.happen('stop');
    this.changed();
  }

  /** The end of all, at once. */
  kill(): void {
    for (const worker of this.#workers) worker.kill();
  }

  /** Called by workers. */
  changed(): void {
    if (this.#workers.every(({ state }) => state === 'ended')) this.#ended.resolve(this.#code);
    if (this.#readyOnce || !this.#workers.every(({ state }) => state === 'ready')) return;
    this.#readyOnce = true;
    this.#options.onReady(this.#workers.map((worker) => worker.facts));
  }

  /** Called by workers, before they look for what to do now. */
  died(index: number, deaths: number, code: number): void {
    if (this.#readyOnce && deaths <= DEATHS_MAX) return;
    if (this.#code === 0) {
      this.#code = code === 0 ? 1 : code;
      const why = this.#readyOnce ? `died ${deaths} times in a row` : 'did not start';
      this.#options.say(`process ${index} ${why}; all of them end`);
    }
    this.stop();
  }
}

class Worker {
  readonly #index: number;
  readonly #options: ProcessGroupOptions;
  readonly #group: ProcessGroup;
  readonly #clock: Clock;
  state: WorkerState = 'starting';
  #child: ChildProcess | null = null;
  #addresses: Addresses | null = null;
  #deaths = 0;
  #readyAt: number | null = null;

  constructor(index: number, options: ProcessGroupOptions, group: ProcessGroup) {
    this.#index = index;
    this.#options = options;
    this.#group = group;
    this.#clock = options.clock ?? systemClock;
  }

  get facts(): WorkerFacts {
    return { pid: this.#child?.pid ?? 0, addresses: this.#addresses! };
  }

  start(): void {
    const [program, ...args] = this.#options.command(this.#index);
    const child = spawn(program, args, { cwd: this.#options.cwd, stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    this.#readyAt = null;
    createInterface({ input: child.stdout }).on('line', (line) => this.#heard(line));
    // `exit` does not come for a program that cannot be started.
    child.once('error', () => this.#gone(1));
    child.once('exit', (code, signal) => this.#gone(code ?? (signal === null ? 1 : 128)));
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  happen(event: WorkerEvent): void {
    const { to, act } = WORKER_TABLE[this.state][event];
    this.state = to;
    if (act === 'start') this.start();
    else if (act === 'signal') this.#child?.kill('SIGTERM');
    else if (act === 'pause') this.#pause();
  }

  #heard(line: string): void {
    let said: (Addresses & { readonly ready?: boolean }) | null = null;
    try {
      said = JSON.parse(line) as Addresses & { readonly ready?: boolean };
    } catch {
      this.#options.say(`process ${this.#index} said: ${line.slice(0, 200)}`);
    }
    if (said?.ready !== true) return;
    const { ready: _, ...addresses } = said;
    this.#addresses = addresses;
    this.#readyAt = this.#clock.monotonic();
    this.happen('ready');
    this.#group.changed();
  }

  #gone(code: number): void {
    if (this.#child === null) return;
    this.#child = null;
    const proven = this.#readyAt !== null && this.#clock.monotonic() - this.#readyAt >= PROVEN_MS;
    this.#deaths = proven ? 1 : this.#deaths + 1;
    if (this.state !== 'ending') {
      this.#options.say(`process ${this.#index} ended with ${code}`);
      this.#group.died(this.#index, this.#deaths, code);
    }
    this.happen('exit');
    this.#group.changed();
  }

  #pause(): void {
    const pause = backoffMs(this.#deaths, BACKOFF, this.#options.random ?? systemRandom);
    this.#clock.after(pause, () => this.happen('due'));
  }
}
