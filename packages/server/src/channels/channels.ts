import type { LiveEvent } from '../events/live-event.ts';

/**
 * PORT. One ordered, replayable channel for each (tenant, type).
 *
 * - Position: `epoch:offset`. Offsets of an epoch grow by one. A new epoch means that continuity cannot be proven.
 * - Publish is one atomic step per channel: duplicate check, next offset, history, fan-out. Resolves after all four; where subscribers are
 *   in other processes, fan-out is the sending, and what does not arrive is noticed and read from history.
 *   A redelivered event is `duplicate` and changes nothing. An event whose `version` is not above the entity's last is `stale`.
 * - Order: every subscriber sees a channel's events in offset order, each once, none skipped; a hole that the implementation
 *   cannot refill from history is reported through `onGap` and never passed over.
 * - History: bounded by count, bytes and age. `history` says openly when its start is gone.
 * - Interest: a channel is interesting while it has a subscriber and for `linger` after the last one left, so that a client in a
 *   tunnel finds what it missed. Events for other channels need not be published: one local look-up says so.
 */
export interface Channels {
  /**
   * One local look-up, no I/O. False: nobody listens or lately listened, in any process; publishing would reach nobody. True where that
   * is not certain; `publish` answers exactly. Once a subscription has resolved anywhere it is true everywhere.
   */
  interested(channel: ChannelName): boolean;
  /**
   * In the order given. Never rejects for one event's sake; rejects when the store is away, and then nothing of the call counts: all of
   * it is to be tried again, and what the store took all the same is then a `duplicate`.
   */
  publish(events: readonly LiveEvent[]): Promise<readonly PublishResult[]>;
  /**
   * Attaches a listener. `onEvents` starts with the first event after `position`, which is the channel's top at the moment of attaching.
   * Calls are synchronous with the fan-out; a listener must not throw and must not block.
   */
  subscribe(channel: ChannelName, listener: ChannelListener): Promise<ChannelSubscription>;
  /** Events after `after` in order, at most `limit` and about `maxBytes`. */
  history(channel: ChannelName, after: Position, limit: number, maxBytes: number): Promise<HistorySlice>;
  close(): Promise<void>;
}

export type ChannelName = { readonly tenant: string; readonly type: string };

export type Position = { readonly epoch: string; readonly offset: number };

export type PublishResult =
  | { readonly kind: 'published'; readonly position: Position }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'stale' }
  | { readonly kind: 'no-interest' };

export interface ChannelListener {
  onEvents(events: readonly ChannelEvent[]): void;
  /** Continuity is lost: `missed` events are gone (null where it cannot be told); what follows starts after `top`. */
  onGap(gap: { readonly top: Position; readonly missed: number | null }): void;
}

export interface ChannelSubscription {
  /** The top when the listener was attached. */
  readonly position: Position;
  close(): void;
}

export type ChannelEvent = { readonly position: Position; readonly event: LiveEvent };

export type HistorySlice = {
  readonly events: readonly ChannelEvent[];
  /** The channel's top now; the slice reaches it when its last event has this offset (or when it is empty). */
  readonly top: Position;
  /** Null: the slice continues `after` without a hole. Otherwise what came before the slice is gone; `missed` is null after a change of epoch. */
  readonly gap: { readonly missed: number | null } | null;
};
