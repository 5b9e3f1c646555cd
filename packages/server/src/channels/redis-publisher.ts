import type { LiveEvent } from '../events/live-event.ts';
import type { PublishResult } from './channels.ts';
import type { Outgoing, RedisStoreCalls } from './redis-calls.ts';
import { encodeEvent } from './redis-messages.ts';
import { partitionOf, type PartitionNames, wireName } from './redis-names.ts';
import type { RedisChannelsOptions } from './redis-options.ts';

/** An event with its place among those of the call to `publish`. */
type Placed = Outgoing & { readonly index: number };

type PlacedChannel = { readonly name: string; readonly events: readonly Placed[] };

/** The events of one partition by channel, in the order given within each channel. */
type Group = Map<string, Placed[]>;

/** Sends what is to be published as few calls: one for each partition, more only where one would be too large. */
export class RedisPublisher {
  readonly #options: RedisChannelsOptions;
  readonly #calls: RedisStoreCalls;
  readonly #names: readonly PartitionNames[];

  constructor(options: RedisChannelsOptions, calls: RedisStoreCalls, names: readonly PartitionNames[]) {
    this.#options = options;
    this.#calls = calls;
    this.#names = names;
  }

  /** Rejects when any partition could not be published to; what others took is a duplicate when it is tried again. */
  async publish(events: readonly LiveEvent[]): Promise<readonly PublishResult[]> {
    const results = new Array<PublishResult>(events.length);
    const groups = this.#group(events);
    const outcomes = await Promise.allSettled([...groups].map(([number, group]) => this.#publishGroup(number, group, results)));
    // All have ended: nothing of this call is under way any more when its events are tried again.
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    return results;
  }

  #group(events: readonly LiveEvent[]): Map<number, Group> {
    const groups = new Map<number, Group>();
    events.forEach((event, index) => {
      const name = wireName(event);
      const number = partitionOf(name, this.#options.partitions);
      let group = groups.get(number);
      if (!group) groups.set(number, (group = new Map<string, Placed[]>()));
      const placed: Placed = { event, payload: encodeEvent(event), index };
      const channel = group.get(name);
      if (channel) channel.push(placed);
      else group.set(name, [placed]);
    });
    return groups;
  }

  /** One call after the other: were one to fail and a later one not, the order within a channel would be lost when it is tried again. */
  async #publishGroup(number: number, group: Group, results: PublishResult[]): Promise<void> {
    const partition = this.#names[number];
    if (!partition) throw new RangeError('an event outside of all partitions');
    for (const chunk of this.#chunks(group)) {
      const answers = await this.#calls.publish(partition, chunk);
      chunk.forEach(({ events }, i) => {
        events.forEach(({ index }, j) => {
          const result = answers[i]?.[j];
          if (result) results[index] = result;
        });
      });
    }
  }

  *#chunks(group: Group): Iterable<readonly PlacedChannel[]> {
    const { callEvents, callBytes } = this.#options;
    let chunk: { name: string; events: Placed[] }[] = [];
    let [count, bytes] = [0, 0];
    for (const [name, events] of group) {
      for (const placed of events) {
        if (count > 0 && (count >= callEvents || bytes + placed.payload.length > callBytes)) {
          yield chunk;
          chunk = [];
          [count, bytes] = [0, 0];
        }
        const last = chunk.at(-1);
        if (last?.name === name) last.events.push(placed);
        else chunk.push({ name, events: [placed] });
        count += 1;
        bytes += placed.payload.length;
      }
    }
    if (chunk.length > 0) yield chunk;
  }
}
