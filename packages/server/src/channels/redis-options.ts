import type { ChannelBounds } from './channel.ts';

export type RedisAddress = { readonly host: string; readonly port: number };

export type RedisLogin = {
  /** Null: the user `default`. */
  readonly username: string | null;
  readonly password: string | null;
};

export type RedisTls = {
  /** PEM of the authorities that sign the servers' certificates; null: those that Node trusts. */
  readonly ca: string | null;
  /** PEM of this process's certificate and key, where the servers want one. */
  readonly client: { readonly cert: string; readonly key: string } | null;
};

/** Where the masters are. */
export type RedisStore =
  | { readonly kind: 'standalone'; readonly server: RedisAddress }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly RedisAddress[];
      readonly masterName: string;
      /** For the sentinels themselves; the servers take `login`. */
      readonly sentinelLogin: RedisLogin | null;
    }
  /** Any nodes of the cluster; the others are learned from them. */
  | { readonly kind: 'cluster'; readonly nodes: readonly RedisAddress[] };

export type RedisChannelsOptions = ChannelBounds & {
  readonly store: RedisStore;
  readonly login: RedisLogin;
  readonly tls: RedisTls | null;
  /** Begins every key and every pub/sub channel; without `{`, `}`. */
  readonly keyPrefix: string;
  /** Hash tags that the channels are spread over; the same in every process that shares the store. */
  readonly partitions: number;
  /** Ms for which a channel stays interesting after its last listener anywhere left. */
  readonly lingerMs: number;
  /** Whether this process publishes. It then keeps the picture of who is listened to, and new channels wait for its word. */
  readonly publishes: boolean;
  /** Ms for which a publisher may rely on its picture without hearing from Redis. */
  readonly leaseMs: number;
  /** Ms for which an edge that stopped in silence still counts as listening; renewed three times as often. */
  readonly holdMs: number;
  /** Ms between two looks at where a partition stands, and two renewals of a lease. */
  readonly checkMs: number;
  /** Channels in the picture; a partition with more than its share is published to without asking. */
  readonly maxInteresting: number;
  /** Ms without an answer, or for a connection to open, after which a connection counts as dead. */
  readonly commandTimeoutMs: number;
  /** Ms for which a call is tried again while Redis says that another try may work (slot migration, fail-over). */
  readonly patienceMs: number;
  /** Commands, and their bytes, waiting for Redis's answer on one connection. */
  readonly maxQueuedCommands: number;
  readonly maxQueuedBytes: number;
  /** Events and bytes of one call. */
  readonly callEvents: number;
  readonly callBytes: number;
  /** Events and bytes of one page, where an edge reads what it missed. */
  readonly refillEvents: number;
  readonly refillBytes: number;
};

export const REDIS_CHANNELS_DEFAULTS: Omit<RedisChannelsOptions, 'store'> = {
  maxEvents: 1_000,
  maxBytes: 1024 * 1024,
  maxAgeMs: 600_000,
  duplicateWindow: 4_000,
  versionedEntities: 10_000,
  login: { username: null, password: null },
  tls: null,
  keyPrefix: 'millrace',
  partitions: 32,
  lingerMs: 600_000,
  publishes: true,
  leaseMs: 3_000,
  holdMs: 30_000,
  checkMs: 1_000,
  maxInteresting: 1_000_000,
  commandTimeoutMs: 5_000,
  patienceMs: 2_000,
  maxQueuedCommands: 20_000,
  maxQueuedBytes: 64 * 1024 * 1024,
  callEvents: 500,
  callBytes: 1024 * 1024,
  refillEvents: 256,
  refillBytes: 1024 * 1024,
};
