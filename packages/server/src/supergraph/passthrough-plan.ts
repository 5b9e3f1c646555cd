import type { ExecutionResult } from 'graphql';
import { toMillraceError } from '../kit/errors.ts';
import { braces, errorsOf, otherVariables, subgraphRequest } from './executor.ts';
import type { OperationCall, SubgraphClient, SubscriptionPlan } from './generation.ts';
import type { CompiledPlan } from './plan-compiler.ts';
import type { CompiledOperation } from './prepared-operation.ts';
import { ResponseErrors } from './response-errors.ts';
import { isTree } from './response-tree.ts';

/** A subscription that a subgraph serves itself: each upstream result goes through the rest of the plan, in order, one at a time. */
export class PassthroughPlan {
  readonly kind = 'passthrough';
  readonly subgraph: string;
  readonly #upstream: NonNullable<CompiledPlan['subscription']>;
  readonly #client: SubgraphClient;
  readonly #operation: CompiledOperation;
  readonly #fetchMs: number;
  readonly #now: () => number;

  constructor(
    upstream: NonNullable<CompiledPlan['subscription']>,
    client: SubgraphClient,
    operation: CompiledOperation,
    fetchMs: number,
    now: () => number,
  ) {
    this.subgraph = upstream.operation.subgraph;
    this.#upstream = upstream;
    this.#client = client;
    this.#operation = operation;
    this.#fetchMs = fetchMs;
    this.#now = now;
  }

  /** Ends after the upstream; a broken upstream is a last result with errors alone. */
  async *start(call: OperationCall): AsyncGenerator<ExecutionResult, void, void> {
    const variables = braces(otherVariables(this.#upstream, call.variables));
    try {
      for await (const answer of this.#client.subscribe(subgraphRequest(this.#upstream.operation, variables, call))) {
        const errors = new ResponseErrors();
        for (const error of errorsOf(answer)) errors.fromSubgraph(error, this.subgraph, (path) => path);
        if (!isTree(answer.data)) {
          yield { errors: errors.list };
          continue;
        }
        // The call's own deadline is that of the start; a stream lives on, and each of its events has the time of one query.
        yield await this.#operation.run(answer.data, { ...call, deadline: this.#now() + this.#fetchMs }, errors);
      }
    } catch (error) {
      const errors = new ResponseErrors();
      errors.failure(toMillraceError(error), this.subgraph, null);
      yield { errors: errors.list };
    }
  }
}

export function createPassthroughPlan(
  ...parts: ConstructorParameters<typeof PassthroughPlan>
): SubscriptionPlan & { readonly kind: 'passthrough' } {
  return new PassthroughPlan(...parts);
}
