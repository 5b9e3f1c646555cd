import type { RawRecord } from '../events/record.ts';

/**
 * PORT. Where records are appended.
 *
 * - Durable: `append` resolves when every accepted record of the call would survive `kill -9` and a power cut.
 * - Atomic: all records of one call or none; on rejection nothing was appended.
 * - Order: records of one call keep their order; calls are ordered as they were made.
 * - Idempotent: a record whose `eventId` was appended to the same topic within the duplicate window is not appended again.
 * - Bounds: `maxPending` records may wait for the disk; beyond that `append` rejects at once with BROKER_BUSY.
 */
export interface EventSink {
  append(records: readonly SinkRecord[]): Promise<readonly AppendResult[]>;
}

export type SinkRecord = RawRecord & { readonly eventId: string };

export type AppendResult = { readonly status: 'accepted'; readonly position: string } | { readonly status: 'duplicate' };
