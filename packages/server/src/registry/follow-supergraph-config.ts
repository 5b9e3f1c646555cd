import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { type Clock, systemClock, type Timer } from '../kit/clock.ts';
import { type MillraceError, reasonOf, toMillraceError } from '../kit/errors.ts';
import { type Logger, silentLogger } from '../kit/log.ts';
import type { PushRequest, Registry } from './registry.ts';
import { loadSchemas } from './subgraph-schemas.ts';
import { readSupergraphConfig, type SubgraphEntry } from './supergraph-config.ts';

/** What became of one look at the configuration, the files and the addresses. */
export type FollowOutcome =
  | {
      readonly kind: 'pushed';
      readonly services: readonly string[];
      readonly removed: readonly string[];
      /** Left as they were: their schema could not be read. */ readonly failed: readonly MillraceError[];
    }
  /** Everything is as it was pushed last. */
  | { readonly kind: 'unchanged' }
  /** Nothing was pushed; it is tried again when a file changes and at the next poll. */
  | { readonly kind: 'failed'; readonly errors: readonly MillraceError[] };

export type FollowOptions = {
  readonly path: string;
  readonly registry: Pick<Registry, 'push' | 'servicesOf'>;
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Ms to wait after a change of a file for the rest of it (editors write in several steps). */
  readonly debounce?: number;
  /** Ms between two looks at everything, addresses included. */
  readonly pollInterval?: number;
  /** Called after each look that pushed, or failed otherwise than the look before. */
  readonly onOutcome?: (outcome: FollowOutcome) => void;
};

/** Ms after which schemas that did not compose are tried again unchanged: another service may have been pushed that they need. */
const RETRY_AFTER = 15_000;

export const FOLLOW_DEFAULTS = { debounce: 50, pollInterval: 2000 } as const;

/**
 * Who the history says made these changes; a service that it pushed last and that is no longer in the file is removed.
 * Actors from tokens have a slash (`tenant/user`), so nobody can take this name.
 */
export const FOLLOW_ACTOR = 'supergraph-config';

export interface SupergraphFollower {
  /** What became of the first look. */
  readonly first: FollowOutcome;
  /** Looks again at once. */
  look(): Promise<FollowOutcome>;
  close(): Promise<void>;
}

/**
 * Pushes what a supergraph.yaml names as one change, and again whenever the file, a schema file or the schema at an address changes.
 * Rejects with SUPERGRAPH_CONFIG_INVALID where the file is wrong at the start; later faults are reported and survived.
 */
export async function followSupergraphConfig(options: FollowOptions): Promise<SupergraphFollower> {
  await readSupergraphConfig(options.path);
  const follower = new Follower(options);
  await follower.start();
  return follower;
}

class Follower implements SupergraphFollower {
  first: FollowOutcome = { kind: 'unchanged' };
  readonly #options: FollowOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #watchers = new Map<string, FSWatcher>();
  #files: ReadonlySet<string>;
  #pushed = '';
  #refused: { readonly fingerprint: string; readonly at: number; readonly error: MillraceError } | null = null;
  #reported = '';
  #debounce: Timer | null = null;
  #poll: Timer | null = null;
  #running: Promise<FollowOutcome> = Promise.resolve({ kind: 'unchanged' });
  #closed = false;

  constructor(options: FollowOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log ?? silentLogger;
    this.#files = new Set([resolve(options.path)]);
  }

  async start(): Promise<void> {
    this.first = await this.look();
    this.#schedulePoll();
  }

  look(): Promise<FollowOutcome> {
    this.#running = this.#running.then(() => this.#look());
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#debounce?.cancel();
    this.#poll?.cancel();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    await this.#running;
  }

