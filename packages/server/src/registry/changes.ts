import type { Clock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import type { Release } from '../supergraph/release.ts';
import type { Composer } from './composer.ts';
import { registryErrors } from './errors.ts';
import type { RegistryMetrics } from './metrics.ts';
import { encodeRelease } from './release-json.ts';
import type { Preview, RegistryStore, SchemaRow, Write } from './store.ts';

export type ChangeRequest = {
  readonly writes: readonly Write[];
  readonly actor: string;
  /** Begins the message where the result does not compose. */
  readonly purpose: string;
  /** Make the change although the result does not compose; the release in service stays. */
  readonly force: boolean;
};

export type ChangeResult = { readonly changed: boolean; readonly rows: readonly SchemaRow[] };

/** Changes waiting in this process, and tries of one change against other processes. */
export const QUEUE_MAX = 1000;
export const TRIES_MAX = 10;

/**
 * Changes, one at a time in this process: preview, compose outside any transaction, commit at the previewed revision. Where another
 * process committed in between, the whole is done again on what it left, so that what is stored was always composed as stored.
 */
export class Changes {
  readonly #store: RegistryStore;
  readonly #composer: Composer;
  readonly #clock: Clock;
  readonly #metrics: RegistryMetrics;
  readonly #onRelease: (release: Release, revision: number) => Promise<void>;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(
    store: RegistryStore,
    composer: Composer,
    clock: Clock,
    metrics: RegistryMetrics,
    onRelease: (release: Release, revision: number) => Promise<void>,
  ) {
    this.#store = store;
    this.#composer = composer;
    this.#clock = clock;
    this.#metrics = metrics;
    this.#onRelease = onRelease;
  }

  make(request: ChangeRequest): Promise<ChangeResult> {
    if (this.#waiting >= QUEUE_MAX) {
      this.#metrics.changes.inc({ kind: kindOf(request), outcome: registryErrors.REGISTRY_BUSY.code });
      return Promise.reject(busy());
    }
    this.#waiting += 1;
    const work = this.#tail
      .then(() => this.#make(request))
      .finally(() => {
        this.#waiting -= 1;
      });
    this.#tail = work.catch(() => undefined);
    return work;
  }

  /** Resolves when the changes that were asked for so far are done. */
  async idle(): Promise<void> {
    await this.#tail;
  }

  async #make(request: ChangeRequest): Promise<ChangeResult> {
    const kind = kindOf(request);
    try {
      const result = await this.#retried(request);
      this.#metrics.changes.inc({ kind, outcome: result.changed ? 'changed' : 'unchanged' });
      return result;
    } catch (thrown) {
      this.#metrics.changes.inc({ kind, outcome: thrown instanceof MillraceError ? thrown.code : 'INTERNAL' });
      throw thrown;
    }
  }

  async #retried(request: ChangeRequest): Promise<ChangeResult> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const result = await this.#attempt(request);
      if (result) return result;
      this.#metrics.conflicts.inc();
    }
    throw busy();
  }

  async #attempt({ writes, actor, purpose, force }: ChangeRequest): Promise<ChangeResult | null> {
    const at = new Date(this.#clock.now()).toISOString();
    const preview = await this.#store.preview(writes, at);
    if (!preview.changed) return { changed: false, rows: preview.rows };
    const release = await this.#release(preview, purpose, force);
    const stored = release === null || release.digest === preview.release ? null : { digest: release.digest, body: encodeRelease(release) };
    const rows = await this.#store.commit(preview.revision, { writes, release: stored, at, actor });
    if (rows === null) return null;
    if (release) await this.#onRelease(release, preview.revision + 1);
    return { changed: true, rows };
  }

  async #release(preview: Preview, purpose: string, force: boolean): Promise<Release | null> {
    try {
      return await this.#composer.compose(preview.active, purpose);
    } catch (thrown) {
      if (force && thrown instanceof MillraceError && thrown.spec.class === 'input') return null;
      throw thrown;
    }
  }
}

function kindOf({ writes }: ChangeRequest): Write['kind'] {
  return writes[0]?.kind ?? 'push';
}

function busy(): MillraceError {
  return new MillraceError(registryErrors.REGISTRY_BUSY, 'too many changes at once: send it again in a second');
}
