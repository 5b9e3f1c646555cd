import type { LiveEvent } from '../events/live-event.ts';
import type { ChannelEvent, ChannelListener, ChannelName, HistorySlice, Position } from './channels.ts';
import { type EvictionReason, History } from './history.ts';
import type { JournalledChannel } from './journal.ts';
import { Recent } from './recent.ts';

export type ChannelBounds = {
  /** History of one channel. */
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** Event ids remembered per channel; at least `maxEvents`, up to twice as many. */
  readonly duplicateWindow: number;
  /** Entities whose last version is remembered per channel, up to twice as many. */
  readonly versionedEntities: number;
};

export type Attached = { readonly listener: ChannelListener; readonly after: number; closed: boolean };

/** Events that left history in one step, by bound. */
export type Evicted = Readonly<Partial<Record<EvictionReason, number>>>;

const NOTHING: Evicted = {};
const NO_EVENTS: readonly ChannelEvent[] = [];

/**
 * One channel. Publishing has two halves, so that a journal can come between them: `stage` decides and reserves the offset,
 * `commit` makes it so, `unstage` forgets it. Invariant: staged events are never visible, in history or to a listener.
 */
export class Channel {
  readonly name: ChannelName;
  readonly epoch: string;
  readonly history: History;
  readonly #bounds: ChannelBounds;
  readonly #ids: Recent<true>;
  readonly #versions: Recent<number>;
  /** Replaced, never changed, so that a fan-out in progress goes on over the listeners that it began with. */
  listeners: readonly Attached[] = [];
  idleSince: number | null = null;
  staged: ChannelEvent[] = [];
  /** Versions before staging, for `unstage`. */
  #before: { readonly key: string; readonly version: number | undefined }[] = [];
  #queue: ChannelEvent[] = [];
  #draining = false;
  /** Neighbours by use, kept by `ChannelTable` while there is history. */
  linked = false;
  newer: Channel | null = null;
  older: Channel | null = null;
  touchedAt = 0;
  /** What `ChannelTable` has added to its totals for this channel. */
  countedBytes = 0;
  countedEvents = 0;

  constructor(name: ChannelName, epoch: string, top: number, bounds: ChannelBounds, journalled: JournalledChannel | null = null) {
    this.name = { tenant: name.tenant, type: name.type };
    this.epoch = epoch;
    this.#bounds = bounds;
    this.#ids = new Recent(Math.max(bounds.duplicateWindow, bounds.maxEvents));
    this.#versions = new Recent(bounds.versionedEntities);
    this.history = new History(journalled ? top - journalled.events.length : top);
    if (journalled) this.#restore(journalled);
  }

  /** The offset it will have, or why it will have none. */
  stage(event: LiveEvent): Position | 'duplicate' | 'stale' {
    if (this.#ids.get(event.id)) return 'duplicate';
    if (event.version !== null && event.key !== null) {
      const last = this.#versions.get(event.key);
      if (last !== undefined && event.version <= last) return 'stale';
      this.#before.push({ key: event.key, version: last });
      this.#versions.set(event.key, event.version);
    }
    this.#ids.set(event.id, true);
    const position = { epoch: this.epoch, offset: this.history.top + this.staged.length + 1 };
    this.staged.push({ position, event });
    return position;
  }

  /** History has the staged events and the fan-out queue too. */
  commit(now: number): Evicted {
    for (const entry of this.staged) {
      this.history.push(entry, now);
      this.#queue.push(entry);
    }
    this.staged = [];
    if (this.#before.length > 0) this.#before = [];
    return this.expire(now);
  }

  unstage(): void {
    for (const { event } of this.staged) this.#ids.undo(event.id, undefined);
    for (const { key, version } of this.#before.reverse()) this.#versions.undo(key, version);
    this.staged = [];
    this.#before = [];
  }

  /**
   * Calls the listeners with what is queued. A listener that publishes to this channel only adds to the queue: the loop that is already
   * running serves it after every listener has had the events before it. That keeps one order for all.
   */
  drain(fault: (thrown: unknown) => void): void {
    if (this.#draining) return;
    this.#draining = true;
    while (this.#queue.length > 0) {
      const events = this.#queue;
      this.#queue = [];
      for (const attached of this.listeners) deliver(attached, events, fault);
    }
    this.#draining = false;
  }

  attach(listener: ChannelListener): Attached {
    const attached: Attached = { listener, after: this.history.top, closed: false };
    this.listeners = [...this.listeners, attached];
    return attached;
  }

  /** False where it was closed before. */
  detach(attached: Attached): boolean {
    if (attached.closed) return false;
    attached.closed = true;
    this.listeners = this.listeners.filter((other) => other !== attached);
    return true;
  }

  /** Applies the bounds on count, bytes and age. */
  expire(now: number): Evicted {
    const { history } = this;
    const { maxEvents, maxBytes, maxAgeMs } = this.#bounds;
    if (history.count <= maxEvents && history.bytes <= maxBytes && now - history.oldestAt < maxAgeMs) return NOTHING;
    const evicted = { count: 0, bytes: 0, age: 0 };
    while (history.count > maxEvents) {
      history.shift();
      evicted.count += 1;
    }
    while (history.bytes > maxBytes) {
      history.shift();
      evicted.bytes += 1;
    }
    while (now - history.oldestAt >= maxAgeMs) {
      history.shift();
      evicted.age += 1;
    }
    return evicted;
  }

  slice(after: Position, limit: number, maxBytes: number): HistorySlice {
    const { history } = this;
    const top: Position = { epoch: this.epoch, offset: history.top };
    // A position above the top was never given out in this epoch, so nothing can be proven from it either.
    const provable = after.epoch === this.epoch && after.offset <= history.top && after.offset >= 0;
    const from = provable ? Math.max(after.offset + 1, history.first) : history.first;
    const missed = from - after.offset - 1;
    const gap = provable ? (missed > 0 ? { missed } : null) : { missed: null };
    return { events: from > history.top ? NO_EVENTS : this.#collect(from, limit, maxBytes), top, gap };
  }

  #collect(from: number, limit: number, maxBytes: number): readonly ChannelEvent[] {
    const events: ChannelEvent[] = [];
    let bytes = 0;
    for (let offset = from; events.length < limit; offset++) {
      const entry = this.history.at(offset);
      if (!entry || (events.length > 0 && bytes + entry.event.bytes > maxBytes)) break;
      bytes += entry.event.bytes;
      events.push(entry);
    }
    return events;
  }

  #restore(journalled: JournalledChannel): void {
    for (const id of journalled.olderIds) this.#ids.set(id, true);
    for (const { entry, at } of journalled.events) {
      const { event } = entry;
      this.history.push(entry, at);
      this.#ids.set(event.id, true);
      if (event.version !== null && event.key !== null) this.#versions.set(event.key, event.version);
    }
  }
}

function deliver(attached: Attached, events: readonly ChannelEvent[], fault: (thrown: unknown) => void): void {
  if (attached.closed) return;
  const first = events[0]?.position.offset ?? 0;
  // Attached during a fan-out: what was queued before it is behind its position.
  const due = first > attached.after ? events : events.filter((entry) => entry.position.offset > attached.after);
  if (due.length === 0) return;
  try {
    attached.listener.onEvents(due);
  } catch (thrown) {
    fault(thrown);
  }
}
