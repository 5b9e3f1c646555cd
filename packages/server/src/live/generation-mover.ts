import type { Clock, Timer } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { supergraphErrors } from '../supergraph/errors.ts';
import type { Generation, Generations, Prepared, PreparedOperation } from '../supergraph/generation.ts';
import type { Feed } from './feed.ts';
import type { Group } from './group.ts';
import { brokenBySchema } from './errors.ts';

/**
 * After a swap, prepares the document of every group again in the new generation, one after the other, while the groups go on with the old
 * one. A swap that comes meanwhile is the new target; subscriptions that come late with an old lease are taken along.
 */
export class GenerationMover {
  readonly #generations: Generations;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #feeds: () => Iterable<Feed>;
  readonly #regroup: (group: Group, operation: PreparedOperation) => void;
  #target: Generation | null = null;
  #running = false;
  #again = false;
  #closed = false;
  #retry: Timer | null = null;

  constructor(
    generations: Generations,
    clock: Clock,
    log: Logger,
    feeds: () => Iterable<Feed>,
    regroup: (group: Group, operation: PreparedOperation) => void,
  ) {
    this.#generations = generations;
    this.#clock = clock;
    this.#log = log;
    this.#feeds = feeds;
    this.#regroup = regroup;
  }

  target(next: Generation): void {
    this.#target = next;
    void this.#run();
  }

  /** A subscription has started in this generation, which may have been replaced since its lease was taken. */
  noticed(generation: number): void {
    if (this.#target !== null && generation < this.#target.number) void this.#run();
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
  }

  async #run(): Promise<void> {
    this.#again = true;
    if (this.#running) return;
    this.#running = true;
    while (this.#again && !this.#closed) {
      this.#again = false;
      for (const feed of [...this.#feeds()]) {
        for (const group of feed.groups()) if (!this.#closed) await this.#move(group);
      }
    }
    this.#running = false;
  }

  async #move(group: Group): Promise<void> {
    const target = this.#target;
    if (!target || group.closed || group.parts.lease.generation.number >= target.number) return;
    // The lease keeps the generation from being disposed of while its work is under way.
    const lease = this.#generations.lease();
    if (!lease) return;
    try {
      const { normalised, name } = group.parts.operation;
      const prepared = await lease.generation.prepare({ query: normalised, operationName: name });
      // A swap meanwhile: the run that it has asked for takes the group to the newest.
      if (group.closed || group.size === 0 || this.#target !== target) return;
      if (prepared.kind === 'operation') this.#regroup(group, prepared.operation);
      else if (passes(prepared)) this.#later();
      else group.failAll(brokenBySchema(prepared.errors[0]?.message));
    } catch (error) {
      if (error instanceof MillraceError) return group.failAll(error);
      // It goes on in the old generation, which its lease keeps alive; the next swap tries again.
      this.#log.error({ err: error }, 'a subscription could not be moved to the new generation');
    } finally {
      lease.release();
    }
  }

  /** The group goes on in the old generation meanwhile, which its lease keeps alive. */
  #later(): void {
    this.#retry ??= this.#clock.after(RETRY_MS, () => {
      this.#retry = null;
      void this.#run();
    });
  }
}

const RETRY_MS = 500;

/** A planner that restarts or has too much to do says nothing about the document: ending its subscriptions for ever would be wrong. */
function passes(prepared: Prepared & { kind: 'invalid' }): boolean {
  return prepared.errors[0]?.extensions['code'] === supergraphErrors.PLANNER_UNAVAILABLE.code;
}
