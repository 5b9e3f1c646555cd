import { isLoopbackHost } from '../../kit/loopback.ts';
import type { Config } from '../options.ts';
import { topicsOf } from './broker.ts';

export type Conflict = { readonly keys: readonly string[]; readonly what: string };

/** What no single value can show: combinations that would be unsafe or can never work. Every conflict, not only the first. */
export function conflicts(config: Config): Conflict[] {
  return [
    ...modeConflicts(config),
    ...portConflicts(config),
    ...roleConflicts(config),
    ...boundConflicts(config),
    ...storeConflicts(config),
    ...redisConflicts(config),
    ...brokerConflicts(config),
  ];
}

function modeConflicts({ mode, host, access, transports }: Config): Conflict[] {
  const out: Conflict[] = [];
  if (mode === 'dev' && !isLoopbackHost(host)) {
    out.push({
      keys: ['mode', 'host'],
      what: `dev mode accepts tokens that anybody can make, so it listens on loopback only; host is ${host}`,
    });
  }
  if (mode === 'production' && access.issuers.length === 0 && !access.anonymous) {
    out.push({
      keys: ['access.issuers', 'access.anonymous'],
      what: 'nobody could sign in: name at least one issuer, or set access.anonymous',
    });
  }
  if (access.anonymousTenant !== null && !access.anonymous) {
    out.push({
      keys: ['access.anonymousTenant', 'access.anonymous'],
      what: 'a tenant for anonymous sessions needs access.anonymous: true',
    });
  }
  const names = access.issuers.map(({ issuer }) => issuer);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) out.push({ keys: ['access.issuers'], what: `the issuer ${twice} is named twice` });
  if (transports.allowedOrigins.includes('*') && transports.allowedOrigins.length > 1) {
    out.push({ keys: ['transports.allowedOrigins'], what: '* allows every origin: remove the others, or remove *' });
  }
  return out;
}

/** Which roles may be apart, and what holds them together then. */
function roleConflicts({ roles, registry, channels, supergraphConfig }: Config): Conflict[] {
  const out: Conflict[] = [];
  if (roles.length === 0) out.push({ keys: ['roles'], what: 'a process without a role does nothing' });
  const twice = roles.find((role, index) => roles.indexOf(role) !== index);
  if (twice !== undefined) out.push({ keys: ['roles'], what: `${twice} is named twice` });
  const [isRegistry, isIngest, isEdge] = (['registry', 'ingest', 'edge'] as const).map((role) => roles.includes(role));
  if (!isRegistry && registry.urls.length === 0)
    out.push({
      keys: ['roles', 'registry.urls'],
      what: 'without the role registry the schemas come from processes that have it: name them',
    });
  if (!isRegistry && supergraphConfig !== null)
    out.push({ keys: ['roles', 'supergraphConfig'], what: 'schemas are pushed to the registry, which is elsewhere' });
  if (isIngest !== isEdge && channels.kind === 'memory')
    out.push({
      keys: ['roles', 'channels.kind'],
      what: 'ingest and edge in different processes meet in channels that both can reach: set channels.kind to redis',
    });
  return out;
}

function portConflicts({ port, registryPort, adminPort }: Config): Conflict[] {
  const taken = new Map<number, string>();
  const out: Conflict[] = [];
  const ports = [
    ['port', port],
    ['registryPort', registryPort ?? (port === 0 ? 0 : port + 1)],
    ['adminPort', adminPort ?? (port === 0 ? 0 : port + 2)],
  ] as const;
  for (const [key, value] of ports) {
    const other = taken.get(value);
    if (value > 65_535) out.push({ keys: ['port', key], what: `${key} would be ${value}; the highest port is 65535` });
    if (value !== 0 && other !== undefined) out.push({ keys: [other, key], what: `both are ${value}` });
    taken.set(value, key);
  }
  return out;
}

function boundConflicts({ ingest, channels, live }: Config): Conflict[] {
  const pairs = [
    ['ingest.backoffMin', ingest.backoffMin, 'ingest.backoffMax', ingest.backoffMax],
    ['ingest.maxEventBytes', ingest.maxEventBytes, 'ingest.maxBodyBytes', ingest.maxBodyBytes],
    ['ingest.maxBodyBytes', ingest.maxBodyBytes, 'ingest.maxInFlightBytes', ingest.maxInFlightBytes],
    ['channels.historyBytes', channels.historyBytes, 'channels.totalBytes', channels.totalBytes],
    ['live.maxSessionsPerTenant', live.maxSessionsPerTenant, 'live.maxSessions', live.maxSessions],
  ] as const;
  return pairs
    .filter(([, small, , large]) => small > large)
    .map(([smallKey, small, largeKey, large]) => ({
      keys: [smallKey, largeKey],
      what: `${smallKey} (${small}) may not be more than ${largeKey} (${large})`,
    }));
}

