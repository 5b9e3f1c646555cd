import type { ChannelName } from './channels.ts';

/** Keys of one partition that belong to no channel, and its pub/sub channels. */
export type PartitionNames = {
  readonly number: number;
  readonly tag: string;
  readonly state: string;
  readonly watchers: string;
  readonly interest: string;
  /** Events, and what publishers have seen. */
  readonly events: string;
  /** Changes of interest. */
  readonly notes: string;
  /** Bytes of the key `m` of a channel before the channel's name. */
  readonly nameAt: number;
};

/** What stands in the keys for (tenant, type): readable, and different for different tenants whatever characters they have; types are GraphQL names. */
export function wireName({ tenant, type }: ChannelName): string {
  // Escaped: a name in a message ends at a tab or a line break, and a lone surrogate has no UTF-8 of its own.
  return `${type}:${JSON.stringify(tenant).slice(1, -1)}`;
}

/** FNV-1a over code units: the same in every process. */
export function partitionOf(name: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  // Without this the low bits would hardly depend on the last characters.
  hash ^= hash >>> 15;
  return (hash >>> 0) % partitions;
}

export function partitionNames(prefix: string, number: number): PartitionNames {
  const tag = `{${prefix}:${number}}`;
  const key = (letter: string): string => `${tag}${letter}`;
  return {
    number,
    tag,
    state: key('s'),
    watchers: key('w'),
    interest: key('i'),
    events: key('e'),
    notes: key('n'),
    nameAt: Buffer.byteLength(key('m:')),
  };
}

/** The seven keys of a channel, in the order that the scripts want. */
export function channelKeys({ tag }: PartitionNames, name: string): readonly string[] {
  return ['m', 'h', 'z', 'i0', 'i1', 'v0', 'v1'].map((part) => `${tag}${part}:${name}`);
}

/** Slot of a hash tag: CRC16 (XMODEM) modulo 16384, by the specification of Redis Cluster. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag.slice(1, -1))) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc % 16_384;
}
