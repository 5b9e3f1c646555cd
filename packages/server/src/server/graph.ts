import { join } from 'node:path';
import type { TopicTypes } from '../brokers/event-intake.ts';
import { type LiveType, liveTopicOf } from '../events/live-type.ts';
import { type Registry, openRegistry } from '../registry/registry.ts';
import { registrySource } from '../registry/source.ts';
import { openPostgresStore } from '../registry/postgres-store.ts';
import { openSqliteStore } from '../registry/sqlite-store.ts';
import type { RegistryStore } from '../registry/store.ts';
import { type ManagedGenerations, createGenerations } from '../supergraph/generations.ts';
import { createSupergraphMetrics } from '../supergraph/metrics.ts';
import type { Release } from '../supergraph/release.ts';
import type { Base } from './base.ts';

export type Graph = { readonly registry: Registry; readonly generations: ManagedGenerations; readonly topics: Topics };

/** Path (c): a schema push becomes a release, a release becomes a generation. The last good release is there from the start. */
export async function openGraph(base: Base): Promise<Graph> {
  const { clock, log, metrics, closing, config, rooms } = base;
  const store = await openStore(base);
  closing.defer(() => store.close());
  const registry = await openRegistry({
    store,
    // Loaded with the first push that changes something: a process that starts with what it had has no use for it.
    compose: async (services) => (await import('../supergraph/compose.ts')).composeRelease(services),
    clock,
    log,
    metrics,
    pollInterval: config.registry.store === 'postgres' ? 2_000 : null,
  });
  closing.defer(() => registry.close());
  const topics = new Topics();
  const known = registry.release();
  if (known) topics.take(known);
  closing.defer(registry.onRelease((release) => topics.take(release)));
  const generations = createGenerations({
    source: registrySource(registry),
    clock,
    log,
    metrics: createSupergraphMetrics(metrics),
    limits: rooms.operations,
    introspection: config.gateway.introspection,
    shareQueries: config.gateway.shareQueries,
    suggestions: config.mode === 'dev',
    batchWindowMs: config.enrichment.batchWindow,
    batchMax: config.enrichment.maxBatch,
  });
  closing.defer(() => generations.close());
  return { registry, generations, topics };
}

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
