import type { LiveAction } from '../events/live-type.ts';
import type { Position } from '../channels/channels.ts';

/** What became of one event, or of a record that is none. */
export type TraceEntry = {
  /** Grows by one with every entry of this process. */
  readonly seq: number;
  /** Ms since the epoch. */
  readonly time: number;
  readonly topic: string;
  /** Of the record in its source. */
  readonly position: string;
  readonly outcome: TraceOutcome;
  /** Of a reject or a retry. */
  readonly code: string | null;
  readonly reason: string | null;
  readonly tenant: string | null;
  readonly type: string | null;
  readonly key: string | null;
  readonly action: LiveAction | null;
  readonly id: string | null;
  /** When the event happened, RFC 3339. */
  readonly at: string | null;
  /** In the channel, where it was published. */
  readonly channel: Position | null;
};

export type TraceOutcome = 'published' | 'duplicate' | 'stale' | 'no-interest' | 'dropped' | 'rejected' | 'retry';

export type TraceBatch = {
  readonly entries: readonly TraceEntry[];
  /** Entries that this listener was too slow for, before these. */
  readonly skipped: number;
};

export type TraceOptions = {
  /** Entries kept for whoever asks later. */
  readonly capacity: number;
  /** Entries that may wait for one listener. */
  readonly listenerCapacity: number;
  /** Listeners at once; a further one is refused. */
  readonly maxListeners: number;
};

export const TRACE_DEFAULTS: TraceOptions = { capacity: 1_000, listenerCapacity: 5_000, maxListeners: 32 };

/**
 * The last outcomes, for `millrace events tail` and the console. Recording never waits and never fails: a full ring forgets its
 * oldest entry, a slow listener is told how many it missed.
 */
export class EventTrace {
  readonly #options: TraceOptions;
  readonly #ring: TraceEntry[] = [];
  readonly #listeners = new Set<TraceListener>();
  #seq = 0;
  #skipped = 0;

  constructor(options: Partial<TraceOptions> = {}) {
    this.#options = { ...TRACE_DEFAULTS, ...options };
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Entries that listeners were too slow for, over all listeners so far. */
  get skipped(): number {
    return this.#skipped;
  }

  record(entry: Omit<TraceEntry, 'seq'>): void {
    const kept: TraceEntry = { seq: ++this.#seq, ...entry };
    this.#ring[(this.#seq - 1) % this.#options.capacity] = kept;
    for (const listener of this.#listeners) if (!listener.push(kept)) this.#skipped++;
  }

  /** The newest `count` entries, oldest first. */
  recent(count: number): readonly TraceEntry[] {
    const { capacity } = this.#options;
    const size = Math.min(count, this.#ring.length);
    const entries: TraceEntry[] = [];
    for (let seq = this.#seq - size + 1; seq <= this.#seq; seq++) {
      const entry = this.#ring[(seq - 1) % capacity];
      if (entry) entries.push(entry);
    }
    return entries;
  }

  /** Starts with the newest `backlog` entries. Null where `maxListeners` are there already. Close it, or leave the loop over it. */
  subscribe(backlog = 0): TraceSubscription | null {
    if (this.#listeners.size >= this.#options.maxListeners) return null;
    const listener = new TraceListener(this.#options.listenerCapacity, () => this.#listeners.delete(listener));
    for (const entry of this.recent(backlog)) listener.push(entry);
    this.#listeners.add(listener);
    return listener;
  }

  /** Ends every subscription. */
  close(): void {
    for (const listener of this.#listeners) listener.close();
  }
}

export interface TraceSubscription extends AsyncIterable<TraceBatch> {
  /** Entries since the last call, at least one unless it was closed; null after `close`. One call at a time. */
  next(): Promise<TraceBatch | null>;
  close(): void;
}

class TraceListener implements TraceSubscription {
  readonly #capacity: number;
  readonly #onClose: () => void;
  #waiting: TraceEntry[] = [];
  #skipped = 0;
  #closed = false;
  #wake: (() => void) | null = null;

  constructor(capacity: number, onClose: () => void) {
    this.#capacity = capacity;
    this.#onClose = onClose;
  }

  /** False where the entry had to be skipped. */
  push(entry: TraceEntry): boolean {
    if (this.#waiting.length >= this.#capacity) {
      this.#skipped++;
      return false;
    }
    this.#waiting.push(entry);
    this.#wake?.();
    return true;
  }

  async next(): Promise<TraceBatch | null> {
    while (this.#waiting.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
    if (this.#waiting.length === 0) return null;
    const batch: TraceBatch = { entries: this.#waiting, skipped: this.#skipped };
    this.#waiting = [];
    this.#skipped = 0;
    return batch;
  }

  close(): void {
    this.#closed = true;
    this.#onClose();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TraceBatch, void, void> {
    try {
      for (let batch = await this.next(); batch; batch = await this.next()) yield batch;
    } finally {
      this.close();
    }
  }
}
