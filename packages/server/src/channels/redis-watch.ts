import type { Clock } from '../kit/clock.ts';
import { reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { RedisMetrics } from './metrics.ts';
import type { RedisStoreCalls } from './redis-calls.ts';
import { Picture } from './redis-interest.ts';
import { parseNote } from './redis-messages.ts';
import type { PartitionNames } from './redis-names.ts';
import type { RedisChannelsOptions } from './redis-options.ts';
import type { RedisSubscriptions, Subscriber } from './redis-subscriptions.ts';

export type WatchDeps = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: RedisMetrics;
  readonly calls: RedisStoreCalls;
  readonly subscriptions: RedisSubscriptions;
};

/** Of a lease, what is left unused for clocks that do not run alike. */
const MARGIN = 0.1;

/** Keeps the picture of one partition: reads it, follows the notes, renews the lease, and tells edges how far it has come. */
export class PartitionWatch implements Subscriber {
  readonly partition: PartitionNames;
  readonly channel: string;
  readonly picture: Picture;
  readonly #options: RedisChannelsOptions;
  readonly #deps: WatchDeps;
  #subscribed = false;
  #asking: Promise<void> | null = null;
  /** Notes were taken that edges have not been told of. */
  #untold = false;
  readonly #first = Promise.withResolvers<void>();

  constructor(partition: PartitionNames, options: RedisChannelsOptions, deps: WatchDeps) {
    this.partition = partition;
    this.channel = partition.notes;
    this.picture = new Picture(deps.clock);
    this.#options = options;
    this.#deps = deps;
  }

  /** Resolves when Redis has been asked for the first time. */
  get asked(): Promise<void> {
    return this.#first.promise;
  }

  onSubscribed(): void {
    this.#subscribed = true;
    void this.renew().then(() => this.#first.resolve());
  }

  onLost(): void {
    this.#subscribed = false;
    this.picture.forget();
  }

  onMessage(text: string): void {
    const note = parseNote(text);
    if (!note) {
      this.#deps.metrics.badMessages.inc();
      this.picture.forget();
    } else if (!this.picture.note(note)) return;
    this.#untold = true;
    void this.renew();
  }

  /** Never rejects: without an answer the picture is good until its lease ends, and then everything is sent to Redis. */
  renew(): Promise<void> {
    if (!this.#subscribed) return Promise.resolve();
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
      if (this.#untold) void this.renew();
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const { calls, clock, logger } = this.#deps;
    const { picture } = this;
    const seen = picture.seen;
    const tell = this.#untold || seen === null;
    this.#untold = false;
    if (!seen) picture.beginReading();
    const leaseEnd = clock.monotonic() + this.#options.leaseMs * (1 - MARGIN);
    try {
      const reply = await calls.watch(this.partition, seen, tell);
      if (!this.#subscribed) return picture.forget();
      if (reply.kind === 'read') picture.read(reply.run, reply.version, reply.names, leaseEnd);
      else if (reply.kind === 'kept') {
        // Notes are not heard any more: the subscription is made again, and the picture read.
        if (!picture.renewed(reply.version, leaseEnd)) this.#deps.subscriptions.distrust(this.channel);
      } else picture.forget();
    } catch (error) {
      if (!seen) picture.forget();
      logger.debug({ partition: this.partition.number, reason: reasonOf(error) }, 'the picture of who is listened to could not be renewed');
    }
  }
}
