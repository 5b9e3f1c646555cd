/**
 * Order per key, parallelism across keys. A lane exists while a key has records; deciding only, no effects and no clock.
 *
 * | state  | admit            | take(now)                       | finish             | park(due)         |
 * |--------|------------------|---------------------------------|--------------------|-------------------|
 * | –      | → ready          | –                               | –                  | –                 |
 * | ready  | append           | → busy, a run leaves            | –                  | –                 |
 * | busy   | append           | nothing (2)                     | → ready, or gone   | → parked          |
 * | parked | append           | now < due: nothing (4); → busy  | –                  | –                 |
 *
 * Invariants (each has a test in lanes.test.ts):
 * 1. Never more than `capacity` items are held (waiting and out together); `admit` beyond that answers false and changes nothing.
 * 2. At most one run of a key is out.
 * 3. Items of a key leave in the order they were admitted; items put back leave again before those behind them.
 * 4. A parked lane gives nothing before its due time.
 * 5. Every admitted item leaves, and is finished or put back; none is lost, none is finished twice.
 * 6. At most `maxBusy` runs are out.
 * 7. No lane without items and without a run: memory is bounded by `capacity`.
 * 8. A lane that is ready is taken after at most one run of every lane that was ready before it (no key starves another).
 */
export class Lanes<T> {
  readonly #capacity: number;
  readonly #maxBusy: number;
  readonly #maxRun: number;
  readonly #lanes = new Map<string, Lane<T>>();
  /** First in, first out; a lane is in it exactly while its state is `ready`. */
  #ready: Lane<T>[] = [];
  #readyHead = 0;
  readonly #parked = new Set<Lane<T>>();
  #earliestDue = Number.POSITIVE_INFINITY;
  #held = 0;
  #busy = 0;

  constructor({ capacity, maxBusy, maxRun }: LanesOptions) {
    this.#capacity = capacity;
    this.#maxBusy = maxBusy;
    this.#maxRun = maxRun;
  }

  /** Items waiting or out. */
  get held(): number {
    return this.#held;
  }

  get free(): number {
    return this.#capacity - this.#held;
  }

  get parkedLanes(): number {
    return this.#parked.size;
  }

  /** Runs that are out. */
  get busy(): number {
    return this.#busy;
  }

  /** When the first parked lane falls due; infinity without one. */
  get earliestDue(): number {
    return this.#earliestDue;
  }

  hasReady(now: number): boolean {
    return this.#busy < this.#maxBusy && (this.#readyHead < this.#ready.length || now >= this.#earliestDue);
  }

  /** False where the lanes are full. */
  admit(key: string, item: T): boolean {
    if (this.#held >= this.#capacity) return false;
    this.#held++;
    const lane = this.#lanes.get(key);
    if (lane) {
      lane.waiting.push(item);
      return true;
    }
    const created: Lane<T> = { key, state: 'ready', waiting: [item], due: 0 };
    this.#lanes.set(key, created);
    this.#ready.push(created);
    return true;
  }

  /** Runs of up to `max` items together, at most one run per lane. Each run must come back by `finish` or `park`. */
  take(now: number, max: number): readonly Run<T>[] {
    this.#wake(now);
    const runs: Run<T>[] = [];
    let left = max;
    while (left > 0 && this.#busy < this.#maxBusy && this.#readyHead < this.#ready.length) {
      const lane = this.#nextReady();
      const count = Math.min(left, this.#maxRun, lane.waiting.length);
      const items = count === lane.waiting.length ? lane.waiting : lane.waiting.slice(0, count);
      lane.waiting = count === lane.waiting.length ? [] : lane.waiting.slice(count);
      lane.state = 'busy';
      this.#busy++;
      left -= count;
      runs.push({ key: lane.key, items });
    }
    return runs;
  }

  /** The whole run is done. */
  finish(run: Run<T>): void {
    this.#return(run, run.items.length, [], 0, false);
  }

  /** `rest` (a tail or any ordered part of the run) is to be tried again at `due`; the other items of the run are done. */
  park(run: Run<T>, rest: readonly T[], due: number): void {
    this.#return(run, run.items.length - rest.length, rest, due, rest.length > 0);
  }

  /** Everything waiting and not out, for a stop that leaves it to be delivered again. Lanes with a run out stay until it returns. */
  clear(): readonly T[] {
    const left: T[] = [];
    for (const lane of this.#lanes.values()) {
      left.push(...lane.waiting);
      lane.waiting = [];
      if (lane.state !== 'busy') this.#lanes.delete(lane.key);
    }
    this.#ready = [];
    this.#readyHead = 0;
    this.#parked.clear();
    this.#earliestDue = Number.POSITIVE_INFINITY;
    this.#held -= left.length;
    return left;
  }

  #return(run: Run<T>, done: number, rest: readonly T[], due: number, park: boolean): void {
    const lane = this.#lanes.get(run.key);
    if (lane?.state !== 'busy') throw new Error('a run was returned that is not out');
    this.#busy--;
    this.#held -= done;
    if (rest.length > 0) lane.waiting = [...rest, ...lane.waiting];
    if (park) {
      lane.state = 'parked';
      lane.due = due;
      this.#parked.add(lane);
      this.#earliestDue = Math.min(this.#earliestDue, due);
    } else if (lane.waiting.length > 0) {
      lane.state = 'ready';
      this.#ready.push(lane);
    } else this.#lanes.delete(lane.key);
  }

  #nextReady(): Lane<T> {
    const lane = this.#ready[this.#readyHead++] as Lane<T>;
    if (this.#readyHead > 1_024 && this.#readyHead * 2 > this.#ready.length) {
      this.#ready = this.#ready.slice(this.#readyHead);
      this.#readyHead = 0;
    }
    return lane;
  }

  #wake(now: number): void {
    if (now < this.#earliestDue) return;
    this.#earliestDue = Number.POSITIVE_INFINITY;
    for (const lane of this.#parked) {
      if (lane.due > now) {
        this.#earliestDue = Math.min(this.#earliestDue, lane.due);
        continue;
      }
      this.#parked.delete(lane);
      lane.state = 'ready';
      this.#ready.push(lane);
    }
  }
}

export type LanesOptions = {
  /** Items held at once. */
  readonly capacity: number;
  /** Runs out at once. */
  readonly maxBusy: number;
  /** Items in one run of one key. */
  readonly maxRun: number;
};

/** Items of one key in order, out of the lanes until they are returned. */
export type Run<T> = { readonly key: string; readonly items: readonly T[] };

type Lane<T> = { readonly key: string; state: 'ready' | 'busy' | 'parked'; waiting: T[]; due: number };
