import type { ChannelEvent, ChannelName } from './channels.ts';

/**
 * PORT. Keeps what a process needs to go on with its channels after kill -9: epoch, offsets, history, who was listened to.
 *
 * - Synchronous: a publish call is one `write`, in one transaction, before anybody hears of the events.
 * - Survives a kill of the process. A power cut may take the last writes back; `load` then gives null for every channel written since,
 *   so that the channel starts a new epoch: offsets are never used twice for different events within one epoch.
 * - `load` costs the one channel asked for; opening costs nothing per channel.
 */
export interface ChannelJournal {
  /** Null where nothing is known, or nothing that continuity could be proven from. */
  load(name: ChannelName): JournalledChannel | null;
  /** All of it or, when it throws, nothing. */
  write(batch: JournalBatch): void;
  /** Removes up to `limit` channels that were neither loaded nor written since the opening; true while there may be more. */
  sweep(limit: number): boolean;
  /** Makes everything survive a power cut and marks the end as clean. */
  close(): void;
}

export type JournalledChannel = {
  readonly epoch: string;
  readonly top: number;
  /** Ascending, without holes, ending with `top`; may be empty. */
  readonly events: readonly { readonly entry: ChannelEvent; readonly at: number }[];
  /** Event ids older than `events`, ascending, for the duplicate check. */
  readonly olderIds: readonly string[];
  /** When the last listener left, ms since the epoch; null: it was listened to until the process ended. */
  readonly idleSince: number | null;
};

export type JournalBatch = {
  /** New channels and changes of interest, before events. */
  readonly channels: readonly JournalledInterest[];
  readonly events: readonly JournalledEvent[];
  /** Disposed of: everything about them goes. */
  readonly removed: readonly ChannelName[];
};

export type JournalledInterest = { readonly name: ChannelName; readonly epoch: string; readonly idleSince: number | null };
export type JournalledEvent = { readonly name: ChannelName; readonly entry: ChannelEvent; readonly at: number };
