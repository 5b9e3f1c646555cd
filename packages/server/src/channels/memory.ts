import type { LiveEvent } from '../events/live-event.ts';
import { type Clock, steadyTime, systemClock, type Timer } from '../kit/clock.ts';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { type Random, systemRandom } from '../kit/random.ts';
import { Channel, type ChannelBounds } from './channel.ts';
import { ChannelTable } from './channel-table.ts';
import type { ChannelListener, ChannelName, Channels, ChannelSubscription, HistorySlice, Position, PublishResult } from './channels.ts';
import { channelsErrors } from './errors.ts';
import type { ChannelJournal } from './journal.ts';
import { JournalWriter } from './journal-writer.ts';
import type { ChannelsMetrics } from './metrics.ts';
import { Recent } from './recent.ts';

export type MemoryChannelsOptions = ChannelBounds & {
  /** Ms for which a channel stays interesting after its last listener left. */
  readonly lingerMs: number;
  /** Bytes of history over all channels; beyond, the least recently used channels lose theirs. */
  readonly maxTotalBytes: number;
};

export const MEMORY_CHANNELS_DEFAULTS: MemoryChannelsOptions = {
  maxEvents: 1_000,
  maxBytes: 1024 * 1024,
  maxAgeMs: 600_000,
  duplicateWindow: 4_000,
  versionedEntities: 10_000,
  lingerMs: 600_000,
  maxTotalBytes: 256 * 1024 * 1024,
};

export type MemoryChannelsDeps = {
  readonly logger: Logger;
  readonly metrics: ChannelsMetrics;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Without one, epochs and history end with the process. */
  readonly journal?: ChannelJournal;
};

/** How often idle channels and old history are looked for. */
const SWEEP_MS = 5_000;
/** Channels known not to be in the journal, while it is still asked. */
const KNOWN_ABSENT = 50_000;

const DUPLICATE: PublishResult = { kind: 'duplicate' };
const STALE: PublishResult = { kind: 'stale' };
const NO_INTEREST: PublishResult = { kind: 'no-interest' };

/** The channels of one process. Publishing is synchronous up to the last listener; the promise is there for the port's sake. */
export class MemoryChannels implements Channels {
  readonly #options: MemoryChannelsOptions;
  readonly #clock: Clock;
  /** Of ages: history and interest are measured in time that passed, whatever happens to the wall clock. */
  readonly #time: () => number;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #metrics: ChannelsMetrics;
  readonly #table: ChannelTable;
  readonly #writer: JournalWriter | null;
  readonly #startedAt: number;
  readonly #absent = new Recent<true>(KNOWN_ABSENT);
  readonly #counts: Readonly<Record<PublishResult['kind'], { inc(): void }>>;
  #staged: Channel[] = [];
  #sweepTimer: Timer;
  #closed = false;

