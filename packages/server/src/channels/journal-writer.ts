import type { Clock, Timer } from '../kit/clock.ts';
import { reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { Channel } from './channel.ts';
import type { ChannelName } from './channels.ts';
import type { ChannelJournal, JournalledChannel, JournalledEvent, JournalledInterest } from './journal.ts';
import type { ChannelsMetrics } from './metrics.ts';

/** Interest and disposal travel with the next events, or after this many ms: a storm of subscriptions is a few transactions. */
const INTEREST_DELAY_MS = 20;
const SWEEP_AT_ONCE = 200;

/** Collects what the journal must know. A kill before interest was written costs a channel without events a new epoch: an open gap. */
export class JournalWriter {
  readonly #journal: ChannelJournal;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: ChannelsMetrics;
  #interest = new Map<Channel, JournalledInterest>();
  #removed: ChannelName[] = [];
  #timer: Timer | null = null;
  #swept = false;

  constructor(journal: ChannelJournal, clock: Clock, logger: Logger, metrics: ChannelsMetrics) {
    this.#journal = journal;
    this.#clock = clock;
    this.#logger = logger;
    this.#metrics = metrics;
  }

  load(name: ChannelName): JournalledChannel | null {
    const found = this.#journal.load(name);
    if (found) this.#metrics.journalLoads.inc();
    return found;
  }

  interest(channel: Channel): void {
    this.#interest.set(channel, { name: channel.name, epoch: channel.epoch, idleSince: channel.idleSince });
    this.#later();
  }

  /** What was to be said of a channel that is gone. */
  withdraw(channel: Channel): void {
    this.#interest.delete(channel);
  }

  removed(name: ChannelName): void {
    this.#removed.push(name);
    this.#later();
  }

  /** Some of the channels of earlier runs that nobody came back for. */
  sweep(): void {
    if (this.#swept) return;
    try {
      this.#swept = !this.#journal.sweep(SWEEP_AT_ONCE);
    } catch (thrown) {
      this.#logger.warn({ reason: reasonOf(thrown) }, 'the journal could not be swept; tried again');
    }
  }

  /** Throws where the journal could not be written; nothing is forgotten then. */
  events(staged: readonly Channel[], at: number): void {
    const events: JournalledEvent[] = [];
    for (const channel of staged) for (const entry of channel.staged) events.push({ name: channel.name, entry, at });
    this.#write(events);
  }

  close(): void {
    this.#timer?.cancel();
    this.#flush();
    this.#journal.close();
  }

  #write(events: readonly JournalledEvent[]): void {
    this.#journal.write({ channels: [...this.#interest.values()], events, removed: this.#removed });
    this.#interest.clear();
    this.#removed = [];
  }

  #later(): void {
    this.#timer ??= this.#clock.after(INTEREST_DELAY_MS, () => {
      this.#timer = null;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#interest.size === 0 && this.#removed.length === 0) return;
    try {
      this.#write([]);
    } catch (thrown) {
      this.#logger.error({ reason: reasonOf(thrown) }, 'interest could not be journalled; it goes with the next events');
    }
  }
}
