import { type Clock, type Timer, systemClock } from '../kit/clock.ts';
import { toMillraceError } from '../kit/errors.ts';
import { type Logger, silentLogger } from '../kit/log.ts';
import { type BuiltGeneration, type GenerationSettings, buildGeneration } from './build-generation.ts';
import { supergraphErrors } from './errors.ts';
import type { Generation, GenerationLease, Generations, SubgraphClient } from './generation.ts';
import type { SupergraphMetrics } from './metrics.ts';
import { OPERATION_LIMITS, type OperationLimits } from './operation-document.ts';
import { type Planner, createPlanner } from './planner.ts';
import type { Tracer } from '../kit/tracer.ts';
import type { Release, SupergraphSource } from './release.ts';
import { type SubgraphClientOptions, createSubgraphClient } from './subgraph-client.ts';

export type GenerationsOptions = {
  readonly source: SupergraphSource;
  readonly metrics?: SupergraphMetrics;
  /** Without it nothing is traced. */
  readonly tracer?: Tracer;
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Default: one planner in a worker thread, closed with the generations. */
  readonly planner?: Planner;
  /** Makes the client of a release; default: HTTP with `subgraphs`. */
  readonly client?: (release: Release) => SubgraphClient;
  readonly subgraphs?: Omit<SubgraphClientOptions, 'targets' | 'metrics' | 'clock' | 'tracer'>;
  readonly limits?: Partial<OperationLimits>;
  readonly preparedMax?: number;
  readonly preparedTextMax?: number;
  readonly preparedBytesMax?: number;
  /** Whether validation errors suggest names; off for strangers. */
  readonly suggestions?: boolean;
  readonly introspection?: boolean;
  /** Identical queries under way share one execution. */
  readonly shareQueries?: boolean;
  /** Entity fetches of queries, too, wait for others to merge with. */
  readonly batchQueries?: boolean;
  readonly batchWindowMs?: number;
  readonly batchMax?: number;
  /** Time for the enrichment of one event of a hand-written subscription, ms. */
  readonly streamFetchMs?: number;
  /** After this a replaced generation is disposed of although somebody still holds it, ms. */
  readonly drainMs?: number;
  /** A release could not be built; the one before stays. */
  readonly onFailure?: (release: Release, error: Error) => void;
};

export const GENERATIONS_DEFAULTS = {
  preparedMax: 2000,
  preparedTextMax: 100_000,
  preparedBytesMax: 128 * 1024 * 1024,
  suggestions: true,
  introspection: true,
  shareQueries: false,
  batchQueries: false,
  batchWindowMs: 0,
  batchMax: 500,
  streamFetchMs: 10_000,
  drainMs: 600_000,
} as const;

const RETRY_MS = 1000;

export type ManagedGenerations = Generations & {
  /** Resolves when the release that the source had at the start is current (or failed, or there was none). */
  readonly ready: Promise<void>;
};

/**
 * Keeps the current generation: each release is built beside the running one, swapped in by one reference, and the one before is disposed
 * of when its last lease ends. Releases are taken one at a time; of several that come meanwhile only the last is built.
 */
export function createGenerations(options: GenerationsOptions): ManagedGenerations {
  return new ReleaseGenerations(options);
}

type Held = { readonly generation: BuiltGeneration; leases: number; replaced: boolean; disposed: boolean; timer: Timer | null };

class ReleaseGenerations implements ManagedGenerations {
  readonly ready: Promise<void>;
  readonly #options: GenerationsOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #planner: Planner;
  readonly #listeners = new Set<(next: Generation, previous: Generation | null) => void>();
  readonly #kept = new Set<Held>();
  readonly #stopWatching: () => void;
  #current: Held | null = null;
  #next: Release | null = null;
  #building: Promise<void> | null = null;
  #numbers = 0;
  #closed = false;