  constructor(deps: MemoryChannelsDeps, options: Partial<MemoryChannelsOptions> = {}) {
    this.#options = { ...MEMORY_CHANNELS_DEFAULTS, ...options };
    this.#clock = deps.clock ?? systemClock;
    this.#time = steadyTime(this.#clock);
    this.#random = deps.random ?? systemRandom;
    this.#logger = deps.logger;
    this.#metrics = deps.metrics;
    const child = (result: PublishResult['kind']) => deps.metrics.published.labels(result);
    this.#counts = {
      published: child('published'),
      duplicate: child('duplicate'),
      stale: child('stale'),
      'no-interest': child('no-interest'),
    };
    this.#startedAt = this.#time();
    this.#table = new ChannelTable(this.#options.maxTotalBytes, deps.metrics);
    this.#writer = deps.journal ? new JournalWriter(deps.journal, this.#clock, deps.logger, deps.metrics) : null;
    this.#sweepTimer = this.#clock.after(SWEEP_MS, () => this.#sweep());
  }

  interested(name: ChannelName): boolean {
    return !this.#closed && this.#interesting(name) !== null;
  }

  publish(events: readonly LiveEvent[]): Promise<readonly PublishResult[]> {
    if (this.#closed) return Promise.reject(new MillraceError(channelsErrors.CHANNELS_CLOSED, 'the channels are closed'));
    try {
      return Promise.resolve(this.#publish(events));
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  subscribe(name: ChannelName, listener: ChannelListener): Promise<ChannelSubscription> {
    if (this.#closed) return Promise.reject(new MillraceError(channelsErrors.CHANNELS_CLOSED, 'the channels are closed'));
    const channel = this.#open(name);
    if (channel.listeners.length === 0) {
      channel.idleSince = null;
      this.#table.busy(channel);
      this.#writer?.interest(channel);
    }
    const attached = channel.attach(listener);
    this.#metrics.listeners.inc();
    const close = (): void => this.#detach(channel, attached);
    return Promise.resolve({ position: { epoch: channel.epoch, offset: channel.history.top }, close });
  }

  history(name: ChannelName, after: Position, limit: number, maxBytes: number): Promise<HistorySlice> {
    if (this.#closed) return Promise.reject(new MillraceError(channelsErrors.CHANNELS_CLOSED, 'the channels are closed'));
    const channel = this.#open(name);
    this.#table.resized(channel, channel.expire(this.#time()));
    this.#table.touch(channel, this.#time());
    const slice = channel.slice(after, limit, maxBytes);
    if (slice.gap !== null) this.#metrics.gaps.inc({ why: slice.gap.missed === null ? 'epoch' : 'evicted' });
    return Promise.resolve(slice);
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#sweepTimer.cancel();
    const now = this.#time();
    for (const channel of this.#table.all()) {
      if (channel.listeners.length > 0) {
        // From now on nobody listens: after a planned restart the linger counts from here.
        channel.idleSince = now;
        this.#writer?.interest(channel);
      }
    }
    this.#writer?.close();
    return Promise.resolve();
  }

  #publish(events: readonly LiveEvent[]): readonly PublishResult[] {
    const now = this.#time();
    const results: PublishResult[] = [];
    for (const event of events) results.push(this.#stage(event));
    const staged = this.#staged;
    this.#staged = [];
    if (this.#writer !== null && staged.length > 0) this.#journal(this.#writer, staged, now);
    for (const channel of staged) {
      this.#table.resized(channel, channel.commit(now));
      this.#table.touch(channel, now);
    }
    // Only now: a call that the journal refused has published nothing.
    for (const { kind } of results) this.#counts[kind].inc();
    for (const channel of staged) this.#fanOut(channel);
    return results;
  }

  #stage(event: LiveEvent): PublishResult {
    const channel = this.#interesting(event);
    const outcome = channel === null ? 'no-interest' : channel.stage(event);
    if (channel === null || outcome === 'no-interest') return NO_INTEREST;
    if (outcome === 'duplicate') return DUPLICATE;
    if (outcome === 'stale') return STALE;
    if (channel.staged.length === 1) this.#staged.push(channel);
    return { kind: 'published', position: outcome };
  }

  /** The journal first: what a listener has seen must have its offset after a crash, or the offset would be given to another event. */
  #journal(writer: JournalWriter, staged: readonly Channel[], now: number): void {
    try {
      writer.events(staged, now);
    } catch (thrown) {
      for (const channel of staged) channel.unstage();
      this.#metrics.journalFailures.inc();
      const why = reasonOf(thrown);
      throw new MillraceError(channelsErrors.CHANNELS_AWAY, `the journal of the channels could not be written: ${why}`, {}, thrown);
    }
  }

  #fanOut(channel: Channel): void {
    channel.drain((thrown) => {
      this.#metrics.listenerFaults.inc();
      const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      this.#logger.error({ reason }, 'a channel listener threw during fan-out; the others were served');
    });
  }

  #detach(channel: Channel, attached: ReturnType<Channel['attach']>): void {
    if (!channel.detach(attached)) return;
    this.#metrics.listeners.dec();
    if (channel.listeners.length > 0 || this.#closed) return;
    channel.idleSince = this.#time();
    this.#table.idle(channel);
    this.#writer?.interest(channel);
  }

  /** The channel if somebody listens or lately listened, else null. */
  #interesting(name: ChannelName): Channel | null {
    const known = this.#table.get(name) ?? this.#recall(name);
    return known && this.#lingers(known) ? known : null;
  }

  #lingers(channel: Channel): boolean {
    return channel.idleSince === null || this.#time() - channel.idleSince < this.#options.lingerMs;
  }

  /** Known, or from the journal, or new. Never one whose linger is over: events passed it by, so its epoch proves nothing any more. */
  #open(name: ChannelName): Channel {
    const known = this.#table.get(name);
    if (known && this.#lingers(known)) return known;
    if (known) this.#dispose(known);
    const recalled = this.#recall(name);
    if (recalled) return recalled;
    const channel = new Channel(name, this.#random.hex(8), 0, this.#options);
    this.#add(channel, this.#time());
    this.#writer?.interest(channel);
    return channel;
  }

  #add(channel: Channel, idleSince: number): void {
    channel.idleSince = idleSince;
    this.#table.add(channel);
  }

  /**
   * From the journal, the first time a channel is touched. Only within the linger time after the start: whatever was not touched
   * by then is no longer interesting, and events may have passed it by.
   */
  #recall(name: ChannelName): Channel | null {
    if (this.#writer === null || this.#time() - this.#startedAt >= this.#options.lingerMs) return null;
    if (this.#absent.get(keyOf(name))) return null;
    const found = this.#writer.load(name);
    const idleSince = found?.idleSince ?? this.#startedAt;
    if (!found || this.#time() - idleSince >= this.#options.lingerMs) {
      this.#absent.set(keyOf(name), true);
      if (found) this.#writer.removed(name);
      return null;
    }
    const channel = new Channel(name, found.epoch, found.top, this.#options, found);
    this.#add(channel, idleSince);
    this.#table.resized(channel, channel.expire(this.#time()));
    return channel;
  }

  #sweep(): void {
    const now = this.#time();
    for (const channel of this.#table.idleSince(now - this.#options.lingerMs)) {
      this.#dispose(channel);
      this.#metrics.disposed.inc();
    }
    if (now - this.#startedAt >= this.#options.lingerMs) this.#writer?.sweep();
    this.#table.expireUntouched(now - this.#options.maxAgeMs, now);
    this.#sweepTimer = this.#clock.after(SWEEP_MS, () => this.#sweep());
  }

  #dispose(channel: Channel): void {
    this.#table.remove(channel);
    this.#writer?.withdraw(channel);
    // The journal may hold it a moment longer; its epoch must not come back.
    if (this.#writer !== null) this.#absent.set(keyOf(channel.name), true);
    this.#writer?.removed(channel.name);
  }
}

function keyOf(name: ChannelName): string {
  return `${name.type}\u0000${name.tenant}`;
}
