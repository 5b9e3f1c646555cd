/** A record that waits for its next attempt, or is out again for it. */
export type Retry = {
  readonly position: number;
  due: number;
  /** The attempt that comes next (or is out). */
  attempt: number;
  readonly firstError: string;
  lastError: string;
  readonly orderKey: string;
  state: 'waiting' | 'out';
};

/** The retries of one consumer group by position, and the waiting ones by due time. Pure: knows no clock and no store. */
export class RetrySchedule {
  readonly #byPosition = new Map<number, Retry>();
  /** Sorted by due time, latest first, so that the next one is popped off the end; retries mostly come with rising due times. */
  #waiting: Retry[] = [];

  get size(): number {
    return this.#byPosition.size;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get(position: number): Retry | undefined {
    return this.#byPosition.get(position);
  }

  get nextDue(): number | null {
    return this.#waiting.at(-1)?.due ?? null;
  }

  wait(retry: Retry): void {
    retry.state = 'waiting';
    this.#byPosition.set(retry.position, retry);
    this.#waiting.splice(this.#slot(retry), 0, retry);
  }

  /** Those due by `now`, the earliest first, in order of position where equal; they count as out. */
  takeDue(now: number): readonly Retry[] {
    const due: Retry[] = [];
    for (let next = this.#waiting.at(-1); next && next.due <= now; next = this.#waiting.at(-1)) {
      this.#waiting.pop();
      next.state = 'out';
      due.push(next);
    }
    return due;
  }

  delete(position: number): void {
    this.#byPosition.delete(position);
  }

  #slot(retry: Retry): number {
    let low = 0;
    let high = this.#waiting.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#waiting[middle];
      if (other && (other.due > retry.due || (other.due === retry.due && other.position > retry.position))) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
