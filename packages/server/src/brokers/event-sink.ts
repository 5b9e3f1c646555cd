import type { RawRecord } from '../events/record.ts';

/**
 * PORT. Where records are appended.
 *
 * - Durable: `append` resolves when every accepted record of the call would survive `kill -9` and a power cut.
 * - Atomic, where `atomic`: all records of one call or none; on rejection nothing was appended. Otherwise a rejected call may have appended
 *   some, and which ones is not known.
 * - Order: records of one key keep their order, within a call and over calls as they were made.
 * - Idempotent, where `detectsDuplicates`: a record whose `eventId` was appended to the same topic within the duplicate window is not
 *   appended again. Otherwise it is, and the duplicate check of its channel (by tenant, type and event id) absorbs it: other readers of the
 *   broker see it twice.
 *   Either way a caller that was not answered sends the same call again.
 * - Bounds: `maxPending` records may wait; beyond that `append` rejects at once with BROKER_BUSY, and nothing of the call was appended.
 */
export interface EventSink {
  readonly guarantees: SinkGuarantees;
  append(records: readonly SinkRecord[]): Promise<readonly AppendResult[]>;
}

export type SinkRecord = RawRecord & { readonly eventId: string };

export type AppendResult = { readonly status: 'accepted'; readonly position: string } | { readonly status: 'duplicate' };

/** What the store behind a sink can hold beyond durability and order. A foreign broker holds neither. */
export type SinkGuarantees = { readonly atomic: boolean; readonly detectsDuplicates: boolean };
