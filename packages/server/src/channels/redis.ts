import type { LiveEvent } from '../events/live-event.ts';
import { type Clock, systemClock, type Timer } from '../kit/clock.ts';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { type Random, systemRandom } from '../kit/random.ts';
import { within } from '../kit/patience.ts';
import type {
  ChannelEvent,
  ChannelListener,
  ChannelName,
  Channels,
  ChannelSubscription,
  HistorySlice,
  Position,
  PublishResult,
} from './channels.ts';
import { channelsErrors } from './errors.ts';
import type { ChannelsMetrics, RedisMetrics } from './metrics.ts';
import { RedisStoreCalls } from './redis-calls.ts';
import { EdgePartition } from './redis-edge-partition.ts';
import { decodeEvent } from './redis-messages.ts';
import { partitionNames, partitionOf, type PartitionNames, wireName } from './redis-names.ts';
import { type NodesDeps, RedisNodes } from './redis-nodes.ts';
import { REDIS_CHANNELS_DEFAULTS, type RedisChannelsOptions, type RedisStore } from './redis-options.ts';
import { RedisPublisher } from './redis-publisher.ts';
import { RedisSubscriptions } from './redis-subscriptions.ts';
import { PartitionWatch } from './redis-watch.ts';

export type RedisChannelsDeps = {
  readonly logger: Logger;
  readonly metrics: ChannelsMetrics;
  readonly redisMetrics: RedisMetrics;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Ms since the epoch in the place of Redis's own time. For tests, which move time. */
  readonly storeTime?: () => number;
  /** Opens connections; for tests, which bring faults in. */
  readonly connect?: NodesDeps['connect'];
};

/** After `close`, releases that Redis has not confirmed are not waited for any longer. */
const CLOSE_MS = 2_000;

/** What a server's settings cost; docs/redis.md. */
const WARNINGS: ReadonlyMap<string, string> = new Map([
  ['evicts', 'Redis may throw keys away (maxmemory-policy): subscribers then get gaps; set noeviction'],
  ['unguarded', 'a Redis master has replicas but no min-replicas-to-write: in a fail-over it may take events that nobody will hear'],
]);

/**
 * Channels in Redis 7 (or Valkey), shared by any number of processes: some publish, some have subscribers, most do both. Everything that
 * must be one step is one script (`lua/`); DESIGN.md says what is proven and what a gap covers.
 */
export class RedisChannels implements Channels {
  readonly #options: RedisChannelsOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: ChannelsMetrics;
  readonly #redisMetrics: RedisMetrics;
  readonly #nodes: RedisNodes;
  readonly #calls: RedisStoreCalls;
  readonly #subscriptions: RedisSubscriptions;
  readonly #publisher: RedisPublisher;
  readonly #names: readonly PartitionNames[];
  readonly #edges: readonly EdgePartition[];
  readonly #watches: readonly PartitionWatch[];
  #timer: Timer | null = null;
  #away = false;
  #closed = false;

  private constructor(options: RedisChannelsOptions, deps: RedisChannelsDeps) {
    const { logger, metrics, redisMetrics, clock = systemClock, random = systemRandom } = deps;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#redisMetrics = redisMetrics;
    const connect = deps.connect ? { connect: deps.connect } : {};
    this.#nodes = new RedisNodes(options, { clock, logger, metrics: redisMetrics, ...connect });
    this.#subscriptions = new RedisSubscriptions(this.#nodes, clock, logger);
    const time = deps.storeTime ? { storeTime: deps.storeTime } : {};
    this.#calls = new RedisStoreCalls(options, { nodes: this.#nodes, random, ...time });
    this.#names = Array.from({ length: options.partitions }, (_, number) => partitionNames(options.keyPrefix, number));
    this.#publisher = new RedisPublisher(options, this.#calls, this.#names);
    const parts = {
      clock,
      logger,
      metrics: redisMetrics,
      channelsMetrics: metrics,
      calls: this.#calls,
      subscriptions: this.#subscriptions,
    };
    this.#edges = this.#names.map((names) => new EdgePartition(names, options, parts));
    this.#watches = options.publishes ? this.#names.map((names) => new PartitionWatch(names, options, parts)) : [];
  }

  /** Rejects with CHANNELS_AWAY, CHANNELS_STORE_REFUSED, CHANNELS_LAYOUT_DIFFERS; nothing is then left open. */
  static async open(
    options: Partial<RedisChannelsOptions> & { readonly store: RedisStore },
    deps: RedisChannelsDeps,
  ): Promise<RedisChannels> {
    const channels = new RedisChannels({ ...REDIS_CHANNELS_DEFAULTS, ...options }, deps);
    try {
      await channels.#begin();
      return channels;
    } catch (error) {
      await channels.close();
      throw error;
    }
  }

