import type { LiveEvent } from '../events/live-event.ts';
import { MillraceError } from '../kit/errors.ts';
import type { Random } from '../kit/random.ts';
import type { Position, PublishResult } from './channels.ts';
import { channelsErrors } from './errors.ts';
import type { Reply } from './redis-connection.ts';
import { parseWatchReply, type WatchReply } from './redis-interest.ts';
import { channelKeys, type PartitionNames } from './redis-names.ts';
import type { RedisNodes } from './redis-nodes.ts';
import type { RedisChannelsOptions } from './redis-options.ts';
import type { ScriptName } from './redis-scripts.ts';

export type StoreCallsDeps = {
  readonly nodes: RedisNodes;
  readonly random: Random;
  /** Ms since the epoch in the place of Redis's own time, where a test moves time. */
  readonly storeTime?: () => number;
};

export type AttachReply = {
  readonly run: string;
  readonly top: Position;
  /** The version of interest that brought the channel. */
  readonly born: number;
  readonly safeInMs: number;
  readonly watchers: readonly { readonly id: string; readonly leftMs: number }[];
};

export type BeatReply = { readonly run: string; readonly seq: number; readonly wrong: readonly string[] };

/** One event on its way: its payload is made once, however often it is tried. */
export type Outgoing = { readonly event: LiveEvent; readonly payload: string };

export type OutgoingChannel = { readonly name: string; readonly events: readonly Outgoing[] };

/** Channels in one `hold`: seven keys each. */
const HOLD_CHANNELS = 100;

const DUPLICATE: PublishResult = { kind: 'duplicate' };
const STALE: PublishResult = { kind: 'stale' };
const NO_INTEREST: PublishResult = { kind: 'no-interest' };

/** The scripts with types: what they want and answer stands at the top of each in `lua/`. Errors: those of `RedisNodes.call`. */
export class RedisStoreCalls {
  readonly #options: RedisChannelsOptions;
  readonly #deps: StoreCallsDeps;
  /** Of this process. */
  readonly id: string;

  constructor(options: RedisChannelsOptions, deps: StoreCallsDeps) {
    this.#options = options;
    this.#deps = deps;
    this.id = deps.random.hex(8);
  }

