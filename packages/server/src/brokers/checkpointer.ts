import { Worker } from 'node:worker_threads';
import { reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';

export interface Checkpointer {
  /** Copies what the write-ahead log holds into the database file. Resolves with the milliseconds that took, or null where it failed (logged). */
  run(): Promise<number | null>;
  close(): Promise<void>;
}

type Answer = { readonly kind: 'done'; readonly ms: number } | { readonly kind: 'failed'; readonly reason: string };

/**
 * Check-points in their own thread: on the main thread each would stall every socket for 10 to 60 ms (measured, DESIGN.md).
 * The thread starts with the first check-point, so that a quiet process never pays for it.
 */
export class ThreadCheckpointer implements Checkpointer {
  readonly #path: string;
  readonly #logger: Logger;
  #worker: Worker | null = null;
  #settle: ((ms: number | null) => void) | null = null;
  #closed = false;

  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
  }

  run(): Promise<number | null> {
    if (this.#closed || this.#settle !== null) return Promise.resolve(null);
    this.#worker ??= this.#start();
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#worker?.postMessage('checkpoint');
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
    this.#finish(null);
  }

  #start(): Worker {
    // The published package holds JavaScript, the repository TypeScript: the thread's file ends as this one does.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./checkpoint-thread.${extension}`, import.meta.url), {
      workerData: this.#path,
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    });
    worker.unref();
    worker.on('message', (answer: Answer) => {
      if (answer.kind === 'failed')
        this.#logger.warn({ reason: answer.reason }, 'check-point of the event log failed; it will be tried again');
      this.#finish(answer.kind === 'done' ? answer.ms : null);
    });
    worker.on('error', (error: unknown) => {
      this.#logger.error({ reason: reasonOf(error) }, 'the check-point thread of the event log ended; it will be started again');
      this.#worker = null;
      this.#finish(null);
    });
    return worker;
  }

  #finish(ms: number | null): void {
    const settle = this.#settle;
    this.#settle = null;
    settle?.(ms);
  }
}
