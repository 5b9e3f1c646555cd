import type { Channel, Evicted } from './channel.ts';
import type { ChannelName } from './channels.ts';
import type { EvictionReason } from './history.ts';
import type { ChannelsMetrics } from './metrics.ts';

/**
 * All channels of the process: by name, by last use where they have history (for the bound on total bytes) and, of those without listeners, by the time
 * the last one left.
 */
export class ChannelTable {
  readonly #byType = new Map<string, Map<string, Channel>>();
  readonly #idle = new Set<Channel>();
  readonly #maxTotalBytes: number;
  readonly #metrics: ChannelsMetrics;
  #newest: Channel | null = null;
  #oldest: Channel | null = null;
  #channels = 0;
  #bytes = 0;
  #events = 0;

  constructor(maxTotalBytes: number, metrics: ChannelsMetrics) {
    this.#maxTotalBytes = maxTotalBytes;
    this.#metrics = metrics;
  }

  /** Two look-ups and no joined key: this is called for every event. */
  get(name: ChannelName): Channel | undefined {
    return this.#byType.get(name.type)?.get(name.tenant);
  }

  *all(): Iterable<Channel> {
    for (const tenants of this.#byType.values()) yield* tenants.values();
  }

  /** New channels are idle until `busy` says otherwise. */
  add(channel: Channel): void {
    const { type, tenant } = channel.name;
    const tenants = this.#byType.get(type);
    if (tenants) tenants.set(tenant, channel);
    else this.#byType.set(type, new Map([[tenant, channel]]));
    this.#idle.add(channel);
    this.#channels += 1;
    this.#metrics.channels.set(this.#channels);
  }

  remove(channel: Channel): void {
    const { type, tenant } = channel.name;
    const tenants = this.#byType.get(type);
    if (tenants?.get(tenant) !== channel) return;
    tenants.delete(tenant);
    if (tenants.size === 0) this.#byType.delete(type);
    this.#idle.delete(channel);
    this.#clear(channel, 'disposed');
    this.#channels -= 1;
    this.#metrics.channels.set(this.#channels);
  }

  busy(channel: Channel): void {
    this.#idle.delete(channel);
  }

  idle(channel: Channel): void {
    this.#idle.delete(channel);
    this.#idle.add(channel);
  }

  /** Channels whose last listener left at `cutoff` or before; about in that order, so that a sweep looks at few others. */
  *idleSince(cutoff: number): Iterable<Channel> {
    for (const channel of this.#idle) {
      if (channel.idleSince !== null && channel.idleSince > cutoff) return;
      yield channel;
    }
  }

  touch(channel: Channel, now: number): void {
    channel.touchedAt = now;
    if (!channel.linked || this.#newest === channel) return;
    this.#unlink(channel);
    this.#link(channel);
  }

  /** The history of a channel has changed: keeps the totals, and the bound on them. */
  resized(channel: Channel, evicted: Evicted): void {
    this.#recount(channel);
    for (const why of ['count', 'bytes', 'age'] as const) if (evicted[why]) this.#metrics.evicted.inc({ why }, evicted[why]);
    while (this.#bytes > this.#maxTotalBytes && this.#oldest !== null) {
      // The one that grows goes last, and then wholly too: the bound is a bound.
      const victim = this.#oldest === channel ? (channel.newer ?? channel) : this.#oldest;
      this.#clear(victim, 'global');
    }
    this.#show();
  }

  /** History of channels that nobody has used since `cutoff`; those in use trim themselves. */
  expireUntouched(cutoff: number, now: number): void {
    for (let channel = this.#oldest; channel !== null && channel.touchedAt <= cutoff;) {
      const next = channel.newer;
      this.resized(channel, channel.expire(now));
      channel = next;
    }
  }

  #clear(channel: Channel, why: EvictionReason): void {
    if (channel.history.count > 0) this.#metrics.evicted.inc({ why }, channel.history.count);
    channel.history.clear();
    this.#recount(channel);
    this.#show();
  }

  #show(): void {
    this.#metrics.historyBytes.set(this.#bytes);
    this.#metrics.historyEvents.set(this.#events);
  }

  #recount(channel: Channel): void {
    const { bytes, count } = channel.history;
    this.#bytes += bytes - channel.countedBytes;
    this.#events += count - channel.countedEvents;
    channel.countedBytes = bytes;
    channel.countedEvents = count;
    if (count > 0 && !channel.linked) this.#link(channel);
    else if (count === 0 && channel.linked) this.#unlink(channel);
  }

  #link(channel: Channel): void {
    channel.linked = true;
    channel.older = this.#newest;
    channel.newer = null;
    if (this.#newest) this.#newest.newer = channel;
    this.#newest = channel;
    this.#oldest ??= channel;
  }

  #unlink(channel: Channel): void {
    channel.linked = false;
    if (channel.older) channel.older.newer = channel.newer;
    else if (this.#oldest === channel) this.#oldest = channel.newer;
    if (channel.newer) channel.newer.older = channel.older;
    else if (this.#newest === channel) this.#newest = channel.older;
    channel.newer = null;
    channel.older = null;
  }
}
