import { systemClock } from '../../kit/clock.ts';
import type { LiveEvent } from '../../events/live-event.ts';
import { silentLogger } from '../../kit/log.ts';
import { Metrics } from '../../kit/metrics.ts';
import { systemRandom } from '../../kit/random.ts';
import type { ChannelEvent, ChannelListener, Position, PublishResult } from '../channels.ts';
import { createChannelsMetrics, createRedisMetrics } from '../metrics.ts';
import { RedisChannels, type RedisChannelsDeps } from '../redis.ts';
import type { RedisChannelsOptions, RedisStore } from '../redis-options.ts';

export const standalone = (port: number): RedisStore => ({ kind: 'standalone', server: { host: '127.0.0.1', port } });

/** One process's channels on real time, with short leases and deadlines: a new store trusts nobody's lease, and who attaches waits for it. */
export class RedisProcess implements AsyncDisposable {
  readonly channels: RedisChannels;
  readonly #metrics: Metrics;

  private constructor(channels: RedisChannels, metrics: Metrics) {
    this.channels = channels;
    this.#metrics = metrics;
  }

  static async start(
    options: Partial<RedisChannelsOptions> & { readonly store: RedisStore },
    deps: Partial<RedisChannelsDeps> = {},
  ): Promise<RedisProcess> {
    const metrics = new Metrics();
    const channels = await RedisChannels.open(
      { keyPrefix: `test-${systemRandom.hex(6)}`, partitions: 4, leaseMs: 300, checkMs: 50, commandTimeoutMs: 1_000, ...options },
      { logger: silentLogger, metrics: createChannelsMetrics(metrics), redisMetrics: createRedisMetrics(metrics), ...deps },
    );
    return new RedisProcess(channels, metrics);
  }

  /** A metric of `channels_redis_…`. */
  async value(name: string): Promise<number> {
    return Number(new RegExp(`^millrace_channels_redis_${name} (\\S+)$`, 'm').exec(await this.#metrics.text())?.[1] ?? 0);
  }

  /** As ingest does: the same events until the store has taken them. */
  async publish(...events: readonly LiveEvent[]): Promise<readonly PublishResult[]> {
    for (;;) {
      try {
        return await this.channels.publish(events);
      } catch {
        await new Promise<void>((resolve) => void systemClock.after(20, resolve));
      }
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.channels.close();
  }
}

type Said =
  | { readonly kind: 'event'; readonly id: string; readonly at: Position }
  | { readonly kind: 'gap'; readonly top: Position; readonly missed: number | null };

/** Remembers what a listener was told, checks that it is continuous or says that it is not, and waits for what is to come. */
export class Witness implements ChannelListener {
  readonly said: Said[] = [];
  readonly faults: string[] = [];
  #at: Position | null = null;
  #waiting: { readonly until: () => boolean; resolve(): void }[] = [];

  /** Where it has come to. Before the first call: where it was attached. */
  get at(): Position | null {
    return this.#at;
  }

  get ids(): string[] {
    return this.said.flatMap((entry) => (entry.kind === 'event' ? [entry.id] : []));
  }

  get gaps(): number {
    return this.said.filter(({ kind }) => kind === 'gap').length;
  }

  onEvents(events: readonly ChannelEvent[]): void {
    for (const { event, position } of events) {
      const { epoch, offset } = this.#at ?? { epoch: position.epoch, offset: position.offset - 1 };
      if (position.epoch !== epoch || position.offset !== offset + 1)
        this.faults.push(`${event.id} at ${position.epoch}:${position.offset} after ${epoch}:${offset}`);
      this.#at = position;
      this.said.push({ kind: 'event', id: event.id, at: position });
    }
    this.#look();
  }

  onGap({ top, missed }: { readonly top: Position; readonly missed: number | null }): void {
    const at = this.#at;
    if (at && missed !== null && (top.epoch !== at.epoch || top.offset !== at.offset + missed))
      this.faults.push(`a gap of ${missed} from ${at.epoch}:${at.offset} to ${top.epoch}:${top.offset}`);
    if (at && missed === null && top.epoch === at.epoch) this.faults.push(`a gap of unknown length within ${at.epoch}`);
    this.#at = top;
    this.said.push({ kind: 'gap', top, missed });
    this.#look();
  }

  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ until: condition, resolve }));
  }

  heard(id: string): Promise<void> {
    return this.until(() => this.said.some((entry) => entry.kind === 'event' && entry.id === id));
  }

  #look(): void {
    const met = this.#waiting.filter(({ until }) => until());
    this.#waiting = this.#waiting.filter((entry) => !met.includes(entry));
    for (const { resolve } of met) resolve();
  }
}
