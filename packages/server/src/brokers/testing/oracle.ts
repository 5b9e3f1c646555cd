import type { EventSource, SourceRecord } from '../event-source.ts';

/** Counts what every consumer was given, and whether each key came in order: anything may come twice, nothing may be missing or overtake. */
export class Oracle {
  readonly #seen = new Map<string, number>();
  readonly #last = new Map<string, number>();
  readonly disorder: string[] = [];
  #waiters: { readonly count: number; resolve(): void }[] = [];

  /** Ids are numbers that rise within each key. */
  got({ key, value }: SourceRecord): void {
    const { event_id: id } = JSON.parse(Buffer.from(value ?? '').toString()) as { event_id: string };
    const times = (this.#seen.get(id) ?? 0) + 1;
    this.#seen.set(id, times);
    const last = this.#last.get(key ?? '') ?? -1;
    // A first delivery must be the next of its key; what was delivered before may come again.
    if (times === 1 && Number(id) < last) this.disorder.push(`${key}: ${id} after ${last}`);
    this.#last.set(key ?? '', Math.max(last, Number(id)));
    for (const waiter of this.#waiters) if (this.#seen.size >= waiter.count) waiter.resolve();
  }

  get distinct(): number {
    return this.#seen.size;
  }

  async reached(count: number): Promise<void> {
    if (this.#seen.size < count) await new Promise<void>((resolve) => this.#waiters.push({ count, resolve }));
  }
}

/** Settles everything it is given, each batch from its end, until the source is closed. */
export async function drain(source: EventSource, oracle: Oracle): Promise<void> {
  for (;;) {
    const records = await source.pull(64);
    if (records.length === 0) return;
    for (const record of records) oracle.got(record);
    for (const record of records.toReversed()) source.settle(record, { kind: 'done' });
  }
}
