import type { RawRecord } from '../events/record.ts';

/**
 * PORT. Where records come from. Fits an offset log (embedded, Kafka) and per-message acknowledgement (RabbitMQ) alike.
 *
 * - Delivery: at least once. A record whose settlement did not become durable is delivered again, after a restart too.
 * - Order: records with the same `orderKey` come in the order they were appended; nothing is promised across keys.
 * - Settlement: every pulled record is settled exactly once, in any order. An offset log commits the highest contiguous
 *   position, a queue acknowledges each. `settle` returns at once; `flush` resolves when all settlements so far are durable, and
 *   rejects where the broker does not take them in time: they are tried again, and a crash before that redelivers.
 * - Ownership: a broker may give a record that is out to another consumer (a rebalance, a lost connection). The source then forgets it, a
 *   settlement of the old copy counts for nothing, and whoever owns it now is delivered it again. So a record is known by the object that
 *   `pull` gave, and by its position only to people.
 * - Bounds: never more than `maxUnsettled` records are out; `pull` waits while they are (back-pressure reaches the broker).
 * - Retry: the record comes back no earlier than `at` with `attempt` raised. Until then the caller holds back later records of its key.
 *   Logs keep due time and attempt over a restart. A queue has nowhere to keep them: there the record comes at once, as attempt 1.
 * - Failure: a broker that is away is waited for inside; `pull` rejects only where a person has to decide (BROKER_OFFSET_JUMP), again at
 *   every call until that is over.
 */
export interface EventSource {
  /** For metrics and logs: `embedded`, `kafka:main`. */
  readonly name: string;
  open(): Promise<void>;
  /** 1 to `max` records; waits until there is one. Empty only after `close`. */
  pull(max: number): Promise<readonly SourceRecord[]>;
  settle(record: SourceRecord, settlement: Settlement): void;
  flush(): Promise<void>;
  /** Records appended and not yet settled, for the lag metric; a foreign broker may count a moment behind. */
  lag(): Promise<number>;
  /** Stops delivering, ends a waiting `pull` with [], makes settlements durable. Records still out are delivered again at the next start. */
  close(): Promise<void>;
}

export type SourceRecord = RawRecord & {
  /** Opaque to the caller, printable: `42` or `crm.deals/3/1047`. Names the record in logs, dead letters and `events tail`. */
  readonly position: string;
  /** Records that must stay in order share it: the key, or else the position's partition. Never empty. */
  readonly orderKey: string;
  /** 1 for the first delivery. */
  readonly attempt: number;
};

export type Settlement =
  | { readonly kind: 'done' }
  | { readonly kind: 'retry'; readonly at: number; readonly code: string; readonly reason: string }
  /** The source (or the dead-letter store beside it) keeps raw bytes, headers, reason, first and last error before the record counts as settled. */
  | {
      readonly kind: 'dead';
      readonly code: string;
      readonly reason: string;
      /** Where the caller retried by itself: how often it tried in all, and what went wrong first. */
      readonly attempts?: number;
      readonly firstError?: string;
    };
