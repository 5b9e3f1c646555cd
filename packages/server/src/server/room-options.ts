import { CLAIMS_DEFAULTS } from '../access/claims.ts';
import type { AuthenticatorOptions } from '../access/authenticator.ts';
import type { IssuerOptions, KeySource } from '../access/issuer.ts';
import { EMBEDDED_LOG_DEFAULTS, type EmbeddedLogOptions } from '../brokers/embedded-log.ts';
import type { MemoryChannelsOptions } from '../channels/memory.ts';
import type { RedisAddress, RedisChannelsOptions, RedisStore } from '../channels/redis-options.ts';
import type { PipelineOptions } from '../gateway/pipeline.ts';
import type { IngestOptions } from '../ingest/ingest-worker.ts';
import type { OriginOptions } from '../kit/origin-policy.ts';
import type { LiveLimits, SessionLimits } from '../live/options.ts';
import type { OperationLimits } from '../supergraph/operation-document.ts';
import type { ConnectionLimits } from '../transports/connections.ts';
import type { GraphqlSseOptions } from '../transports/graphql-sse.ts';
import type { GraphqlWsOptions } from '../transports/graphql-ws.ts';
import { type Config, type IssuerConfig, repeatsKnown } from './config.ts';

/**
 * The configuration as each room wants it. Names differ where a person and a room look at the same thing from two sides; what is not
 * named here keeps the room's own default. Every option is used here or in `start-server.ts`.
 */
export type RoomOptions = {
  readonly embeddedLog: Partial<EmbeddedLogOptions>;
  readonly ingest: Partial<IngestOptions>;
  readonly channels: Partial<MemoryChannelsOptions>;
  /** Null where the channels are in memory. The certificates are files, which `data-path.ts` reads. */
  readonly redis: (Partial<RedisChannelsOptions> & { readonly store: RedisStore }) | null;
  readonly live: Partial<LiveLimits>;
  readonly sessions: Partial<SessionLimits>;
  readonly operations: Partial<OperationLimits>;
  readonly pipeline: Partial<PipelineOptions>;
  readonly graphqlWs: Partial<GraphqlWsOptions>;
  readonly graphqlSse: Partial<GraphqlSseOptions>;
  readonly connections: Partial<ConnectionLimits>;
  readonly origins: OriginOptions;
  readonly authenticator: Pick<AuthenticatorOptions, 'mode' | 'issuers' | 'anonymous' | 'clockSkew'>;
};

export function roomOptions(config: Config): RoomOptions {
  return { ...dataPath(config), ...clientSide(config), ...whoAndWhence(config) };
}

function dataPath({ broker, brokers, ingest, channels }: Config): Pick<RoomOptions, 'embeddedLog' | 'ingest' | 'channels' | 'redis'> {
  const repeats = brokers.some(({ delivery }) => delivery === 'effectively-once')
    ? { duplicateWindow: repeatsKnown(ingest.maxInFlight) }
    : {};
  return {
    embeddedLog: {
      retention: {
        ...EMBEDDED_LOG_DEFAULTS.retention,
        maxAgeMs: broker.retentionAge,
        maxBytes: broker.retentionBytes,
        hardMaxBytes: 4 * broker.retentionBytes,
      },
      deadLetters: { maxCount: broker.deadLetterCount, maxBytes: broker.deadLetterBytes, maxAgeMs: broker.deadLetterAge },
    },
    ingest: {
      capacity: ingest.maxInFlight,
      maxAttempts: ingest.maxAttempts,
      maxEventBytes: ingest.maxEventBytes,
      backoff: { baseMs: ingest.backoffMin, maxMs: ingest.backoffMax },
    },
    channels: {
      maxEvents: channels.historyCount,
      maxBytes: channels.historyBytes,
      maxAgeMs: channels.historyAge,
      lingerMs: channels.linger,
      maxTotalBytes: channels.totalBytes,
      ...repeats,
    },
    redis: channels.kind === 'redis' ? { ...redisOptions(channels), ...repeats } : null,
  };
}

function redisOptions({ redis, historyCount, historyBytes, historyAge, linger }: Config['channels']): NonNullable<RoomOptions['redis']> {
  const { username, password, keyPrefix, partitions } = redis;
  return {
    store: redisStore(redis),
    login: { username, password },
    keyPrefix,
    partitions,
    maxEvents: historyCount,
    maxBytes: historyBytes,
    maxAgeMs: historyAge,
    lingerMs: linger,
  };
}

