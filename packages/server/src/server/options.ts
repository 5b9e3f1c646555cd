import { type Values, option } from './config/declare.ts';
import { parseNetwork } from './client-address.ts';
import { type BrokerConfig, broker } from './config/broker.ts';
import { type IssuerConfig, issuer } from './config/issuer.ts';
import { type Kind, boolean, choice, duration, fraction, integer, list, optional, size, text, url } from './config/kinds.ts';

const bareRedisUrl = text(
  'redis://host:port or rediss://host:port, without user, password and path',
  (value) => /^rediss?:\/\/[^/@?#]+\/?$/.test(value) && URL.canParse(value),
  'url',
);
/** Without user and password: URLs are shown and logged. One that has them is not shown when it is refused either. */
const withoutLogin = (kind: Kind<string>): Kind<string> => ({
  ...kind,
  read(raw) {
    const read = kind.read(raw);
    return read.ok
      ? read
      : { ok: false, faults: read.faults.map((fault) => ({ ...fault, secret: typeof raw === 'string' && raw.includes('@') })) };
  },
});
const redisUrl = withoutLogin(bareRedisUrl);
const collectorUrl = withoutLogin(
  text(
    'an absolute URL starting with http:// or https://, without user and password',
    (value) => /^https?:\/\/[^/@?#]+(?:[/?][^@#]*)?$/.test(value) && URL.canParse(value),
    'url',
  ),
);
const PORT = { min: 0, max: 65_535 };
const KIB = 1024;
const MIB = 1_048_576;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * Every option of Millrace, said once. Loading, validation, `millrace config --explain`, the names of environment variables and
 * flags, docs/configuration.md and the type `Config` all come from this table.
 */
export const options = {
  mode: option({
    kind: choice(['dev', 'production']),
    default: 'production',
    doc: 'In `dev` tokens of the development issuer are accepted and only loopback is listened on. `millrace dev` sets dev, `millrace serve` production.',
  }),
  roles: option({
    kind: list(choice(['registry', 'ingest', 'gateway', 'edge']), 4),
    default: ['registry', 'ingest', 'gateway', 'edge'],
    doc: 'What this process does: `registry` takes schemas, `ingest` takes events in, `gateway` answers queries and mutations, `edge` holds subscriptions. docs/roles.md says how they go together.',
  }),
  host: option({
    kind: text('a host name or address'),
    default: '127.0.0.1',
    doc: 'The address that all three ports listen on. In dev mode it must be a loopback address.',
  }),
  port: option({
    kind: integer(PORT),
    default: 4000,
    doc: 'GraphQL, WebSocket, SSE and events. 0 takes a free port; then the other two are free ports too.',
  }),
  reusePort: option({
    kind: boolean(),
    default: false,
    doc: 'Share `port` with other processes of this machine; the kernel spreads connections over them. `millrace serve --processes N` sets it.',
  }),
  registryPort: option({ kind: optional(integer(PORT)), default: null, doc: 'The schema registry. Without it: `port` + 1.' }),
  adminPort: option({
    kind: optional(integer(PORT)),
    default: null,
    doc: 'Metrics, health and the API of the command line. Without it: `port` + 2.',
  }),
  dataDir: option({
    kind: text('a folder'),
    default: '.millrace',
    flag: 'data',
    doc: 'Where the embedded log, registry and channel journal live. Created when missing; one process at a time.',
  }),
  supergraphConfig: option({
    kind: optional(text('a file')),
    default: null,
    doc: "A `supergraph.yaml` in rover's format. Its subgraphs are pushed as one atomic change at the start, and again whenever it or a schema file changes.",
  }),
  drainWindow: option({
    kind: duration({ max: HOUR }),
    default: 10 * SECOND,
    dev: 500,
    doc: 'On SIGTERM open connections are closed spread over this time, so that clients do not all come back at once.',
  }),
  log: {
    level: option({
      kind: choice(['silent', 'fatal', 'error', 'warn', 'info', 'debug']),
      default: 'info',
      dev: 'warn',
      doc: 'Lines below this level are not written. Logs are JSON lines on standard error.',
    }),
  },
  tracing: {
    endpoint: option({
      kind: optional(collectorUrl),
      default: null,
      doc: 'Where OpenTelemetry traces are sent, as OTLP over HTTP with JSON; usually `http://HOST:4318/v1/traces`. Without it nothing is traced, and nothing of OpenTelemetry is loaded. docs/observability.md says what is recorded.',
    }),
    ratio: option({
      kind: fraction(),
      default: 0.01,
      doc: 'Of what comes without a trace context of its own, this share is traced. Producers and signed-in callers that send one decide themselves.',
    }),
    headersFile: option({
      kind: optional(text('a file')),
      default: null,
      doc: 'Headers for the collector, one `name: value` a line, for instance its token.',
    }),
  },
  broker: {
    retentionAge: option({
      kind: duration({ min: MINUTE, max: 365 * DAY }),
      default: DAY,
      doc: 'Settled records of the embedded log are kept this long.',
    }),
    retentionBytes: option({
      kind: size({ min: MIB }),
      default: 1024 * MIB,
      doc: 'Settled records of the embedded log are dropped, oldest first, above this.',
    }),
    deadLetterCount: option({
      kind: integer({ min: 1, max: 10_000_000 }),
      default: 100_000,
      doc: 'Dead letters kept; the oldest go first, and are counted.',
    }),
    deadLetterBytes: option({ kind: size({ min: MIB }), default: 256 * MIB, doc: 'The same, in bytes.' }),
    deadLetterAge: option({ kind: duration({ min: MINUTE, max: 3650 * DAY }), default: 30 * DAY, doc: 'Dead letters are kept this long.' }),
  },
  brokers: option<readonly BrokerConfig[]>({
    kind: list(broker, 100),
    default: [],
    doc: 'Kafka and RabbitMQ clusters that events are taken from: `{name, type, servers, delivery?, topics | queues, …}`; docs/kafka.md and docs/rabbitmq.md list the keys. `passwordFile`, `caFile`, `certFile` and `keyFile` read from a file. In the environment and flags: JSON.',
  }),
  ingest: {
    maxBodyBytes: option({
      kind: size({ min: KIB, max: 1024 * MIB }),
      default: 8 * MIB,
      doc: 'The largest body of `POST /events`. Larger: 413.',
    }),
    maxEventBytes: option({ kind: size({ min: KIB, max: 64 * MIB }), default: MIB, doc: 'The largest single event.' }),
    maxInFlightBytes: option({
      kind: size({ min: MIB, max: 16_384 * MIB }),
      default: 64 * MIB,
      doc: 'Bodies held at once by `POST /events`. Above it: 503 with Retry-After.',
    }),
    maxInFlight: option({
      kind: integer({ min: 1, max: 100_000 }),
      default: 4096,
      doc: 'Records taken from the log and not yet settled. Nothing more is fetched while it is reached.',
    }),
    maxAttempts: option({
      kind: integer({ min: 1, max: 1000 }),
      default: 12,
      doc: 'How often a record is tried before it becomes a dead letter. While the store of the channels is away no attempt counts.',
    }),
    backoffMin: option({
      kind: duration({ min: 1, max: HOUR }),
      default: 100,
      doc: 'The first pause before a record is tried again; it doubles each time.',
    }),
    backoffMax: option({
      kind: duration({ min: 1, max: DAY }),
      default: 30 * SECOND,
      doc: 'The longest pause before a record is tried again.',
    }),
  },
  channels: {
    kind: option({
      kind: choice(['memory', 'redis']),
      default: 'memory',
      doc: 'Where channels live: in this process, or in Redis, which several processes share. docs/redis.md says what that takes and gives.',
    }),
    historyCount: option({
      kind: integer({ min: 0, max: 10_000_000 }),
      default: 1000,
      doc: 'Events of one tenant and type kept for clients that come back with a cursor.',
    }),
    historyBytes: option({ kind: size({ min: 0, max: 65_536 * MIB }), default: MIB, doc: 'The same, in bytes.' }),
    historyAge: option({ kind: duration({ min: SECOND, max: 30 * DAY }), default: 10 * MINUTE, doc: 'The same, in age.' }),
    linger: option({
      kind: duration({ max: 7 * DAY }),
      default: 10 * MINUTE,
      doc: 'How long the history of a channel is kept when nobody subscribes to it any more.',
    }),
    totalBytes: option({
      kind: size({ min: MIB, max: 1_048_576 * MIB }),
      default: 256 * MIB,
      doc: 'History of all channels together; the least recently used channel gives way first. In Redis its `maxmemory` bounds it.',
    }),
    journal: option({
      kind: boolean(),
      default: true,
      doc: 'Whether history and positions survive a restart. Without it every restart starts a new epoch and clients get a GAP. In Redis they do.',
    }),
    redis: {
      mode: option({
        kind: choice(['standalone', 'sentinel', 'cluster']),
        default: 'standalone',
        doc: 'How the servers are arranged. Redis 7 or Valkey.',
      }),
      urls: option({
        kind: list(redisUrl, 100),
        default: [],
        doc: 'The server; or the sentinels; or some nodes of the cluster. `rediss://` is TLS. Users and passwords have options of their own.',
      }),
      masterName: option({ kind: optional(text('a name')), default: null, doc: 'The name under which sentinels know the master.' }),
      username: option({ kind: optional(text('a user name')), default: null, doc: 'The ACL user. Without it: `default`.' }),
      password: option({ kind: optional(text('a password')), default: null, secret: true, doc: 'The password of the user.' }),
      sentinelUsername: option({ kind: optional(text('a user name')), default: null, doc: 'The ACL user at the sentinels themselves.' }),
      sentinelPassword: option({ kind: optional(text('a password')), default: null, secret: true, doc: 'The password at the sentinels.' }),
      caFile: option({
        kind: optional(text('a file')),
        default: null,
        doc: 'PEM of the authorities that sign the servers’ certificates. Without it: those that Node trusts.',
      }),
      certFile: option({ kind: optional(text('a file')), default: null, doc: 'PEM of our own certificate, where the servers want one.' }),
      keyFile: option({ kind: optional(text('a file')), default: null, doc: 'PEM of its key.' }),
      keyPrefix: option({
        kind: text('letters, digits, -, _, . and :', (value) => /^[\w.:-]{1,64}$/.test(value)),
        default: 'millrace',
        doc: 'Begins every key and pub/sub channel; another one for each installation that shares the servers.',
      }),
      partitions: option({
        kind: integer({ min: 1, max: 1024 }),
        default: 32,
        doc: 'Parts that the channels are spread over, each in one slot with one subscription. The same in every process; changing it starts anew.',
      }),
    },
  },
  live: {
    maxSessions: option({
      kind: integer({ min: 1, max: 1_000_000 }),
      default: 100_000,
      doc: 'Open sessions in this process. Above it new connections are refused.',
    }),
    maxSessionsPerTenant: option({
      kind: integer({ min: 1, max: 1_000_000 }),
      default: 50_000,
      doc: 'Open sessions of one tenant in this process.',
    }),
    maxSessionsPerAddress: option({
      kind: integer({ min: 1, max: 1_000_000 }),
      default: 20_000,
      doc: 'Open sessions from one remote address. Raise it behind a proxy, where all share one.',
    }),
    maxOperationsPerSession: option({
      kind: integer({ min: 1, max: 100_000 }),
      default: 1000,
      doc: 'Running operations of one session, subscriptions included.',
    }),
    maxSubscriptionsPerSession: option({
      kind: integer({ min: 1, max: 100_000 }),
      default: 500,
      doc: 'Subscriptions of one session.',
    }),
    maxSubscriptions: option({ kind: integer({ min: 1, max: 10_000_000 }), default: 2_000_000, doc: 'Subscriptions in this process.' }),
    idleTimeout: option({
      kind: duration({ min: SECOND, max: 30 * DAY }),
      default: 30 * MINUTE,
      doc: 'A session without any operation for so long is closed.',
    }),
    stuckTimeout: option({
      kind: duration({ min: SECOND, max: DAY }),
      default: MINUTE,
      doc: 'A connection that takes no data for so long is closed.',
    }),
    maxAge: option({
      kind: duration({ min: MINUTE, max: 365 * DAY }),
      default: DAY,
      doc: 'A session is closed after so long, so that clients spread over new servers.',
    }),
    maxBufferedBytes: option({
      kind: size({ min: 16 * KIB, max: 256 * MIB }),
      default: MIB,
      doc: 'Bytes that one connection may have waiting. Above it the connection is marked behind, and caught up from history when it drains.',
    }),
    maxFilterDepth: option({ kind: integer({ min: 1, max: 100 }), default: 8, doc: 'Nesting of and, or, not in a filter.' }),
    maxFilterNodes: option({ kind: integer({ min: 1, max: 10_000 }), default: 1000, doc: 'Conditions and list items in a filter.' }),
    maxIds: option({ kind: integer({ min: 1, max: 100_000 }), default: 1000, doc: 'Ids in one `ids` argument.' }),
  },
  enrichment: {
    identity: option({
      kind: choice(['user', 'roles', 'tenant']),
      default: 'user',
      doc: "Under whose identity subgraphs are asked for the enriched part. `user` forwards each user's token and shares nothing between users; `roles` and `tenant` share one execution among all who have the same.",
    }),
    deadline: option({
      kind: duration({ min: 1, max: 5 * MINUTE }),
      default: 3 * SECOND,
      doc: 'After this the event is delivered with an error on its enriched part alone.',
    }),
    batchWindow: option({
      kind: duration({ max: SECOND }),
      default: 0,
      doc: 'Entity fetches of all groups and events within this time go out as one request. 0: those of one turn of the event loop.',
    }),
    maxBatch: option({ kind: integer({ min: 1, max: 10_000 }), default: 500, doc: 'Entities in one such request.' }),
  },
  gateway: {
    maxTokens: option({ kind: integer({ min: 10, max: 1_000_000 }), default: 10_000, doc: 'Lexical tokens of a document.' }),
    maxDepth: option({ kind: integer({ min: 1, max: 1000 }), default: 30, doc: 'Nesting of selections.' }),
    maxAliases: option({ kind: integer({ min: 0, max: 100_000 }), default: 100, doc: 'Aliases in a document.' }),
    maxRootFields: option({ kind: integer({ min: 1, max: 10_000 }), default: 100, doc: 'Root fields of an operation.' }),
    maxFields: option({
      kind: integer({ min: 1, max: 100_000 }),
      default: 5000,
      doc: 'Fields of an operation with its fragments written out.',
    }),
    maxDirectives: option({ kind: integer({ min: 0, max: 100_000 }), default: 200, doc: 'Directives in a document.' }),
    maxBodyBytes: option({
      kind: size({ min: KIB, max: 256 * MIB }),
      default: MIB,
      doc: 'The largest body of a GraphQL request. Larger: 413.',
    }),
    timeout: option({
      kind: duration({ min: 1, max: 10 * MINUTE }),
      default: 30 * SECOND,
      doc: 'Queries and mutations end after this with an error.',
    }),
    forwardAuthorization: option({
      kind: boolean(),
      default: true,
      doc: "Whether the caller's token is handed to subgraphs as `authorization`. Without it they are told tenant, user and roles in `millrace-` headers alone.",
    }),
    shareQueries: option({
      kind: boolean(),
      default: false,
      doc: 'Whether queries that are alike in document, variables and caller share one execution while it is under way. Never mutations, and never across callers who may see different things. The subgraphs see the headers of the first.',
    }),
    introspection: option({ kind: boolean(), default: true, doc: 'Whether clients may ask for the schema.' }),
    graphiql: option({ kind: boolean(), default: false, dev: true, doc: 'Whether browsers that open `/graphql` get the explorer.' }),
  },
  transports: {
    trustedProxies: option({
      kind: list(
        text('an IP address or a network such as 10.0.0.0/8', (value) => parseNetwork(value) !== null),
        100,
      ),
      default: [],
      doc: 'Proxies whose `X-Forwarded-For` is believed, so that limits for each address count clients and not the proxy.',
    }),
    allowedOrigins: option({
      kind: list(text('an origin such as https://app.example.com, or *')),
      default: [],
      doc: 'Origins besides our own that browsers may connect from. Checked for WebSocket, for cookies and for CORS. `*` allows all; cookies are then taken from our own origin only.',
    }),
    initTimeout: option({
      kind: duration({ min: 100, max: MINUTE }),
      default: 3 * SECOND,
      doc: 'Time for `connection_init`; then close 4408.',
    }),
    keepAlive: option({
      kind: duration({ min: SECOND, max: HOUR }),
      default: 30 * SECOND,
      doc: 'A ping after this much silence; a WebSocket that does not answer is closed. SSE gets a comment, at least every 12 s.',
    }),
    compression: option({
      kind: boolean(),
      default: false,
      doc: 'permessage-deflate without a context between messages. Each different message of 1 KiB or more is compressed once, about 100 µs, for everybody who gets it.',
    }),
    maxMessageBytes: option({
      kind: size({ min: KIB, max: 64 * MIB }),
      default: 256 * KIB,
      doc: 'The largest message that a client may send. Larger: close 1009.',
    }),
  },
  access: {
    issuers: option<readonly IssuerConfig[]>({
      kind: list(issuer, 100),
      default: [],
      doc: 'Issuers whose tokens are accepted: `{issuer, audience?, algorithms?, jwksUrl | secret | publicKey, claims?}`. `secretFile` and `publicKeyFile` read the key from a file. In the environment and flags: JSON.',
    }),
    anonymous: option({
      kind: boolean(),
      default: false,
      dev: true,
      doc: 'Whether queries, mutations and connections without a token are accepted. A token that is sent but bad is always refused.',
    }),
    anonymousTenant: option({
      kind: optional(text('a tenant id')),
      default: null,
      doc: 'The tenant of those who come without a token; they hear live types of visibility PUBLIC in it. `none`: no live types.',
    }),
    clockTolerance: option({ kind: duration({ max: 5 * MINUTE }), default: 30 * SECOND, doc: 'How far clocks of issuers may be off.' }),
  },
  registry: {
    store: option({
      kind: choice(['sqlite', 'postgres']),
      default: 'sqlite',
      doc: 'Where schema versions live: a file in `dataDir`, or PostgreSQL.',
    }),
    postgresUrl: option({ kind: optional(url('postgres', 'postgresql')), default: null, secret: true, doc: 'Only for `store: postgres`.' }),
    urls: option({
      kind: list(url('http', 'https'), 20),
      default: [],
      doc: 'Processes with the role `registry`, for those without it: releases are followed at one of them, and at the next where it is away.',
    }),
    token: option({
      kind: optional(text('a bearer token')),
      default: null,
      secret: true,
      doc: 'What the registry is asked with: a token with the permission `registry:read`.',
    }),
  },
  cursor: {
    key: option({
      kind: optional(text('at least 32 characters', (value) => value.length >= 32)),
      default: null,
      secret: true,
      doc: 'Signs cursors; the same on every edge, so that a client can resume on any. Without it: a random key kept in `dataDir`.',
    }),
    previousKey: option({
      kind: optional(text('at least 32 characters', (value) => value.length >= 32)),
      default: null,
      secret: true,
      doc: 'Still accepted while keys are changed; never signs.',
    }),
  },
};

/** The validated configuration, every value present. Durations are milliseconds, sizes bytes. */
export type Config = Values<typeof options>;
