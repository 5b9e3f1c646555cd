import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ConnectOptions, Order, Report, SubscribeOptions } from './generator-messages.ts';
import { onCores } from './machine.ts';
import { nowMicros } from './process-figures.ts';

const WORKER = fileURLToPath(new URL('generator-worker.ts', import.meta.url));
/** A step that takes longer has failed: the machine cannot carry it, or a server lost something. */
const PATIENCE_MS = 60_000;

export type Collected = {
  readonly frames: number;
  readonly bytes: number;
  /** Microseconds, ascending. Empty where they were not asked for. */
  readonly latencies: Float64Array;
  /** User and system time of the generator's processes since `count`. */
  readonly cpuMicros: number;
};

type Awaited = { readonly kind: Report['kind']; take(report: Report): void };

/** One process of the generator. Reports are answered in the order in which they are awaited. */
class Worker {
  readonly child: ChildProcess;
  reached = 0;
  #awaited: Awaited[] = [];
  readonly #onReached: (at: number) => void;
  #fail: (error: Error) => void;

  constructor(onReached: (at: number) => void, fail: (error: Error) => void) {
    this.#onReached = onReached;
    this.#fail = fail;
    const { command, args } = onCores('generator', ['--disable-warning=ExperimentalWarning', WORKER]);
    this.child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' });
    this.child.on('message', (report: Report) => this.#take(report));
    this.child.on('error', (error) => this.#fail(error));
    this.child.on('exit', (code) => this.#fail(new Error(`a process of the load generator ended with ${code}`)));
  }

  order(order: Order): void {
    this.child.send(order);
  }

  report(kind: Report['kind']): Promise<Report> {
    return new Promise((take) => void this.#awaited.push({ kind, take }));
  }

  quiet(): void {
    this.#fail = () => undefined;
  }

  #take(report: Report): void {
    if (report.kind === 'failed') return this.#fail(new Error(report.why));
    if (report.kind === 'reached') {
      this.reached += 1;
      return this.#onReached(report.at);
    }
    const at = this.#awaited.findIndex(({ kind }) => kind === report.kind);
    if (at >= 0) this.#awaited.splice(at, 1)[0]!.take(report);
  }
}

/** The load generator of one subject: clients on raw sockets, spread over several processes. */
export class Generator implements AsyncDisposable {
  readonly #workers: Worker[];
  #sockets = 0;
  #mark = 0;
  #lastReached = 0;
  #wake: () => void = () => undefined;
  #failure: Error | null = null;
  readonly #failed: Promise<never>;

  constructor(processes = 2) {
    let fail: (error: Error) => void = () => undefined;
    this.#failed = new Promise<never>((_, reject) => void (fail = reject));
    this.#failed.catch((error: Error) => void (this.#failure = error));
    this.#workers = Array.from({ length: processes }, () => {
      const reached = (at: number): void => {
        this.#lastReached = Math.max(this.#lastReached, at);
        this.#wake();
      };
      return new Worker(reached, fail);
    });
  }

  get sockets(): number {
    return this.#sockets;
  }

  async connect(options: ConnectOptions): Promise<void> {
    const each = Math.ceil(options.sockets / this.#workers.length);
    await this.#all('connected', (index) => {
      const first = index * each;
      return { kind: 'connect', options: { ...options, sockets: Math.max(0, Math.min(each, options.sockets - first)) }, first };
    });
    this.#sockets = options.sockets;
  }

  /** Resolves when the servers have read all subscriptions. Rows make sure by a first event that they stand. */
  async subscribe(options: SubscribeOptions): Promise<void> {
    await this.#all('subscribed', () => ({ kind: 'subscribe', options }));
  }

  /** Begins to count. `perSocket`: frames that each socket gets for one mark. */
  count(perSocket: number, latencies = false): void {
    const each = Math.ceil(this.#sockets / this.#workers.length);
    this.#mark = 0;
    for (const [index, worker] of this.#workers.entries()) {
      worker.reached = 0;
      worker.order({ kind: 'count', every: perSocket * Math.min(each, this.#sockets - index * each), latencies });
    }
  }

  /** Resolves to the moment (monotonic µs) at which every socket had the frames of the next mark. */
  async mark(patienceMs = PATIENCE_MS): Promise<number> {
    this.#mark += 1;
    const mark = this.#mark;
    const all = (): boolean => this.#workers.every(({ reached }) => reached >= mark);
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(new Error(`only ${this.#workers.map(({ reached }) => reached).join(' and ')} of ${mark} marks came in time`)),
      patienceMs,
    );
    try {
      while (!all()) await Promise.race([new Promise<void>((resolve) => void (this.#wake = resolve)), this.#failed, late.promise]);
    } finally {
      clearTimeout(timer);
    }
    return this.#lastReached || nowMicros();
  }

  async collect(): Promise<Collected> {
    const reports = await this.#all('collected', () => ({ kind: 'collect' }));
    const collected = reports.filter((report) => report.kind === 'collected');
    const latencies = new Float64Array(sum(collected.map((report) => report.latencies.length)));
    let at = 0;
    for (const report of collected) {
      latencies.set(report.latencies, at);
      at += report.latencies.length;
    }
    return {
      frames: sum(collected.map((report) => report.frames)),
      bytes: sum(collected.map((report) => report.bytes)),
      latencies: latencies.sort(),
      cpuMicros: sum(collected.map((report) => report.cpuMicros)),
    };
  }

  /** Throws what has gone wrong since, such as a connection that a server closed. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#workers.map((worker) => {
        worker.quiet();
        const gone = new Promise((resolve) => worker.child.once('exit', resolve));
        worker.child.kill('SIGKILL');
        return gone;
      }),
    );
  }

  async #all(kind: Report['kind'], order: (index: number) => Order): Promise<readonly Report[]> {
    const reports = this.#workers.map((worker) => worker.report(kind));
    for (const [index, worker] of this.#workers.entries()) worker.order(order(index));
    return Promise.race([Promise.all(reports), this.#failed]);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
