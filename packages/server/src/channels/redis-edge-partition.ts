import type { Clock, Timer } from '../kit/clock.ts';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { ChannelEvent, ChannelName, Position } from './channels.ts';
import { channelsErrors } from './errors.ts';
import type { ChannelsMetrics, RedisMetrics } from './metrics.ts';
import { type AttachedAt, EdgeChannel, type EdgeChannelPorts, type RefillPage } from './redis-edge-channel.ts';
import { type ChannelPart, decodeEvent, type EventsMessage, parseEventsMessage } from './redis-messages.ts';
import type { PartitionNames } from './redis-names.ts';
import type { RedisChannelsOptions } from './redis-options.ts';
import type { AttachReply, RedisStoreCalls } from './redis-calls.ts';
import type { RedisSubscriptions, Subscriber } from './redis-subscriptions.ts';
import { Turns } from './redis-turns.ts';

export type EdgeDeps = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: RedisMetrics;
  readonly channelsMetrics: ChannelsMetrics;
  readonly calls: RedisStoreCalls;
  readonly subscriptions: RedisSubscriptions;
};

/** Before a channel asks again after a failure. */
const RETRY_MS = 200;
/** Times that one attachment asks whether publishers know by now; each time one of their leases has run out. */
const MAX_ASKS = 20;
/** Channels that ask Redis something at one time. */
const MAX_ASKING = 32;
/** What watchers have said, kept in case their answer is faster than the question's. */
const MAX_SEEN = 1_000;

/**
 * The channels of one partition that this edge listens to, on one subscription. Messages of a partition are numbered: a hole, or a
 * number in Redis that does not arrive here, makes the partition compare every channel with Redis.
 */
export class EdgePartition implements Subscriber {
  readonly partition: PartitionNames;
  readonly channel: string;
  readonly #options: RedisChannelsOptions;
  readonly #deps: EdgeDeps;
  readonly #channels = new Map<string, EdgeChannel>();
  readonly #seen = new Map<string, number>();
  readonly #ports: EdgeChannelPorts;
  readonly #turns = new Turns(MAX_ASKING);
  #waiting = new Set<() => void>();
  #subscribed = false;
  #run: string | null = null;
  /** The number up to which everything has been heard or compared; null before Redis has been asked on this subscription. */
  #seq: number | null = null;
  /** Heard while `#seq` is null. */
  #early: { readonly first: number; last: number; whole: boolean } | null = null;
  /** What Redis had at the last look and had not arrived. */
  #due: { readonly seq: number; readonly since: number } | null = null;
  #resyncing: Promise<void> | null = null;
  #resyncAgain = false;
  #heldAt = 0;

  constructor(partition: PartitionNames, options: RedisChannelsOptions, deps: EdgeDeps) {
    this.partition = partition;
    this.channel = partition.events;
    this.#options = options;
    this.#deps = deps;
    this.#ports = this.#portsOf();
  }

  get size(): number {
    return this.#channels.size;
  }

  get channels(): Iterable<EdgeChannel> {
    return this.#channels.values();
  }

  /** Ms for which Redis has had something that has not arrived here. */
  get lagMs(): number {
    return this.#due === null ? 0 : this.#deps.clock.monotonic() - this.#due.since;
  }

