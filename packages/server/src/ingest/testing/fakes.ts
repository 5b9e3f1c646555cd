import type { EventSource, Settlement, SourceRecord } from '../../brokers/event-source.ts';
import type { ChannelName, Channels, PublishResult } from '../../channels/channels.ts';
import type { LiveEvent } from '../../events/live-event.ts';

/** For tests of this room only: a source that gives what it is fed and remembers settlements. */
export class FakeSource implements EventSource {
  readonly name = 'fake';
  readonly settled = new Map<string, Settlement>();
  readonly pulls: number[] = [];
  out = 0;
  maxOut = 0;
  flushed = 0;
  closed = false;
  failNextPulls = 0;
  #queue: SourceRecord[] = [];
  #wake: (() => void) | null = null;
  #waiters: { check: () => boolean; resolve: () => void }[] = [];
  #next = 1;

  /** Positions of the records, in order. */
  feed(...bodies: readonly (object | string | Uint8Array | null)[]): string[] {
    return this.feedKeyed(bodies.map((body) => ({ body })));
  }

  feedKeyed(
    records: readonly {
      readonly body: object | string | Uint8Array | null;
      readonly orderKey?: string;
      readonly topic?: string;
      readonly attempt?: number;
    }[],
  ): string[] {
    const positions = records.map(({ body, orderKey = 'k', topic = 'crm.deals', attempt = 1 }) => {
      const position = String(this.#next++);
      this.#queue.push({
        topic,
        key: null,
        headers: new Map(),
        value: bytesOf(body),
        timestamp: 1_700_000_000_000,
        position,
        orderKey,
        attempt,
      });
      return position;
    });
    this.#wake?.();
    return positions;
  }

  async open(): Promise<void> {}

  async pull(max: number): Promise<readonly SourceRecord[]> {
    this.pulls.push(max);
    if (this.failNextPulls > 0) {
      this.failNextPulls--;
      throw new Error('the broker is away');
    }
    while (this.#queue.length === 0 && !this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const batch = this.#queue.splice(0, max);
    this.out += batch.length;
    this.maxOut = Math.max(this.maxOut, this.out);
    return batch;
  }

  settle(record: SourceRecord, settlement: Settlement): void {
    if (this.settled.has(record.position)) throw new Error(`settled twice: ${record.position}`);
    this.settled.set(record.position, settlement);
    this.out--;
    this.#notify();
  }

  /** Resolves when `count` records are settled. */
  async settledCount(count: number): Promise<void> {
    await this.until(() => this.settled.size >= count);
  }

  async until(check: () => boolean): Promise<void> {
    if (!check()) await new Promise<void>((resolve) => this.#waiters.push({ check, resolve }));
  }

  async flush(): Promise<void> {
    this.flushed++;
  }

  async lag(): Promise<number> {
    return this.#queue.length + this.out;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#wake?.();
  }

  #notify(): void {
    for (const waiter of this.#waiters.filter(({ check }) => check())) {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve();
    }
  }
}

function bytesOf(body: object | string | Uint8Array | null): Uint8Array | null {
  if (body === null || body instanceof Uint8Array) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/** Publishes into an array; fails or waits when told to. */
export class FakeChannels implements Pick<Channels, 'interested' | 'publish'> {
  readonly published: LiveEvent[] = [];
  readonly calls: number[] = [];
  readonly uninteresting = new Set<string>();
  /** Failures to come; infinity is an outage. */
  failures = 0;
  failure = new Error('the store failed');
  running = 0;
  maxRunning = 0;
  #gate: Promise<void> | null = null;
  #open: (() => void) | null = null;
  #seen = new Set<string>();
  #onCall: (() => void)[] = [];

  interested({ tenant }: ChannelName): boolean {
    return !this.uninteresting.has(tenant);
  }

  /** Publishes wait until `release`. */
  hold(): void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  release(): void {
    this.#open?.();
    this.#gate = null;
  }

  async called(times: number): Promise<void> {
    while (this.calls.length < times) await new Promise<void>((resolve) => this.#onCall.push(resolve));
  }

  async publish(events: readonly LiveEvent[]): Promise<readonly PublishResult[]> {
    this.calls.push(events.length);
    for (const wake of this.#onCall.splice(0)) wake();
    this.maxRunning = Math.max(this.maxRunning, ++this.running);
    try {
      await this.#gate;
      if (this.failures > 0) {
        this.failures--;
        throw this.failure;
      }
      return events.map((event) => this.#one(event));
    } finally {
      this.running--;
    }
  }

  #one(event: LiveEvent): PublishResult {
    const id = `${event.tenant}/${event.type}/${event.id}`;
    if (this.#seen.has(id)) return { kind: 'duplicate' };
    this.#seen.add(id);
    this.published.push(event);
    return { kind: 'published', position: { epoch: 'e', offset: this.published.length } };
  }
}
