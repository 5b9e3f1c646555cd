import { type Clock, systemClock, type Timer } from '../kit/clock.ts';
import { toMillraceError } from '../kit/errors.ts';
import { type Logger, silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { within } from '../kit/patience.ts';
import { LIVE_SUBGRAPH } from '../supergraph/live-subgraph.ts';
import type { Release } from '../supergraph/release.ts';
import { Changes } from './changes.ts';
import { type Compose, Composer, versionUnknown } from './composer.ts';
import { createRegistryMetrics, type RegistryMetrics } from './metrics.ts';
import { decodeRelease } from './release-json.ts';
import { type DiffChange, diffReleases } from './schema-diff.ts';
import { schemaDigest } from './schema-identity.ts';
import type { HistoryRow, RegistryStore, SchemaRow, ServiceRow, Write } from './store.ts';

export type RegistryOptions = {
  readonly store: RegistryStore;
  readonly compose: Compose;
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly metrics?: Metrics;
  /** Ms between two looks for changes of other processes on the same database; null where there are none (node:sqlite). */
  readonly pollInterval?: number | null;
};

/** Ms that a push waits for its release to be in service in this process. */
export const ADOPTION_WAIT = 10_000;

export type ReleaseListener = (release: Release) => void | Promise<void>;

export const REGISTRY_DEFAULTS = { pollInterval: 2000 } as const;

export type PushRequest = {
  readonly name: string;
  readonly version: string;
  readonly typeDefs: string;
  readonly mappingDefs?: string | null;
  /** Null or left out: the one known. */
  readonly url?: string | null;
  readonly subscriptionUrl?: string | null;
};

export type Pin = { readonly name: string; readonly version: string };

/** A row of `compose`, and whether the caller named it. */
export type ComposedRow = { readonly row: SchemaRow; readonly pinned: boolean };

/** Loads the stored release, so that the last good supergraph is served from the first moment. Rejects as the store does. */
export async function openRegistry(options: RegistryOptions): Promise<Registry> {
  const registry = new Registry(options);
  await registry.start();
  return registry;
}

/** Schema versions and the release made of them. Normative: spec/registry-api.md. Create with `openRegistry`. */
export class Registry {
  readonly store: RegistryStore;
  readonly metrics: RegistryMetrics;
  readonly clock: Clock;
  readonly log: Logger;
  readonly #composer: Composer;
  readonly #changes: Changes;
  readonly #pollInterval: number | null;
  readonly #listeners = new Set<ReleaseListener>();
  #release: Release | null = null;
  #revision = -1;
  #poll: Timer | null = null;
  #closed = false;

  constructor(options: RegistryOptions) {
    this.store = options.store;
    this.clock = options.clock ?? systemClock;
    this.log = options.log ?? silentLogger;
    this.metrics = createRegistryMetrics(options.metrics ?? new Metrics());
    this.#pollInterval = options.pollInterval === undefined ? REGISTRY_DEFAULTS.pollInterval : options.pollInterval;
    this.#composer = new Composer(options.compose, this.clock, this.metrics);
    this.#changes = new Changes(this.store, this.#composer, this.clock, this.metrics, (release, revision) =>
      this.#publish(release, revision),
    );
  }

  async start(): Promise<void> {
    await this.refresh();
    this.#schedulePoll();
  }

  /** The last good release; null before the first. */
  release(): Release | null {
    return this.#release;
  }

  /**
   * Called with each new release, in order. Where it returns a promise, a push waits for it, at most `ADOPTION_WAIT`, so that who
   * pushes a schema can use it at once. A listener that throws is logged and does not stop the others. Returns a stop function.
   */
  onRelease(listener: ReleaseListener): () => void {
    // Wrapped, so that the same function given twice is two listeners with a stop of their own.
    const own: ReleaseListener = (release) => listener(release);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /**
   * All or nothing: the rows in the order given, when they are stored and the release is published. Rejects with SDL_INVALID, VERSION_TAKEN, the code of
   * the first composition problem, REGISTRY_BUSY, or as the store does. Services in `remove` are forgotten in the same change; unknown ones are no fault.
   */
  async push(requests: readonly PushRequest[], actor: string, remove: readonly string[] = []): Promise<readonly SchemaRow[]> {
    const writes: readonly Write[] = [...remove.map((service) => ({ kind: 'delete', service }) as const), ...requests.map(toWrite)];
    const { rows, changed } = await this.#changes.make({ writes, actor, force: false, purpose: 'the schemas do not compose' });
    if (changed)
      this.log.info({ services: requests.map((r) => `${r.name}@${r.version}`), actor, release: this.#release?.digest }, 'schemas pushed');
    return rows;
  }

  /** The checks of `push`, storing nothing. */
  async validate(requests: readonly PushRequest[]): Promise<void> {
    await this.#trial(requests);
  }

  /** What clients would see change. */
  async diff(request: PushRequest): Promise<readonly DiffChange[]> {
    const after = await this.#trial([request]);
    const before = this.#release;
    return before?.digest === after.digest ? [] : diffReleases(before, after);
  }

  latest(): Promise<readonly SchemaRow[]> {
    return this.store.active();
  }

  /** The versions named and the current ones of all other services, by service id. Rejects with VERSION_UNKNOWN or as `push` where they do not compose. */
  async compose(pins: readonly Pin[]): Promise<readonly ComposedRow[]> {
    const active = await this.store.active();
    const pinned = new Map<string, SchemaRow>();
    for (const { name, version } of pins) {
      const row = await this.store.version(name, version);
      if (!row) throw versionUnknown(name, version, 'is not registered');
      if (!row.isActive) throw versionUnknown(name, version, 'was deactivated');
      pinned.set(name, row);
    }
    const others = active.filter((row) => !pinned.has(row.service)).map((row) => ({ row, pinned: false }));
    const all = [...others, ...[...pinned.values()].map((row) => ({ row, pinned: true }))].toSorted(
      (a, b) => a.row.serviceId - b.row.serviceId,
    );
    if (all.length > 0)
      await this.#composer.compose(
        all.map(({ row }) => row),
        'the versions do not compose',
      );
    return all;
  }

  /** The row, now inactive; null for an unknown id. Rejects where what is left does not compose. */
  async deactivate(schemaId: number, actor: string): Promise<SchemaRow | null> {
    const purpose = `schema ${schemaId} cannot be deactivated, the rest would not compose`;
    const { rows } = await this.#changes.make({ writes: [{ kind: 'deactivate', schemaId }], actor, force: false, purpose });
    return rows[0] ?? null;
  }

  /** The service that was forgotten; null for an unknown name. Rejects where the rest does not compose, unless forced. */
  async deleteService(name: string, options: { readonly force: boolean }, actor: string): Promise<ServiceRow | null> {
    const service = await this.store.service(name);
    const purpose = `service "${name}" cannot be deleted, the rest would not compose (force=true deletes it all the same)`;
    const { changed } = await this.#changes.make({ writes: [{ kind: 'delete', service: name }], actor, force: options.force, purpose });
    return changed ? service : null;
  }

  /** Names of the services that this actor pushed last. */
  async servicesOf(actor: string): Promise<readonly string[]> {
    return [...(await this.store.lastPushers())].filter(([, pusher]) => pusher === actor).map(([service]) => service);
  }

  history(before: number | null, limit: number): Promise<readonly HistoryRow[]> {
    return this.store.history(before, limit);
  }

  /** Takes up what other processes have stored. */
  async refresh(): Promise<void> {
    const stored = await this.store.release();
    if (stored.revision <= this.#revision) return;
    if (stored.body !== null && stored.digest !== this.#release?.digest)
      await this.#publish(await this.#load(stored.body), stored.revision);
    this.#revision = Math.max(this.#revision, stored.revision);
    this.metrics.services.set((await this.store.active()).length);
  }

  /** Waits for running changes. The store stays open: it belongs to whoever opened it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#poll?.cancel();
    await this.#changes.idle();
    this.#listeners.clear();
  }

  async #trial(requests: readonly PushRequest[]): Promise<Release> {
    const preview = await this.store.preview(requests.map(toWrite), new Date(this.clock.now()).toISOString());
    return this.#composer.compose(preview.active, 'the schemas do not compose');
  }

  /** A stored release that this program cannot read (another format) is made again from the stored schemas. */
  async #load(body: string): Promise<Release> {
    try {
      return decodeRelease(body);
    } catch (thrown) {
      this.log.warn({ reason: toMillraceError(thrown).message }, 'stored release is composed again');
      return this.#composer.compose(await this.store.active(), 'the stored schemas do not compose');
    }
  }

  async #publish(release: Release, revision: number): Promise<void> {
    // A look at the store that began before our own change must not bring the release before it back.
    if (revision < this.#revision) return;
    this.#revision = revision;
    if (release.digest === this.#release?.digest) return;
    this.#release = release;
    this.metrics.releases.inc();
    this.metrics.services.set([...release.subgraphs.values()].filter((target) => target.name !== LIVE_SUBGRAPH).length);
    const adopted = Promise.all([...this.#listeners].map((listener) => this.#tell(listener, release)));
    await within(this.clock, ADOPTION_WAIT, adopted);
  }

  /** Never rejects, since a listener's failure is not the pusher's. */
  async #tell(listener: ReleaseListener, release: Release): Promise<void> {
    try {
      await listener(release);
    } catch (thrown) {
      this.log.error({ err: thrown, release: release.digest }, 'a release listener failed');
    }
  }

  #schedulePoll(): void {
    if (this.#closed || this.#pollInterval === null) return;
    this.#poll = this.clock.after(this.#pollInterval, () => {
      this.refresh()
        .catch((thrown: unknown) =>
          this.log.warn({ reason: toMillraceError(thrown).message }, 'registry store not reached; the last good release is served'),
        )
        .finally(() => this.#schedulePoll());
    });
  }
}

function toWrite(request: PushRequest): Write {
  const mappingDefs = request.mappingDefs ?? null;
  return {
    kind: 'push',
    service: request.name,
    version: request.version,
    digest: schemaDigest(request.name, request.typeDefs, mappingDefs),
    typeDefs: request.typeDefs,
    mappingDefs,
    url: request.url ?? null,
    subscriptionUrl: request.subscriptionUrl ?? null,
  };
}