function storeConflicts({ registry, cursor }: Config): Conflict[] {
  const out: Conflict[] = [];
  if (registry.store === 'postgres' && registry.postgresUrl === null) {
    out.push({ keys: ['registry.store', 'registry.postgresUrl'], what: 'the PostgreSQL store needs registry.postgresUrl' });
  }
  if (registry.store === 'sqlite' && registry.postgresUrl !== null) {
    out.push({ keys: ['registry.store', 'registry.postgresUrl'], what: 'registry.postgresUrl is given, but the store is sqlite' });
  }
  if (cursor.previousKey !== null && cursor.key === null) {
    out.push({ keys: ['cursor.previousKey', 'cursor.key'], what: 'a previous key without a key' });
  }
  return out;
}

function redisConflicts({ roles, channels, cursor }: Config): Conflict[] {
  const { mode, urls, masterName, certFile, keyFile, ...rest } = channels.redis;
  const out: Conflict[] = [];
  const wrong = (wanted: boolean, keys: readonly string[], what: string): void => {
    if (wanted) out.push({ keys, what });
  };
  if (channels.kind === 'memory') {
    wrong(urls.length > 0, ['channels.kind', 'channels.redis.urls'], 'channels.redis.urls is given, but the channels are in memory');
    return out;
  }
  wrong(urls.length === 0, ['channels.kind', 'channels.redis.urls'], 'channels in Redis need channels.redis.urls');
  wrong(mode === 'standalone' && urls.length > 1, ['channels.redis.mode', 'channels.redis.urls'], 'a standalone Redis has one URL');
  const masterMissing = mode === 'sentinel' && masterName === null;
  wrong(masterMissing, ['channels.redis.mode', 'channels.redis.masterName'], 'sentinels are asked for a master by its name');
  const sentinelOnly = masterName !== null || rest.sentinelUsername !== null || rest.sentinelPassword !== null;
  wrong(mode !== 'sentinel' && sentinelOnly, ['channels.redis.mode'], 'masterName and the sentinels’ user are for mode sentinel only');
  const schemes = new Set(urls.map((url) => new URL(url).protocol));
  wrong(schemes.size > 1, ['channels.redis.urls'], 'all with TLS (rediss://), or none');
  const tlsFiles = rest.caFile !== null || certFile !== null || keyFile !== null;
  wrong(!schemes.has('rediss:') && tlsFiles, ['channels.redis.urls'], 'certificates are given, but the URLs are without TLS (rediss://)');
  wrong(
    (certFile === null) !== (keyFile === null),
    ['channels.redis.certFile', 'channels.redis.keyFile'],
    'a certificate and its key go together',
  );
  wrong(
    rest.username !== null && rest.password === null,
    ['channels.redis.username', 'channels.redis.password'],
    'a user without a password',
  );
  wrong(channels.historyCount === 0, ['channels.historyCount'], 'in Redis what is not heard is read from history: keep at least one event');
  wrong(
    cursor.key === null && roles.includes('edge'),
    ['channels.kind', 'cursor.key'],
    'processes that share channels share cursor.key too: clients resume on any of them',
  );
  return out;
}

function brokerConflicts({ brokers, channels }: Config): Conflict[] {
  const out: Conflict[] = [];
  const twice = (values: readonly string[]): string | undefined => values.find((value, index) => values.indexOf(value) !== index);
  const name = twice(brokers.map((each) => each.name));
  if (name !== undefined) out.push({ keys: ['brokers'], what: `two brokers are named ${name}` });
  const topic = twice(brokers.flatMap((each) => topicsOf(each).map(({ as }) => as)));
  if (topic !== undefined) out.push({ keys: ['brokers'], what: `the live topic ${topic} comes from two places` });
  if (brokers.some(({ delivery }) => delivery === 'effectively-once') && channels.kind === 'memory' && !channels.journal) {
    out.push({
      keys: ['brokers', 'channels.journal'],
      what: 'effectively-once needs channels.journal: without it a restart forgets which events were published',
    });
  }
  return out;
}
