/**
 * Time and chance are injected, so that a test or a seeded simulation can own both.
 */
export interface Clock {
  /** Milliseconds since the epoch; may jump. For timestamps that people and other machines read. */
  now(): number;
  /** Milliseconds, never going back. For durations and deadlines. */
  monotonic(): number;
  /** Calls `run` once after `ms` (0 to 2^31-1). The timer does not keep the process alive. */
  after(ms: number, run: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const handle = setTimeout(run, ms);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/**
 * Milliseconds since the epoch that never jump: the wall clock's at this moment, and from here on the monotonic clock's. For ages that begin in
 * one run of the process and end in another; within a run, nobody who sets the machine's clock makes them an hour longer.
 */
export function steadyTime(clock: Clock): () => number {
  const start = clock.now() - clock.monotonic();
  return () => start + clock.monotonic();
}

/** A clock that moves only when told to. Timers run in order of their due time, on `advance`. */
export class ManualClock implements Clock {
  #now: number;
  #jumped = 0;
  #timers: { due: number; run: () => void }[] = [];

  constructor(start = 1_700_000_000_000) {
    this.#now = start;
  }

  now(): number {
    return this.#now + this.#jumped;
  }

  /** Somebody sets the wall clock: `now` jumps by `ms`, and nothing else changes. */
  jump(ms: number): void {
    this.#jumped += ms;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    const timer = { due: this.#now + ms, run };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((t) => t !== timer)) };
  }

  /** Moves time by `ms` and runs every timer that falls due, the earliest first. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.due <= end).sort((a, b) => a.due - b.due)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.#now = Math.max(this.#now, next.due);
      next.run();
    }
    this.#now = end;
  }
}