  /** Never rejects. */
  async #look(): Promise<FollowOutcome> {
    if (this.#closed) return { kind: 'unchanged' };
    let outcome: FollowOutcome;
    try {
      const entries = await readSupergraphConfig(this.#options.path);
      this.#watch(entries);
      outcome = await this.#push(entries);
    } catch (thrown) {
      this.#watch([]);
      outcome = { kind: 'failed', errors: [toMillraceError(thrown)] };
    }
    this.#report(outcome);
    return outcome;
  }

  async #push(entries: readonly SubgraphEntry[]): Promise<FollowOutcome> {
    const { registry } = this.#options;
    const { services, failed } = await loadSchemas(entries);
    const known = await registry.servicesOf(FOLLOW_ACTOR);
    // A subgraph that is away for a moment keeps the schema it had; one that was never seen could leave the others without their types.
    const missing = failed.filter(({ name }) => !known.includes(name));
    if (missing.length > 0 || services.length === 0) return { kind: 'failed', errors: failed.map(({ error }) => error) };
    const removed = known.filter((name) => !entries.some((entry) => entry.name === name));
    const fingerprint = JSON.stringify([services, removed]);
    if (fingerprint === this.#pushed)
      return failed.length > 0 ? { kind: 'failed', errors: failed.map(({ error }) => error) } : { kind: 'unchanged' };
    const now = this.#clock.monotonic();
    if (this.#refused?.fingerprint === fingerprint && now - this.#refused.at < RETRY_AFTER)
      return { kind: 'failed', errors: [this.#refused.error] };
    try {
      await registry.push(services, FOLLOW_ACTOR, removed);
    } catch (thrown) {
      this.#refused = { fingerprint, at: now, error: toMillraceError(thrown) };
      throw thrown;
    }
    this.#refused = null;
    this.#pushed = JSON.stringify([services, []]);
    return {
      kind: 'pushed',
      services: services.map((service: PushRequest) => service.name),
      removed,
      failed: failed.map(({ error }) => error),
    };
  }

  /** Folders, not files: an editor that writes beside and renames would leave a watch on the old file. */
  #watch(entries: readonly SubgraphEntry[]): void {
    const files = entries.flatMap(({ schema, mappingPath }) => [
      ...(schema.kind === 'file' ? [schema.path] : []),
      ...(mappingPath === null ? [] : [mappingPath]),
    ]);
    // A configuration that is wrong just now keeps the watches of the last good one.
    if (entries.length > 0) this.#files = new Set([resolve(this.#options.path), ...files]);
    const folders = new Set([...this.#files].map((file) => dirname(file)));
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) if (!this.#watchers.has(folder) && !this.#closed) this.#watchFolder(folder);
  }

  #watchFolder(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, (_, name) => {
        if (name === null || [...this.#files].some((file) => dirname(file) === folder && basename(file) === name)) this.#soon();
      });
      watcher.on('error', () => {
        watcher.close();
        this.#watchers.delete(folder);
      });
      this.#watchers.set(folder, watcher);
    } catch (thrown) {
      // No more watches, or no such folder: the poll sees the change a little later.
      this.#log.debug({ folder, reason: reasonOf(thrown) }, 'folder not watched');
    }
  }

  #soon(): void {
    this.#debounce?.cancel();
    if (this.#closed) return;
    this.#debounce = this.#clock.after(this.#options.debounce ?? FOLLOW_DEFAULTS.debounce, () => void this.look());
  }

  #schedulePoll(): void {
    if (this.#closed) return;
    this.#poll = this.#clock.after(this.#options.pollInterval ?? FOLLOW_DEFAULTS.pollInterval, () => {
      void this.look().then(() => this.#schedulePoll());
    });
  }

  /** The same failure at every poll is told once. */
  #report(outcome: FollowOutcome): void {
    const text = outcome.kind === 'failed' ? outcome.errors.map((error) => error.message).join('; ') : '';
    const repeated = outcome.kind === 'unchanged' ? this.#reported === '' : text !== '' && text === this.#reported;
    this.#reported = text;
    if (repeated) return;
    if (outcome.kind === 'failed')
      this.#log.warn(
        { codes: outcome.errors.map((error) => error.code), reason: text },
        'subgraph schemas not pushed; the last good supergraph stays',
      );
    if (outcome.kind === 'pushed') this.#log.info({ services: outcome.services, removed: outcome.removed }, 'subgraph schemas pushed');
    if (outcome.kind === 'unchanged') this.#log.info('subgraph schemas are as they were pushed');
    this.#options.onOutcome?.(outcome);
  }
}
