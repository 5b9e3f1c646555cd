import type { Clock } from './clock.ts';

/** Pauses between attempts that end together: closing never waits for a back-off. */
export class Pauses {
  readonly #clock: Clock;
  readonly #running = new Set<() => void>();
  #ended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves after `ms`, or at once when `end` was called. */
  async pause(ms: number): Promise<void> {
    if (this.#ended) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#running.delete(end);
        resolve();
      };
      const timer = this.#clock.after(ms, end);
      this.#running.add(end);
    });
  }

  end(): void {
    this.#ended = true;
    for (const end of [...this.#running]) end();
  }
}

/** The outcome of `work`; after `ms` without one, rejects with `late()`. What the work yields later counts for nothing. */
export async function inTime<T>(clock: Clock, ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const { promise, reject, resolve } = Promise.withResolvers<T>();
  const limit = clock.after(ms, () => reject(late()));
  work.then(resolve, reject);
  try {
    return await promise;
  } finally {
    limit.cancel();
  }
}

/** Resolves with the end of `work`, which never rejects, or after `ms`. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const limit = clock.after(ms, resolve);
  void work.then(() => resolve());
  await promise;
  limit.cancel();
}