/** Validation has made sure that what the mode needs is there. */
function redisStore({ mode, urls, masterName, sentinelUsername, sentinelPassword }: Config['channels']['redis']): RedisStore {
  const addresses = urls.map((url) => addressOf(url, mode === 'sentinel' ? 26_379 : 6379));
  switch (mode) {
    case 'standalone':
      return { kind: 'standalone', server: addresses[0] ?? { host: '127.0.0.1', port: 6379 } };
    case 'sentinel': {
      const sentinelLogin = sentinelPassword === null ? null : { username: sentinelUsername, password: sentinelPassword };
      return { kind: 'sentinel', sentinels: addresses, masterName: masterName ?? '', sentinelLogin };
    }
    case 'cluster':
      return { kind: 'cluster', nodes: addresses };
  }
}

function addressOf(url: string, defaultPort: number): RedisAddress {
  const { hostname, port } = new URL(url);
  // An IPv6 address stands in brackets in a URL and nowhere else.
  return { host: hostname.replace(/^\[|\]$/g, ''), port: port === '' ? defaultPort : Number(port) };
}

function clientSide({ live, enrichment, gateway, transports, drainWindow }: Config) {
  return {
    live: {
      subscriptions: live.maxSubscriptions,
      filterDepth: live.maxFilterDepth,
      filterSize: live.maxFilterNodes,
      ids: live.maxIds,
      outboxBytes: live.maxBufferedBytes,
      enrichmentDeadlineMs: enrichment.deadline,
    },
    sessions: {
      sessions: live.maxSessions,
      sessionsPerTenant: live.maxSessionsPerTenant,
      sessionsPerAddress: live.maxSessionsPerAddress,
      operationsPerSession: live.maxOperationsPerSession,
      subscriptionsPerSession: live.maxSubscriptionsPerSession,
      stuckMs: live.stuckTimeout,
      idleMs: live.idleTimeout,
      maxAgeMs: live.maxAge,
      drainWindowMs: drainWindow,
    },
    operations: {
      tokensMax: gateway.maxTokens,
      depthMax: gateway.maxDepth,
      aliasesMax: gateway.maxAliases,
      rootFieldsMax: gateway.maxRootFields,
      directivesMax: gateway.maxDirectives,
      fieldsMax: gateway.maxFields,
    },
    pipeline: { timeoutMs: gateway.timeout, forwardAuthorization: gateway.forwardAuthorization, sharedResults: gateway.shareQueries },
    graphqlWs: {
      maxMessageBytes: transports.maxMessageBytes,
      initTimeoutMs: transports.initTimeout,
      keepAliveMs: transports.keepAlive,
      compression: transports.compression,
    },
    // Proxies cut silent HTTP answers sooner than sockets.
    graphqlSse: { maxBodyBytes: transports.maxMessageBytes, keepAliveMs: Math.min(12_000, transports.keepAlive) },
    connections: { maxConnections: live.maxSessions, maxPerAddress: live.maxSessionsPerAddress },
  } satisfies Partial<RoomOptions>;
}

function whoAndWhence({ mode, access, transports }: Config): Pick<RoomOptions, 'origins' | 'authenticator'> {
  return {
    origins: { allowed: transports.allowedOrigins.includes('*') ? '*' : transports.allowedOrigins, loopback: mode === 'dev' },
    authenticator: {
      mode,
      issuers: access.issuers.map(issuerOptions),
      anonymous: access.anonymous ? { kind: 'allowed', tenant: access.anonymousTenant } : { kind: 'refused' },
      clockSkew: access.clockTolerance,
    },
  };
}

function issuerOptions({ issuer, audience, algorithms, claims, ...keys }: IssuerConfig): IssuerOptions {
  return {
    issuer,
    ...(audience === null ? {} : { audience }),
    algorithms,
    keys: keySource(keys),
    claims: { ...CLAIMS_DEFAULTS, ...claims },
  };
}

/** Validation has made sure that exactly one is given. */
function keySource({ jwksUrl, secret, publicKey }: Pick<IssuerConfig, 'jwksUrl' | 'secret' | 'publicKey'>): KeySource {
  if (jwksUrl !== null) return { kind: 'jwks', url: jwksUrl };
  return secret === null ? { kind: 'static', keys: [{ pem: publicKey ?? '' }] } : { kind: 'secret', secret };
}
