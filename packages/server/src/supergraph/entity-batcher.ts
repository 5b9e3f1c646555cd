import { type Clock, type Timer, systemClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { supergraphErrors } from './errors.ts';
import { type EntityAnswer, type EntityFetcher, entityVariables, readEntities } from './executor.ts';
import type { SubgraphOperation } from './fetch-task.ts';
import type { OperationCall, SubgraphClient } from './generation.ts';
import type { SupergraphMetrics } from './metrics.ts';
import { cloneTree, isTree } from './response-tree.ts';

export type EntityBatcherOptions = {
  readonly client: SubgraphClient;
  readonly clock?: Clock;
  readonly metrics?: SupergraphMetrics;
  /** How long fetches wait for others, ms. 0: what one turn of the event loop brings. */
  readonly windowMs?: number;
  /** Representations of one request; what is beyond goes into a further one. */
  readonly representationsMax?: number;
};

export const ENTITY_BATCHER_DEFAULTS = { windowMs: 0, representationsMax: 500 } as const;

type Member = {
  /** For each representation asked, its place in the batch. */
  readonly places: readonly number[];
  readonly deadline: number;
  finish(outcome: EntityAnswer | MillraceError): void;
  settled: boolean;
};

/**
 * Merges entity fetches of several executions into one request: same subgraph, same operation, same other variables, same view (the
 * headers of the first stand for all: equal views mean equal rights). Each representation is sent once. A member that is
 * cancelled or late leaves alone; the request is aborted when nobody waits for it any more.
 */
export class EntityBatcher implements EntityFetcher {
  readonly #options: EntityBatcherOptions;
  readonly #clock: Clock;
  /** Batches that still take members, by all that must be equal. */
  readonly #open = new Map<string, Batch>();
  readonly #pending: Batch[] = [];
  #flushing = false;

  constructor(options: EntityBatcherOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  entities(operation: SubgraphOperation, representations: readonly string[], others: string, call: OperationCall): Promise<EntityAnswer> {
    return new Promise((resolve, reject) => {
      if (call.signal?.aborted) {
        reject(new MillraceError(supergraphErrors.REQUEST_CANCELLED, 'the caller went away'));
        return;
      }
      this.#options.metrics?.entitiesAsked.inc(representations.length);
      const key = `${operation.subgraph}\n${call.view}\n${others}\n${operation.query}`;
      const max = this.#options.representationsMax ?? ENTITY_BATCHER_DEFAULTS.representationsMax;
      let batch = this.#open.get(key);
      if (!batch || !batch.fits(representations, max)) this.#open.set(key, (batch = this.#newBatch(operation, others, call)));
      batch.join(representations, call, resolve, reject);
    });
  }

  #newBatch(operation: SubgraphOperation, others: string, call: OperationCall): Batch {
    const batch = new Batch(operation, others, call, this.#clock);
    this.#schedule();
    this.#pending.push(batch);
    return batch;
  }

  #schedule(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    const windowMs = this.#options.windowMs ?? ENTITY_BATCHER_DEFAULTS.windowMs;
    if (windowMs > 0) this.#clock.after(windowMs, () => this.#flush());
    else setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    this.#open.clear();
    for (const batch of this.#pending.splice(0)) {
      const sent = batch.send(this.#options.client);
      if (sent === 0) continue;
      this.#options.metrics?.batches.inc();
      this.#options.metrics?.entitiesSent.inc(sent);
    }
  }
}

class Batch {
  readonly #operation: SubgraphOperation;
  readonly #others: string;
  readonly #call: OperationCall;
  readonly #clock: Clock;
  readonly #texts: string[] = [];
  readonly #places = new Map<string, number>();
  readonly #members: Member[] = [];
  readonly #abort = new AbortController();

  constructor(operation: SubgraphOperation, others: string, call: OperationCall, clock: Clock) {
    this.#operation = operation;
    this.#others = others;
    this.#call = call;
    this.#clock = clock;
  }

  fits(representations: readonly string[], max: number): boolean {
    return this.#texts.length === 0 || this.#texts.length + representations.length <= max;
  }

  join(
    representations: readonly string[],
    call: OperationCall,
    resolve: (answer: EntityAnswer) => void,
    reject: (error: MillraceError) => void,
  ): void {
    const places = representations.map((text) => {
      const known = this.#places.get(text);
      if (known !== undefined) return known;
      this.#places.set(text, this.#texts.length);
      return this.#texts.push(text) - 1;
    });
    const cancelled = (): void => member.finish(new MillraceError(supergraphErrors.REQUEST_CANCELLED, 'the caller went away'));
    let timer: Timer | null = null;
    const member: Member = {
      places,
      deadline: call.deadline,
      settled: false,
      finish: (outcome) => {
        if (member.settled) return;
        member.settled = true;
        timer?.cancel();
        call.signal?.removeEventListener('abort', cancelled);
        if (outcome instanceof MillraceError) reject(outcome);
        else resolve(outcome);
        if (this.#members.every((other) => other.settled)) this.#abort.abort();
      },
    };
    this.#members.push(member);
    call.signal?.addEventListener('abort', cancelled, { once: true });
    timer = this.#clock.after(Math.max(0, call.deadline - this.#clock.monotonic()), () =>
      member.finish(
        new MillraceError(supergraphErrors.SUBGRAPH_TIMEOUT, `subgraph "${this.#operation.subgraph}" did not answer before the deadline`),
      ),
    );
  }

  /** How many representations were sent; 0 where nobody waits any more. */
  send(client: SubgraphClient): number {
    const waiting = this.#members.filter((member) => !member.settled);
    if (waiting.length === 0) return 0;
    const request = {
      operation: this.#operation,
      variables: entityVariables(this.#texts, this.#others),
      headers: this.#call.headers,
      signal: this.#abort.signal,
      // Each member has its own deadline; the request lives as long as the most patient one.
      deadline: Math.max(...waiting.map((member) => member.deadline)),
    };
    client.execute(request).then(
      (answer) => this.#answered(() => readEntities(this.#operation.subgraph, answer)),
      (error: unknown) => this.#failed(error),
    );
    return this.#texts.length;
  }

  #answered(read: () => EntityAnswer): void {
    try {
      const answer = read();
      const members = this.#members.filter((member) => !member.settled);
      for (const [index, member] of members.entries()) member.finish(share(answer, member.places, index < members.length - 1));
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const failure =
      error instanceof MillraceError
        ? error
        : new MillraceError(supergraphErrors.SUBGRAPH_BAD_ANSWER, `subgraph "${this.#operation.subgraph}" gave a bad answer`, {}, error);
    for (const member of this.#members) member.finish(failure);
  }
}

/** A member's part. Executions change what they get, so all but the last get copies; an error goes to those who asked for its entity. */
function share(answer: EntityAnswer, places: readonly number[], copy: boolean): EntityAnswer {
  const entities = places.map((place) => (copy ? cloneTree(answer.entities[place]) : answer.entities[place]));
  const errors: unknown[] = [];
  for (const error of answer.errors) {
    const path = isTree(error) && Array.isArray(error['path']) ? (error['path'] as unknown[]) : [];
    if (path[0] !== '_entities' || typeof path[1] !== 'number') {
      errors.push(error);
      continue;
    }
    const own = places.indexOf(path[1]);
    if (own >= 0 && isTree(error)) errors.push({ ...error, path: ['_entities', own, ...path.slice(2)] });
  }
  return { entities, errors };
}
