import { Worker } from 'node:worker_threads';
import type { QueryPlan } from '@graphql-hive/router-query-planner';
import { type Clock, systemClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { type Logger, silentLogger } from '../kit/log.ts';
import { supergraphErrors } from './errors.ts';
import type { PlannerReply, PlannerRequest } from './planner-protocol.ts';

/** PORT. Plans operations against built supergraphs. */
export interface Planner {
  /** Rejects with PLAN_FAILED where the planner refuses the supergraph, PLANNER_UNAVAILABLE where it crashes over it. */
  build(supergraphSdl: string): Promise<PlannedGraph>;
  /** Ends the thread; everything under way rejects. Idempotent. */
  close(): Promise<void>;
}

export interface PlannedGraph {
  /** SDL that clients see. */
  readonly consumerSchema: string;
  /** Rejects with PLAN_FAILED (the operation), PLAN_TIMEOUT (`planTimeoutMs`) or PLANNER_UNAVAILABLE (crash, or more than `queueMax` waiting). */
  plan(query: string, operationName: string | null): Promise<QueryPlan>;
  dispose(): void;
}

export type PlannerOptions = {
  /** Plans and builds under way or waiting; beyond it PLANNER_UNAVAILABLE. */
  readonly queueMax?: number;
  /** Milliseconds for one plan; beyond it PLAN_TIMEOUT, so that no document holds the planner for ever. Most plans take one or two. */
  readonly planTimeoutMs?: number;
  readonly clock?: Clock;
  readonly log?: Logger;
  /** Called at each crash, for a metric. */
  readonly onCrash?: () => void;
  /** The worker's file; tests give one that crashes. */
  readonly workerUrl?: URL;
};

export const PLANNER_DEFAULTS = { queueMax: 1000, planTimeoutMs: 10_000, restartDelayMs: 50, restartDelayMaxMs: 5000 } as const;

type Waiter = { readonly generation: number; resolve(reply: PlannerReply): void; reject(error: MillraceError): void };

export function createPlanner(options: PlannerOptions = {}): Planner {
  return new WorkerPlanner(options);
}

/** The worker file beside this one has this one's extension: .ts from source, .js in the package. */
function defaultWorkerUrl(): URL {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  return new URL(`./planner-worker${extension}`, import.meta.url);
}

class WorkerPlanner implements Planner {
  readonly #options: PlannerOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #graphs = new Map<number, string>();
  readonly #builds = new Map<number, Waiter>();
  readonly #plans = new Map<number, Waiter>();
  #worker: Worker | null = null;
  #closed = false;
  #generations = 0;
  #ids = 0;
  #crashes = 0;

  constructor(options: PlannerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#start();
  }

  async build(supergraphSdl: string): Promise<PlannedGraph> {
    const generation = ++this.#generations;
    this.#graphs.set(generation, supergraphSdl);
    try {
      const reply = await this.#ask(this.#builds, generation, generation, { kind: 'build', generation, supergraphSdl });
      if (reply.kind !== 'built') throw planFailed(reply);
      return {
        consumerSchema: reply.consumerSchema,
        plan: (query, operationName) => this.#plan(generation, query, operationName),
        dispose: () => this.#dispose(generation),
      };
    } catch (error) {
      this.#dispose(generation);
      throw error;
    }
  }

  async #plan(generation: number, query: string, operationName: string | null): Promise<QueryPlan> {
    const id = ++this.#ids;
    const timeoutMs = this.#options.planTimeoutMs ?? PLANNER_DEFAULTS.planTimeoutMs;
    const reply = await this.#ask(this.#plans, id, generation, { kind: 'plan', id, generation, query, operationName, timeoutMs });
    if (reply.kind === 'plan-failed' && reply.late)
      throw new MillraceError(supergraphErrors.PLAN_TIMEOUT, `no plan was found within ${timeoutMs} ms; ask for less in one operation`);
    if (reply.kind !== 'planned') throw planFailed(reply);
    return reply.plan;
  }

  #ask(waiters: Map<number, Waiter>, key: number, generation: number, request: PlannerRequest): Promise<PlannerReply> {
    return new Promise((resolve, reject) => {
      const max = this.#options.queueMax ?? PLANNER_DEFAULTS.queueMax;
      if (this.#closed || !this.#worker || this.#plans.size + this.#builds.size >= max) {
        reject(
          unavailable(
            this.#closed
              ? 'the query planner is closed'
              : this.#worker
                ? `${max} plans are waiting already`
                : 'the query planner is restarting',
          ),
        );
        return;
      }
      waiters.set(key, { generation, resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage(request);
    });
  }

  #start(): void {
    const worker = new Worker(this.#options.workerUrl ?? defaultWorkerUrl(), { name: 'millrace-planner' });
    // An idle planner must not keep a finished process alive; `#ask` takes the reference back while somebody waits.
    worker.unref();
    worker.on('message', (reply: PlannerReply) => this.#receive(reply));
    worker.on('error', (error) => this.#log.error({ err: error }, 'the query planner failed'));
    worker.on('exit', (code) => this.#ended(worker, code));
    this.#worker = worker;
    for (const [generation, supergraphSdl] of this.#graphs)
      worker.postMessage({ kind: 'build', generation, supergraphSdl } satisfies PlannerRequest);
  }

  #receive(reply: PlannerReply): void {
    const build = reply.kind === 'built' || reply.kind === 'build-failed';
    const waiters = build ? this.#builds : this.#plans;
    const key = build ? reply.generation : reply.id;
    const waiter = waiters.get(key);
    waiters.delete(key);
    if (reply.kind === 'planned') this.#crashes = 0;
    if (this.#plans.size + this.#builds.size === 0) this.#worker?.unref();
    waiter?.resolve(reply);
  }

  #ended(worker: Worker, code: number): void {
    if (worker !== this.#worker) return;
    this.#worker = null;
    this.#rejectAll(this.#closed ? 'the query planner is closed' : 'the query planner stopped and is being restarted');
    if (this.#closed) return;
    this.#options.onCrash?.();
    const delay = Math.min(PLANNER_DEFAULTS.restartDelayMs * 2 ** this.#crashes++, PLANNER_DEFAULTS.restartDelayMaxMs);
    this.#log.error({ code, delay }, 'the query planner stopped; restarting');
    this.#clock.after(delay, () => {
      if (!this.#closed) this.#start();
    });
  }

  #rejectAll(message: string): void {
    const waiting = [...this.#plans.values(), ...this.#builds.values()];
    this.#plans.clear();
    this.#builds.clear();
    for (const waiter of waiting) waiter.reject(unavailable(message));
  }

  #dispose(generation: number): void {
    this.#graphs.delete(generation);
    this.#worker?.postMessage({ kind: 'dispose', generation } satisfies PlannerRequest);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#rejectAll('the query planner is closed');
    await this.#worker?.terminate();
    this.#worker = null;
  }
}

function unavailable(message: string): MillraceError {
  return new MillraceError(supergraphErrors.PLANNER_UNAVAILABLE, message);
}

function planFailed(reply: PlannerReply): MillraceError {
  const message = reply.kind === 'plan-failed' || reply.kind === 'build-failed' ? reply.message : 'unexpected answer';
  return new MillraceError(supergraphErrors.PLAN_FAILED, message);
}