  constructor(options: GenerationsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#planner =
      options.planner ?? createPlanner({ clock: this.#clock, log: this.#log, onCrash: () => options.metrics?.plannerCrashes.inc() });
    this.#stopWatching = options.source.watch((release) => this.#take(release));
    this.ready = this.#start();
  }

  async #start(): Promise<void> {
    try {
      const release = await this.#options.source.current();
      // A release that `watch` brought meanwhile is newer than what `current` was asked for.
      if (release && !this.#next && !this.#current && !this.#building) await this.#take(release);
      else await this.#building;
    } catch (error) {
      this.#log.error({ err: error }, 'the first release could not be read');
    }
  }

  lease(): GenerationLease | null {
    const held = this.#current;
    if (!held || this.#closed) return null;
    held.leases++;
    let released = false;
    return {
      generation: held.generation,
      release: () => {
        if (released) return;
        released = true;
        held.leases--;
        this.#disposeIfDone(held);
      },
    };
  }

  onSwap(listener: (next: Generation, previous: Generation | null) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #take(release: Release): Promise<void> {
    this.#next = release;
    this.#building ??= this.#buildAll().finally(() => (this.#building = null));
    return this.#building;
  }

  async #buildAll(): Promise<void> {
    for (let release = this.#next; release && !this.#closed; release = this.#next) {
      this.#next = null;
      if (release.digest === this.#current?.generation.digest) continue;
      await this.#build(release);
    }
  }

  async #build(release: Release): Promise<void> {
    const client = this.#client(release);
    try {
      const generation = await buildGeneration(this.#settings(release, client));
      if (this.#closed) await generation.dispose();
      else this.#swap(generation);
    } catch (error) {
      await client.close();
      const failure = toMillraceError(error);
      this.#options.metrics?.swapFailures.inc();
      this.#log.error({ err: error, digest: release.digest }, 'the release could not be built; the one before stays');
      this.#options.onFailure?.(release, failure);
      // The planner is back in a moment; without another try the release would wait for the next push.
      if (failure.spec === supergraphErrors.PLANNER_UNAVAILABLE && !this.#closed)
        this.#clock.after(RETRY_MS, () => {
          if (!this.#closed && !this.#next) void this.#take(release);
        });
    }
  }

  #client(release: Release): SubgraphClient {
    const { client, subgraphs, metrics, tracer } = this.#options;
    const given = { ...(metrics ? { metrics } : {}), ...(tracer ? { tracer } : {}) };
    return client?.(release) ?? createSubgraphClient({ ...subgraphs, targets: release.subgraphs, clock: this.#clock, ...given });
  }

  #settings(release: Release, client: SubgraphClient): GenerationSettings {
    const { metrics, limits, ...rest } = this.#options;
    const given = { ...GENERATIONS_DEFAULTS, ...rest };
    return {
      number: ++this.#numbers,
      release,
      client,
      planner: this.#planner,
      clock: this.#clock,
      metrics: metrics ?? null,
      limits: { ...OPERATION_LIMITS, ...limits },
      preparedMax: given.preparedMax,
      preparedTextMax: given.preparedTextMax,
      preparedBytesMax: given.preparedBytesMax,
      suggestions: given.suggestions,
      introspection: given.introspection,
      shareQueries: given.shareQueries,
      batchQueries: given.batchQueries,
      batchWindowMs: given.batchWindowMs,
      batchMax: given.batchMax,
      streamFetchMs: given.streamFetchMs,
    };
  }

  #swap(generation: BuiltGeneration): void {
    const previous = this.#current;
    const held: Held = { generation, leases: 0, replaced: false, disposed: false, timer: null };
    this.#kept.add(held);
    this.#current = held;
    this.#options.metrics?.swaps.inc();
    this.#options.metrics?.generation.set(generation.number);
    this.#log.info({ generation: generation.number, digest: generation.digest.slice(0, 12) }, 'supergraph taken over');
    // A lease for the listeners' time, so that they may still work with the one before.
    if (previous) previous.leases++;
    for (const listener of this.#listeners) this.#tell(listener, generation, previous?.generation ?? null);
    if (previous) this.#retire(previous);
    this.#options.metrics?.generationsKept.set(this.#kept.size);
  }

  #tell(listener: (next: Generation, previous: Generation | null) => void, next: Generation, previous: Generation | null): void {
    try {
      listener(next, previous);
    } catch (error) {
      this.#log.error({ err: error }, 'a listener failed at the swap of a generation');
    }
  }

  #retire(held: Held): void {
    held.leases--;
    held.replaced = true;
    held.timer = this.#clock.after(this.#options.drainMs ?? GENERATIONS_DEFAULTS.drainMs, () => {
      if (!held.disposed)
        this.#log.warn({ generation: held.generation.number, leases: held.leases }, 'a replaced generation was not given back in time');
      void this.#dispose(held);
    });
    this.#disposeIfDone(held);
  }

  #disposeIfDone(held: Held): void {
    if (held.replaced && held.leases === 0) void this.#dispose(held);
  }

  async #dispose(held: Held): Promise<void> {
    if (held.disposed) return;
    held.disposed = true;
    held.timer?.cancel();
    this.#kept.delete(held);
    this.#options.metrics?.generationsKept.set(this.#kept.size);
    try {
      await held.generation.dispose();
    } catch (error) {
      this.#log.error({ err: error }, 'a generation could not be disposed of');
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopWatching();
    await this.#planner.close();
    await this.#building;
    this.#current = null;
    await Promise.all([...this.#kept].map((held) => this.#dispose(held)));
  }
}
