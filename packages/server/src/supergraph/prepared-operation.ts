import {
  type DocumentNode,
  type ExecutionResult,
  GraphQLError,
  type GraphQLObjectType,
  type GraphQLSchema,
  execute,
  getVariableValues,
} from 'graphql';
import type { JsonObject } from '../kit/json.ts';
import { CompletionCompiler, type CompletionRun } from './completion.ts';
import { supergraphErrors } from './errors.ts';
import type { PlanExecutor } from './executor.ts';
import type { OperationCall, PreparedOperation, SubscriptionPlan } from './generation.ts';
import type { InFlight } from './in-flight.ts';
import type { OperationDocument } from './operation-document.ts';
import type { CompiledPlan } from './plan-compiler.ts';
import { ResponseErrors } from './response-errors.ts';
import { type Tree, isTree } from './response-tree.ts';

export type OperationParts = {
  readonly schema: GraphQLSchema;
  readonly selected: OperationDocument;
  readonly normalised: string;
  readonly plan: CompiledPlan;
  /** What the schema itself answers, or null. */
  readonly introspection: DocumentNode | null;
  readonly executor: PlanExecutor;
  /** Null: identical queries in flight do not share. */
  readonly inFlight: InFlight | null;
  readonly batchQueries: boolean;
};

/** Everything that can be decided from the text is decided in the constructor; an execution only moves data. */
export class CompiledOperation implements PreparedOperation {
  readonly type: PreparedOperation['type'];
  readonly name: string | null;
  readonly normalised: string;
  readonly subscription: SubscriptionPlan | null;
  readonly #parts: OperationParts;
  readonly #complete: (data: Tree, run: CompletionRun) => Tree | null;

  constructor(parts: OperationParts, subscription: (operation: CompiledOperation) => SubscriptionPlan | null) {
    const { operation, fragments } = parts.selected;
    this.#parts = parts;
    this.type = operation.operation;
    this.name = operation.name?.value ?? null;
    this.normalised = parts.normalised;
    this.#complete = new CompletionCompiler(parts.schema, fragments).root(
      rootType(parts.schema, operation.operation),
      operation.selectionSet,
    );
    this.subscription = subscription(this);
  }

  coerceVariables(raw: JsonObject): ReturnType<PreparedOperation['coerceVariables']> {
    const definitions = this.#parts.selected.operation.variableDefinitions ?? [];
    if (definitions.length === 0) return NO_VARIABLES;
    const coerced = getVariableValues(this.#parts.schema, definitions, raw, { maxErrors: 20 });
    if (coerced.coerced) return { values: coerced.coerced };
    return {
      errors: coerced.errors.map(
        (error) =>
          new GraphQLError(error.message, { ...(error.nodes ? { nodes: error.nodes } : {}), extensions: { code: 'BAD_USER_INPUT' } }),
      ),
    };
  }

  execute(call: OperationCall): Promise<ExecutionResult> {
    if (this.type === 'subscription')
      return Promise.resolve({
        errors: [
          new GraphQLError('a subscription cannot be executed as a query', { extensions: { code: supergraphErrors.LIVE_NOT_HERE.code } }),
        ],
      });
    const { inFlight } = this.#parts;
    return inFlight && this.type === 'query' ? inFlight.share(this, call, (shared) => this.run({}, shared)) : this.run({}, call);
  }

  /** Runs the plan's tasks over `data` and completes it. `data` may hold what a subscription's upstream gave. */
  async run(data: Tree, call: OperationCall, errors = new ResponseErrors()): Promise<ExecutionResult> {
    const { plan, executor, introspection, batchQueries } = this.#parts;
    await executor.run(plan.tasks, data, errors, call, batchQueries);
    if (introspection) this.#introspect(introspection, data, call, errors);
    return this.complete(data, call.variables, errors);
  }

  complete(data: Tree, variables: Readonly<Record<string, unknown>>, errors: ResponseErrors): ExecutionResult {
    let completed: Tree | null = null;
    try {
      completed = this.#complete(data, { variables, errors, path: [], lenient: false });
    } catch (error) {
      // Data of absurd depth ends the stack; the answer is an error, not an end of the process.
      errors.failure(error, 'millrace', null);
    }
    return errors.list.length > 0 ? { errors: errors.list, data: completed } : { data: completed };
  }

  #introspect(document: DocumentNode, data: Tree, call: OperationCall, errors: ResponseErrors): void {
    const result = execute({ schema: this.#parts.schema, document, variableValues: call.variables });
    if (result instanceof Promise) return;
    for (const error of result.errors ?? []) errors.list.push(error);
    if (isTree(result.data)) for (const key in result.data) data[key] = result.data[key];
  }
}

const NO_VARIABLES: { readonly values: Readonly<Record<string, unknown>> } = { values: Object.freeze({}) };

function rootType(schema: GraphQLSchema, operation: 'query' | 'mutation' | 'subscription'): GraphQLObjectType {
  const type = schema.getRootType(operation as Parameters<GraphQLSchema['getRootType']>[0]);
  if (!type) throw new Error(`the schema has no ${operation} type`);
  return type;
}