  interested(name: ChannelName): boolean {
    if (this.#closed) return false;
    const wire = wireName(name);
    return this.#watches[partitionOf(wire, this.#options.partitions)]?.picture.includes(wire) ?? true;
  }

  async publish(events: readonly LiveEvent[]): Promise<readonly PublishResult[]> {
    if (this.#closed) throw closedError();
    const results = await this.#publisher.publish(events);
    for (const { kind } of results) this.#metrics.published.inc({ result: kind });
    return results;
  }

  async subscribe(name: ChannelName, listener: ChannelListener): Promise<ChannelSubscription> {
    if (this.#closed) throw closedError();
    const wire = wireName(name);
    const edge = this.#edgeOf(wire);
    const channel = edge.join(name, wire);
    try {
      await channel.opened();
      if (this.#closed) throw closedError();
    } catch (error) {
      edge.leave(channel);
      throw error;
    }
    const { position, close } = channel.listen(listener);
    this.#metrics.listeners.inc();
    return {
      position,
      close: () => {
        if (!close()) return;
        this.#metrics.listeners.dec();
        edge.leave(channel);
      },
    };
  }

  async history(name: ChannelName, after: Position, limit: number, maxBytes: number): Promise<HistorySlice> {
    if (this.#closed) throw closedError();
    const wire = wireName(name);
    const { top, missed, from, payloads } = await this.#calls.history(this.#edgeOf(wire).partition, wire, after, limit, maxBytes);
    const gap = missed === 0 ? null : { missed };
    if (gap) this.#metrics.gaps.inc({ why: missed === null ? 'epoch' : 'evicted' });
    const events: ChannelEvent[] = [];
    for (const [i, payload] of payloads.entries()) {
      try {
        events.push({ position: { epoch: top.epoch, offset: from + i }, event: decodeEvent(payload, name) });
      } catch {
        // Left out: whoever reads sees the hole and tells it.
        this.#redisMetrics.badMessages.inc();
      }
    }
    return { events, top, gap };
  }

  /** Brings every channel here to where it stands in Redis, whatever has been heard. What `check` does by itself when something is missing. */
  async settle(): Promise<void> {
    await Promise.all([...this.#watches.map((watch) => watch.renew()), ...this.#edges.map((edge) => edge.settle())]);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    const releases = this.#edges.flatMap((edge) => [...edge.channels].map((channel) => (channel.close(), edge.release(channel))));
    await within(this.#clock, CLOSE_MS, Promise.all(releases));
    this.#subscriptions.close();
    this.#nodes.close();
  }

  async #begin(): Promise<void> {
    await this.#nodes.refresh();
    // Every partition, so that a wrong layout, a missing right or a server that is away is found now.
    const beats = await Promise.all(this.#names.map((names) => this.#calls.beat(names, true)));
    for (const wrong of new Set(beats.flatMap((beat) => beat.wrong))) this.#logger.warn({ wrong }, WARNINGS.get(wrong) ?? wrong);
    for (const watch of this.#watches) this.#subscriptions.add(watch);
    this.#arm();
    await within(this.#clock, this.#options.commandTimeoutMs, Promise.all(this.#watches.map(({ asked }) => asked)));
  }

  #arm(): void {
    // A look that takes longer than the pause is not overtaken by the next.
    this.#timer = this.#clock.after(this.#options.checkMs, () => {
      void this.#check().then(() => {
        if (!this.#closed) this.#arm();
      });
    });
  }

  /** Never rejects. */
  async #check(): Promise<void> {
    if (this.#options.store.kind === 'sentinel') await this.#nodes.refresh().catch(() => {});
    if (this.#closed) return;
    this.#subscriptions.reconcile();
    const looks = this.#edges.map((edge) => this.#look(edge));
    await Promise.all(this.#watches.map((watch) => watch.renew()));
    this.#tell((await Promise.all(looks)).find((reason) => reason !== null) ?? null);
    const lagMs = this.#edges.reduce((most, { lagMs: lag }) => Math.max(most, lag), 0);
    this.#redisMetrics.lag.set(lagMs / 1_000);
    this.#redisMetrics.interesting.set(this.#watches.reduce((sum, { picture }) => sum + picture.size, 0));
    this.#redisMetrics.blindPartitions.set(this.#watches.filter(({ picture }) => !picture.usable).length);
    this.#metrics.channels.set(this.#edges.reduce((sum, { size }) => sum + size, 0));
  }

  /** Null, or why it could not be asked. */
  async #look(edge: EdgePartition): Promise<string | null> {
    try {
      await edge.check();
      return null;
    } catch (error) {
      return reasonOf(error);
    }
  }

  /** Once when it begins and once when it is over, not for every partition and every second. */
  #tell(reason: string | null): void {
    if (this.#away === (reason !== null)) return;
    this.#away = reason !== null;
    if (reason === null) this.#logger.info('Redis answers again');
    else this.#logger.warn({ reason }, 'Redis does not answer; subscribers wait, and what cannot be published is tried again');
  }

  #edgeOf(wire: string): EdgePartition {
    const edge = this.#edges[partitionOf(wire, this.#options.partitions)];
    if (!edge) throw new RangeError('a channel outside of all partitions');
    return edge;
  }
}

function closedError(): MillraceError {
  return new MillraceError(channelsErrors.CHANNELS_CLOSED, 'the channels are closed');
}