  /** The caller counts itself among `users` until it leaves. */
  join(name: ChannelName, wire: string): EdgeChannel {
    let channel = this.#channels.get(wire);
    if (!channel) {
      channel = new EdgeChannel(name, wire, this.#ports);
      this.#channels.set(wire, channel);
      this.#deps.subscriptions.add(this);
    }
    channel.users += 1;
    return channel;
  }

  leave(channel: EdgeChannel): void {
    channel.users -= 1;
    if (channel.users > 0 || this.#channels.get(channel.wire) !== channel) return;
    this.#channels.delete(channel.wire);
    const attached = channel.epoch !== null;
    channel.close();
    if (attached) void this.release(channel);
  }

  /** Never rejects: what Redis does not hear of runs out by itself. */
  async release(channel: EdgeChannel): Promise<void> {
    try {
      await this.#turns.take(() => this.#deps.calls.release(this.partition, channel.wire));
    } catch (error) {
      this.#deps.logger.debug({ reason: reasonOf(error) }, 'a channel could not be released; its hold runs out');
    }
  }

  // ---- the subscription -----------------------------------------------------------------------------------------------------

  onMessage(text: string): void {
    const message = parseEventsMessage(text, (name) => this.#channels.has(name));
    if (!message) this.#deps.metrics.badMessages.inc();
    else if (message.kind === 'seen') this.#watcherHasSeen(message.run, message.watcher, message.version);
    else this.#onEvents(message);
  }

  onSubscribed(): void {
    this.#subscribed = true;
    this.#forgetNumbers();
    this.#wakeWaiting();
    void this.#resync('subscribed');
  }

  onLost(): void {
    this.#subscribed = false;
    this.#forgetNumbers();
  }

  #forgetNumbers(): void {
    this.#seq = null;
    this.#early = null;
    this.#due = null;
  }

  #onEvents({ run, seq, parts }: Extract<EventsMessage, { kind: 'events' }>): void {
    const changed = this.#run !== null && this.#run !== run;
    const missed = !changed && !this.#number(seq);
    if (this.#due && (this.#seq ?? 0) >= this.#due.seq) this.#due = null;
    for (const part of parts) this.#channels.get(part.name)?.accept(part);
    if (changed) void this.#resync('run');
    else if (missed) this.#lost();
  }

  /** False where a message before this one has not been heard. */
  #number(seq: number): boolean {
    if (this.#seq !== null) {
      const follows = seq <= this.#seq + 1;
      this.#seq = Math.max(this.#seq, seq);
      return follows;
    }
    if (this.#early === null) this.#early = { first: seq, last: seq, whole: true };
    else {
      this.#early.whole &&= seq === this.#early.last + 1;
      this.#early.last = seq;
    }
    return true;
  }

  /** A connection that has lost a message may be subscribed to nothing any more. */
  #lost(): void {
    this.#deps.metrics.resyncs.inc({ why: 'lost' });
    this.#due = null;
    this.#deps.subscriptions.distrust(this.channel);
  }

  // ---- looks at Redis -------------------------------------------------------------------------------------------------------

  /** Compares with Redis where it stands, and renews what is held when that is due. Rejects where Redis is away. */
  async check(): Promise<void> {
    if (this.#channels.size === 0 || !this.#subscribed || this.#resyncing) return;
    const due = this.#due;
    const { run, seq } = await this.#deps.calls.beat(this.partition);
    if (!this.#subscribed || this.#resyncing) return;
    if (this.#run !== run || this.#seq === null) return this.#resync('run');
    if (due && this.#seq < due.seq) return this.#lost();
    if (seq > this.#seq) this.#due ??= { seq, since: this.#deps.clock.monotonic() };
    if (this.#deps.clock.monotonic() - this.#heldAt >= this.#options.holdMs / 3) await this.#hold();
  }

  /** Brings every channel to where Redis is now, whatever has been heard. */
  async settle(): Promise<void> {
    if (this.#channels.size === 0) return;
    await this.#resync('asked');
    await Promise.all([...this.#channels.values()].map((channel) => channel.settled()));
  }

  #resync(why: 'subscribed' | 'run' | 'asked'): Promise<void> {
    this.#resyncAgain = this.#resyncing !== null;
    this.#resyncing ??= this.#compare(why).finally(() => {
      this.#resyncing = null;
    });
    return this.#resyncing;
  }

  async #compare(why: string): Promise<void> {
    do {
      this.#resyncAgain = false;
      this.#deps.metrics.resyncs.inc({ why });
      try {
        const { run, seq } = await this.#deps.calls.beat(this.partition);
        // A number of another run says nothing about this one.
        if (this.#run !== run) this.#forgetNumbers();
        this.#run = run;
        await this.#hold();
        if (!this.#subscribed) return;
        if (!this.#comparedUpTo(seq)) this.#resyncAgain = true;
      } catch (error) {
        this.#deps.logger.debug({ partition: this.partition.number, reason: reasonOf(error) }, 'a partition could not be compared');
        this.#run = null;
        return;
      }
    } while (this.#resyncAgain);
  }

  /** What came up to `seq` has been compared; what came after must have been heard without a hole, or all is compared once more. */
  #comparedUpTo(seq: number): boolean {
    const early = this.#early;
    this.#early = null;
    const whole = early === null || (early.whole && early.first <= seq + 1);
    if (whole) this.#seq = Math.max(this.#seq ?? 0, seq, early?.last ?? 0);
    if (this.#due && (this.#seq ?? 0) >= this.#due.seq) this.#due = null;
    return whole;
  }

  async #hold(): Promise<void> {
    const channels = [...this.#channels.values()].filter(({ epoch }) => epoch !== null);
    this.#heldAt = this.#deps.clock.monotonic();
    const positions = await this.#deps.calls.hold(
      this.partition,
      channels.map(({ wire }) => wire),
    );
    channels.forEach((channel, i) => channel.stands(positions[i] ?? null));
  }

  // ---- attaching ------------------------------------------------------------------------------------------------------------

  #portsOf(): EdgeChannelPorts {
    const { clock, logger, metrics, channelsMetrics, calls } = this.#deps;
    return {
      attach: (channel) => this.#attach(channel),
      refill: async ({ name, wire }, after): Promise<RefillPage> => {
        const { refillEvents, refillBytes } = this.#options;
        const { top, missed, from, payloads } = await this.#turns.take(() =>
          calls.history(this.partition, wire, after, refillEvents, refillBytes),
        );
        return { top, missed, from, events: payloads.map((payload, i) => this.#decode(payload, name, top.epoch, from + i)) };
      },
      decode: ({ payloads, first, epoch }: ChannelPart, name, from) =>
        payloads.slice(from - first).map((payload, i) => this.#decode(payload, name, epoch, from + i)),
      later: (channel, error) => {
        // The comparison after the next subscription finds it.
        if (!this.#subscribed) return;
        logger.debug({ reason: reasonOf(error) }, 'a channel could not be brought up to date; it is tried again');
        clock.after(RETRY_MS, () => channel.wake());
      },
      gapTold: (why) => metrics.gaps.inc({ why }),
      refilled: (events) => metrics.refilled.inc(events),
      fault: (thrown) => {
        channelsMetrics.listenerFaults.inc();
        const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
        logger.error({ reason }, 'a channel listener threw during fan-out; the others were served');
      },
    };
  }

  #decode(payload: string, name: ChannelName, epoch: string, offset: number): ChannelEvent | null {
    try {
      return { position: { epoch, offset }, event: decodeEvent(payload, name) };
    } catch {
      this.#deps.metrics.badMessages.inc();
      return null;
    }
  }

  async #attach({ wire }: EdgeChannel): Promise<AttachedAt> {
    if (!this.#subscribed) await this.#wait(this.#options.commandTimeoutMs);
    let first: Position | null = null;
    for (let asks = 0; asks < MAX_ASKS; asks++) {
      if (!this.#subscribed) throw new MillraceError(channelsErrors.CHANNELS_AWAY, 'Redis cannot be subscribed to at the moment');
      const reply = await this.#turns.take(() => this.#deps.calls.attach(this.partition, wire));
      // Whoever waits for the others hears what was published meanwhile by those who know.
      if (first?.epoch !== reply.top.epoch) first = reply.top;
      if (await this.#everybodyKnows(reply)) return { from: first, top: reply.top.offset };
    }
    throw new MillraceError(channelsErrors.CHANNELS_AWAY, 'publishers did not learn in time that the channel is listened to');
  }

  /** False where a wait is over without an answer: Redis is to be asked again. */
  async #everybodyKnows({ run, born, safeInMs, watchers }: AttachReply): Promise<boolean> {
    const ignorant = (): boolean => watchers.some(({ id }) => (this.#seen.get(`${run} ${id}`) ?? -1) < born);
    if (safeInMs === 0 && !ignorant()) return true;
    this.#deps.metrics.attachWaits.inc();
    if (safeInMs > 0) {
      await this.#wait(safeInMs, () => false);
      return false;
    }
    const leaseMs = Math.min(...watchers.map(({ leftMs }) => leftMs));
    await this.#wait(leaseMs + 1, () => !ignorant());
    return !ignorant();
  }

  #watcherHasSeen(run: string, watcher: string, version: number): void {
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.set(`${run} ${watcher}`, version);
    this.#wakeWaiting();
  }

  /** Until `done`, or the time is over. */
  async #wait(ms: number, done: () => boolean = () => this.#subscribed): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (done()) end();
      };
      const timer: Timer = this.#deps.clock.after(ms, end);
      this.#waiting.add(look);
      look();
    });
  }

  #wakeWaiting(): void {
    for (const look of [...this.#waiting]) look();
  }
}