  /** Results in the order of the channels and their events. */
  async publish(partition: PartitionNames, channels: readonly OutgoingChannel[]): Promise<readonly (readonly PublishResult[])[]> {
    const { maxEvents, maxBytes, maxAgeMs, duplicateWindow, versionedEntities } = this.#options;
    const keys = [partition.state, ...channels.flatMap(({ name }) => channelKeys(partition, name))];
    const bounds = [maxEvents, maxBytes, maxAgeMs, Math.max(duplicateWindow, maxEvents), versionedEntities];
    const args = [partition.events, ...bounds.map(String), this.#epoch(), `${partition.nameAt}`];
    for (const { events } of channels) {
      args.push(`${events.length}`);
      for (const { event, payload } of events) {
        const version = event.version !== null && event.key !== null ? `${event.version}` : '';
        args.push(event.id, event.key ?? '', version, `${event.bytes}`, payload);
      }
    }
    const reply = await this.#call(partition, 'publish', keys, args);
    let at = 0;
    return channels.map(({ events }) => {
      const epoch = text(reply[at++]);
      return events.map(() => resultOf(epoch, number(reply[at++])));
    });
  }

  async attach(partition: PartitionNames, name: string): Promise<AttachReply> {
    const { holdMs, lingerMs } = this.#options;
    const keys = [partition.state, partition.watchers, partition.interest, ...channelKeys(partition, name)];
    const args = [name, partition.notes, this.#epoch(), this.id, `${holdMs}`, `${lingerMs}`];
    const [run, epoch, top, born, safe, ...rest] = await this.#call(partition, 'attach', keys, args);
    const watchers = [];
    for (let i = 0; i + 1 < rest.length; i += 2) watchers.push({ id: text(rest[i]), leftMs: number(rest[i + 1]) });
    const position = { epoch: text(epoch), offset: number(top) };
    return { run: text(run), top: position, born: number(born), safeInMs: number(safe), watchers };
  }

  /** Where each channel stands; null where it must be attached again. */
  async hold(partition: PartitionNames, names: readonly string[]): Promise<readonly (Position | null)[]> {
    const { holdMs, lingerMs } = this.#options;
    const positions: (Position | null)[] = [];
    for (let from = 0; from < names.length; from += HOLD_CHANNELS) {
      const page = names.slice(from, from + HOLD_CHANNELS);
      const keys = [partition.state, partition.interest, ...page.flatMap((name) => channelKeys(partition, name))];
      const reply = await this.#call(partition, 'hold', keys, [this.id, `${holdMs}`, `${lingerMs}`, `${partition.nameAt}`]);
      page.forEach((_, i) => {
        const epoch = text(reply[2 * i]);
        positions.push(epoch === '' ? null : { epoch, offset: number(reply[2 * i + 1]) });
      });
    }
    return positions;
  }

  async release(partition: PartitionNames, name: string): Promise<void> {
    const keys = [partition.state, partition.interest, ...channelKeys(partition, name)];
    await this.#call(partition, 'release', keys, [this.id, `${this.#options.lingerMs}`, `${partition.nameAt}`]);
  }

  async history(partition: PartitionNames, name: string, after: Position, limit: number, maxBytes: number) {
    const { lingerMs, maxEvents, maxBytes: bytes, maxAgeMs } = this.#options;
    const keys = [partition.state, partition.interest, ...channelKeys(partition, name)];
    const where = [after.epoch, after.offset, Math.max(1, limit), maxBytes, maxEvents, bytes, maxAgeMs].map(String);
    const args = [name, partition.notes, this.#epoch(), `${lingerMs}`, ...where];
    const [epoch, top, missed, from, ...payloads] = await this.#call(partition, 'history', keys, args);
    const gone = number(missed);
    return {
      top: { epoch: text(epoch), offset: number(top) },
      missed: gone < 0 ? null : gone,
      from: number(from),
      payloads: payloads.map(text),
    };
  }

  /** Rejects with CHANNELS_LAYOUT_DIFFERS too. */
  async beat(partition: PartitionNames, inspect = false): Promise<BeatReply> {
    const { partitions, keyPrefix } = this.#options;
    const [run, seq, layout, ...wrong] = await this.#call(partition, 'beat', [partition.state], [`${partitions}`, inspect ? '1' : '0']);
    if (number(layout) !== partitions) {
      const what = `the store holds ${keyPrefix} in ${number(layout)} partitions, this process is told ${partitions}`;
      throw new MillraceError(channelsErrors.CHANNELS_LAYOUT_DIFFERS, what);
    }
    return { run: text(run), seq: number(seq), wrong: wrong.map(text) };
  }

  /** `seen` null reads a picture; otherwise the lease on it is prolonged, and edges are told of the version where `tell` says so. */
  async watch(
    partition: PartitionNames,
    seen: { readonly run: string; readonly version: number } | null,
    tell: boolean,
  ): Promise<WatchReply> {
    const { maxInteresting, partitions } = this.#options;
    const most = Math.max(1, Math.floor(maxInteresting / partitions));
    const keys = [partition.state, partition.watchers, partition.interest];
    const picture = [seen?.run ?? '', `${seen?.version ?? ''}`, `${most}`];
    const reply = await this.#call(partition, 'watch', keys, [this.id, ...picture, partition.notes, partition.events, tell ? '1' : '0']);
    const parsed = parseWatchReply(reply);
    if (!parsed) throw strange();
    return parsed;
  }

  #call(partition: PartitionNames, name: ScriptName, keys: readonly string[], args: readonly string[]): Promise<readonly Reply[]> {
    const { nodes, storeTime } = this.#deps;
    const time = storeTime ? `${storeTime()}` : '';
    return nodes.call(partition, name, keys, [time, `${this.#options.leaseMs}`, ...args]);
  }

  /** A candidate: it counts where a channel begins anew. */
  #epoch(): string {
    return this.#deps.random.hex(8);
  }
}

function resultOf(epoch: string, result: number): PublishResult {
  if (result > 0) return { kind: 'published', position: { epoch, offset: result } };
  return result === 0 ? DUPLICATE : result === -1 ? STALE : NO_INTEREST;
}

function number(reply: Reply | undefined): number {
  const value = typeof reply === 'string' ? Number(reply) : reply;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw strange();
  return value;
}

function text(reply: Reply | undefined): string {
  if (typeof reply !== 'string') throw strange();
  return reply;
}

function strange(): MillraceError {
  return new MillraceError(channelsErrors.CHANNELS_AWAY, 'Redis answered in a form that this version of Millrace does not know');
}
