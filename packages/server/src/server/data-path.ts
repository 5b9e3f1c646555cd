import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EmbeddedLog, openEmbeddedLog } from '../brokers/embedded-log.ts';
import { type BrokersMetrics, createBrokersMetrics } from '../brokers/metrics.ts';
import type { DeadLetters } from '../brokers/dead-letters.ts';
import type { EventSink } from '../brokers/event-sink.ts';
import type { EventSource } from '../brokers/event-source.ts';
import { RoutingSink } from '../brokers/routing-sink.ts';
import type { Channels } from '../channels/channels.ts';
import { MEMORY_CHANNELS_DEFAULTS, MemoryChannels } from '../channels/memory.ts';
import { type ChannelsMetrics, createChannelsMetrics, createRedisMetrics } from '../channels/metrics.ts';
import type { RedisTls } from '../channels/redis-options.ts';
import { openSqliteJournal } from '../channels/sqlite-journal.ts';
import { EventTrace } from '../ingest/event-trace.ts';
import { IngestWorker } from '../ingest/ingest-worker.ts';
import { createIngestMetrics } from '../ingest/metrics.ts';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import type { Base } from './base.ts';
import type { ForeignBrokers } from './brokers.ts';
import type { Config } from './config.ts';
import { serverErrors } from './errors.ts';
import type { Topics } from './graph.ts';

export type DataPath = {
  /** Null where the process neither takes events in nor holds subscriptions. */
  readonly channels: Channels | null;
  readonly ingest: IngestSide | null;
};

/** What a process with the role ingest has. */
export type IngestSide = {
  readonly log: EmbeddedLog;
  /** Where `POST /events` appends: the embedded log, or the broker that a topic comes from. */
  readonly sink: EventSink;
  readonly trace: EventTrace;
  /** Shared by the log and the door to it. */
  readonly brokersMetrics: BrokersMetrics;
  /** Begins to take events in. */
  start(): Promise<void>;
};

/**
 * The first half of path (a): the durable log, the workers that take records in, the channels that they publish to. Rejects where the
 * channels are in Redis and it cannot be used.
 */
export async function openDataPath(base: Base, topics: Topics): Promise<DataPath> {
  if (!base.has('ingest') && !base.has('edge')) return { channels: null, ingest: null };
  const channels = await openChannels(base);
  base.closing.defer(() => channels.close());
  return { channels, ingest: base.has('ingest') ? await openIngest(base, topics, channels) : null };
}

async function openIngest(base: Base, topics: Topics, channels: Channels): Promise<IngestSide> {
  const { closing, clock, random, metrics, rooms, log: logger } = base;
  const brokersMetrics = createBrokersMetrics(metrics);
  const log = openEmbeddedLog(join(base.dataDir, 'events.sqlite'), { logger, metrics: brokersMetrics, clock }, rooms.embeddedLog);
  closing.defer(() => log.close());
  const trace = new EventTrace();
  closing.defer(() => trace.close());
  const foreign = await openBrokers(base, log.deadLetters, brokersMetrics);
  const ingestMetrics = createIngestMetrics(metrics, trace);
  const worker = (source: EventSource): IngestWorker => {
    const liveTypesFor = (topic: string) => topics.typesOf(topic);
    const made = new IngestWorker(
      { source, channels, liveTypesFor, trace, clock, random, logger, metrics: ingestMetrics, tracer: base.tracer },
      rooms.ingest,
    );
    closing.defer(() => made.stop());
    return made;
  };
  const workers = [log.source('ingest'), ...foreign.sources].map(worker);
  const start = async (): Promise<void> => {
    await Promise.all(workers.map((each) => each.start()));
  };
  return { log, sink: new RoutingSink(foreign.sinks, log.sink), trace, brokersMetrics, start };
}

/** The clients of Kafka and RabbitMQ are loaded where they are asked for: they cost a start a hundred ms and fifty megabytes. */
async function openBrokers(base: Base, deadLetters: DeadLetters, metrics: BrokersMetrics): Promise<ForeignBrokers> {
  if (base.config.brokers.length === 0) return { sources: [], sinks: new Map() };
  const { createBrokers } = await import('./brokers.ts');
  return createBrokers(base, deadLetters, metrics);
}

async function openChannels(base: Base): Promise<Channels> {
  const { rooms, metrics: registry, clock, random, log: logger } = base;
  const metrics = createChannelsMetrics(registry);
  if (rooms.redis === null) return openMemoryChannels(base, metrics);
  const deps = { logger, metrics, redisMetrics: createRedisMetrics(registry), clock, random };
  // Who only listens is in nobody's way: new channels wait for the word of those who publish.
  // Loaded where it is asked for, as the brokers are.
  const { RedisChannels } = await import('../channels/redis.ts');
  return RedisChannels.open({ ...rooms.redis, tls: redisTls(base.config.channels.redis), publishes: base.has('ingest') }, deps);
}

function openMemoryChannels({ config, rooms, dataDir, clock, random, log: logger }: Base, metrics: ChannelsMetrics): MemoryChannels {
  const options = { ...MEMORY_CHANNELS_DEFAULTS, ...rooms.channels };
  const journal = config.channels.journal
    ? openSqliteJournal(join(dataDir, 'channels.sqlite'), {
        maxEvents: options.maxEvents,
        duplicateWindow: Math.max(options.duplicateWindow, options.maxEvents),
      })
    : null;
  return new MemoryChannels({ logger, metrics, clock, random, ...(journal ? { journal } : {}) }, options);
}

function redisTls({ urls, caFile, certFile, keyFile }: Config['channels']['redis']): RedisTls | null {
  if (!urls.some((url) => url.startsWith('rediss:'))) return null;
  const read = (option: string, path: string): string => {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      throw new MillraceError(
        serverErrors.FILE_UNREADABLE,
        `channels.redis.${option}: ${path} cannot be read: ${reasonOf(error)}`,
        {},
        error,
      );
    }
  };
  const client = certFile !== null && keyFile !== null ? { cert: read('certFile', certFile), key: read('keyFile', keyFile) } : null;
  return { ca: caFile === null ? null : read('caFile', caFile), client };
}
