import type { LedgerEntry, LedgerRetry } from './delivery-ledger.ts';
import { SettlementWindow } from './settlement-window.ts';

/** Offsets between the first unsettled record of a partition and the last one delivered: one byte each. */
const WINDOW = 1_048_576;

/** What an offset is to the group. */
export type Fate = { readonly kind: 'seen' } | { readonly kind: 'new' } | { readonly kind: 'retry'; readonly retry: LedgerRetry };

/** A Kafka partition or a RabbitMQ stream: what of it was delivered and settled. Offsets here are below 2^53, which nobody will reach. */
export class LogPartition {
  readonly topic: string;
  readonly partition: number;
  readonly incarnation: string;
  /** The offset that the broker has for the group; -1 where it has none. */
  persisted: number;
  /** Whether the ledger holds an entry that says more than the commit. */
  inLedger: boolean;
  readonly #window: SettlementWindow;
  readonly #restored: {
    readonly top: number;
    readonly outstanding: ReadonlySet<number>;
    readonly retries: ReadonlyMap<number, LedgerRetry>;
  } | null;

  constructor(
    place: { topic: string; partition: number; incarnation: string },
    start: number,
    persisted: number,
    ledger: LedgerEntry | null,
  ) {
    this.topic = place.topic;
    this.partition = place.partition;
    this.incarnation = place.incarnation;
    this.persisted = persisted;
    this.inLedger = ledger !== null;
    this.#window = new SettlementWindow(start - 1, WINDOW);
    const { incarnation } = place;
    // An entry from after the committed offset means that somebody moved the group back: everything is wanted again.
    const usable = ledger !== null && ledger.incarnation === incarnation && ledger.committed <= start && ledger.top >= start;
    this.#restored = usable
      ? {
          top: ledger.top,
          outstanding: new Set(ledger.outstanding),
          retries: new Map(ledger.retries.map((retry) => [retry.offset, retry])),
        }
      : null;
  }

  /** The offset to commit: everything below it is settled. */
  get committed(): number {
    return this.#window.committed + 1;
  }

  /** The offset that is expected next. */
  get next(): number {
    return this.#window.top + 1;
  }

  /** Whether an offset that far ahead may be taken now; what compaction left out counts too, once nothing is out. */
  hasRoom(offset: number): boolean {
    return this.#window.committed === this.#window.top || offset - this.#window.committed <= WINDOW;
  }

  take(offset: number): Fate {
    if (offset <= this.#window.top) return { kind: 'seen' };
    this.#window.skipTo(offset - 1);
    this.#window.take(offset);
    const restored = this.#restored;
    if (restored === null || offset > restored.top) return { kind: 'new' };
    const retry = restored.retries.get(offset);
    if (retry) return { kind: 'retry', retry };
    if (restored.outstanding.has(offset)) return { kind: 'new' };
    this.#window.settle(offset);
    return { kind: 'seen' };
  }

  settle(offset: number): void {
    this.#window.settle(offset);
  }

  /** Null where the commit says everything. */
  ledgerEntry(retries: readonly LedgerRetry[]): LedgerEntry | null {
    const entry = this.fullEntry(retries);
    return retries.length === 0 && entry.outstanding.length === entry.top - entry.committed + 1 ? null : entry;
  }

  /** Where no broker keeps the committed offset. */
  fullEntry(retries: readonly LedgerRetry[] = []): LedgerEntry {
    const { committed, incarnation } = this;
    return { incarnation, committed, top: this.#window.top, outstanding: this.#window.outstanding(), retries };
  }
}
