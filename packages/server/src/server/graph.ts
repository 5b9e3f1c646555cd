import { join } from 'node:path';
import type { TopicTypes } from '../brokers/event-intake.ts';
import { type LiveType, liveTopicOf } from '../events/live-type.ts';
import { type Registry, openRegistry } from '../registry/registry.ts';
import { createRemoteReleasesMetrics } from '../registry/metrics.ts';
import { openRemoteReleases } from '../registry/remote-releases.ts';
import { registrySource } from '../registry/source.ts';
import { openPostgresStore } from '../registry/postgres-store.ts';
import { openSqliteStore } from '../registry/sqlite-store.ts';
import type { RegistryStore } from '../registry/store.ts';
import { type ManagedGenerations, createGenerations } from '../supergraph/generations.ts';
import { createSupergraphMetrics } from '../supergraph/metrics.ts';
import type { Release, SupergraphSource } from '../supergraph/release.ts';
import type { Base } from './base.ts';

export type Graph = {
  /** Null where other processes are the registry. */
  readonly registry: Registry | null;
  /** Null where nobody asks for them here: without the roles gateway and edge. */
  readonly generations: ManagedGenerations | null;
  readonly topics: Topics;
  /**
   * Resolves when schemas are known, or it is known that there are none: at once but for a process that has neither heard of a registry
   * nor kept a release. Taking events in before would make dead letters of all of them.
   */
  readonly known: Promise<void>;
  readonly waiting: () => boolean;
};

/** What the rest of the program has to know of a registry, here or elsewhere. */
type Releases = { readonly source: SupergraphSource; readonly release: Release | null; readonly waiting: boolean };

/** Path (c): a schema push becomes a release, a release becomes a generation. The last good release is there from the start. */
export async function openGraph(base: Base): Promise<Graph> {
  const registry = base.has('registry') ? await openOwnRegistry(base) : null;
  const { source, release, waiting } = registry ? ownReleases(registry) : await followedReleases(base);
  const topics = new Topics();
  const known = Promise.withResolvers<void>();
  if (release) topics.take(release);
  let isWaiting = waiting;
  if (!waiting) known.resolve();
  const stop = source.watch((next) => {
    topics.take(next);
    isWaiting = false;
    known.resolve();
  });
  base.closing.defer(stop);
  const generations = base.has('gateway') || base.has('edge') ? openGenerations(base, source) : null;
  return { registry, generations, topics, known: known.promise, waiting: () => isWaiting };
}

async function openOwnRegistry(base: Base): Promise<Registry> {
  const { clock, log, metrics, closing, config } = base;
  const store = await openStore(base);
  closing.defer(() => store.close());
  const registry = await openRegistry({
    store,
    // Loaded with the first push that changes something: a process that starts with what it had has no use for it.
    compose: async (services) => (await import('../supergraph/compose.ts')).composeRelease(services),
    clock,
    log,
    metrics,
    pollInterval: config.registry.store === 'postgres' ? POLL_MS : null,
  });
  closing.defer(() => registry.close());
  return registry;
}

function ownReleases(registry: Registry): Releases {
  return { source: registrySource(registry), release: registry.release(), waiting: false };
}

async function followedReleases({ config, dataDir, clock, random, log, metrics, closing }: Base): Promise<Releases> {
  const { urls, token } = config.registry;
  const file = join(dataDir, 'release.json');
  const followed = openRemoteReleases({ urls, token, file, metrics: createRemoteReleasesMetrics(metrics), clock, random, log });
  closing.defer(() => followed.close());
  return { source: followed, release: await followed.current(), waiting: followed.waiting };
}

function openGenerations({ config, rooms, clock, log, metrics, tracer, closing }: Base, source: SupergraphSource): ManagedGenerations {
  const generations = createGenerations({
    source,
    clock,
    log,
    metrics: createSupergraphMetrics(metrics),
    tracer,
    limits: rooms.operations,
    introspection: config.gateway.introspection,
    shareQueries: config.gateway.shareQueries,
    suggestions: config.mode === 'dev',
    batchWindowMs: config.enrichment.batchWindow,
    batchMax: config.enrichment.maxBatch,
  });
  closing.defer(() => generations.close());
  return generations;
}

/** Ms between two looks at the revision in PostgreSQL, one small query: a push at one process is known to all within a second. */
const POLL_MS = 500;

function openStore({ config, dataDir, log }: Base): Promise<RegistryStore> {
  const { store, postgresUrl } = config.registry;
  return store === 'postgres' ? openPostgresStore({ url: postgresUrl ?? '', log }) : openSqliteStore(join(dataDir, 'registry.sqlite'));
}

/** The live types of the current release by topic: what the door and ingest map with. */
export class Topics implements TopicTypes {
  #byTopic: ReadonlyMap<string, readonly LiveType[]> = new Map();

  take(release: Release): void {
    this.#byTopic = Map.groupBy(release.liveTypes, liveTopicOf);
  }

  typesOf(topic: string): readonly LiveType[] {
    return this.#byTopic.get(topic) ?? [];
  }

  has(topic: string): boolean {
    return this.#byTopic.has(topic);
  }

  names(): Iterable<string> {
    return this.#byTopic.keys();
  }
}
