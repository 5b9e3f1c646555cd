import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  type ValidationRule,
  specifiedRules,
  validate,
} from 'graphql';
import { type Clock } from '../kit/clock.ts';
import { MillraceError, toMillraceError } from '../kit/errors.ts';
import type { LiveType } from '../events/live-type.ts';
import { BoundedCache } from './bounded-cache.ts';
import { EntityBatcher } from './entity-batcher.ts';
import { supergraphErrors } from './errors.ts';
import { PlanExecutor, withLiveSubgraph } from './executor.ts';
import type { Generation, Prepared, SubgraphClient, SubscriptionPlan } from './generation.ts';
import { InFlight } from './in-flight.ts';
import { createLivePlan } from './live-plan.ts';
import { LIVE_SUBGRAPH, subscriptionFields } from './live-subgraph.ts';
import type { SupergraphMetrics } from './metrics.ts';
import {
  type OperationDocument,
  type OperationLimits,
  checkLimits,
  fieldsWrittenOut,
  normalise,
  plannerText,
  parseOperations,
  rootFields,
  selectOperation,
  splitIntrospection,
  withCode,
} from './operation-document.ts';
import { createPassthroughPlan } from './passthrough-plan.ts';
import { PartialUnions } from './partial-unions.ts';
import { plannerNames } from './planner-names.ts';
import { type CompiledPlan, compilePlan } from './plan-compiler.ts';
import type { PlannedGraph, Planner } from './planner.ts';
import { CompiledOperation } from './prepared-operation.ts';
import { publicSchema } from './public-schema.ts';
import type { Release } from './release.ts';
import { assignments, decide, joinPlans, variablesToDecide } from './specialise.ts';
import { TypeRelations } from './type-relations.ts';

export type GenerationSettings = {
  readonly number: number;
  readonly release: Release;
  readonly planner: Planner;
  readonly client: SubgraphClient;
  readonly clock: Clock;
  readonly metrics: SupergraphMetrics | null;
  readonly limits: OperationLimits;
  /** Prepared operations kept. */
  readonly preparedMax: number;
  /** Longest document, with its operation name, that is kept; longer ones are prepared each time. */
  readonly preparedTextMax: number;
  /** What prepared operations together may hold: bytes, as estimated from text and fields. */
  readonly preparedBytesMax: number;
  readonly suggestions: boolean;
  readonly introspection: boolean;
  readonly shareQueries: boolean;
  readonly batchQueries: boolean;
  readonly batchWindowMs: number;
  readonly batchMax: number;
  readonly streamFetchMs: number;
};

export type BuiltGeneration = Generation & { dispose(): Promise<void> };

/** Builds everything a release needs beside the running one. Rejects where the release cannot be executed; then nothing is left behind. */
export async function buildGeneration(settings: GenerationSettings): Promise<BuiltGeneration> {
  const names = plannerNames(settings.release.supergraphSdl);
  const built = await settings.planner.build(names.supergraphSdl);
  const graph: PlannedGraph = {
    consumerSchema: built.consumerSchema,
    plan: async (query, operationName) => {
      const plan = await built.plan(query, operationName);
      return plan.node ? { ...plan, node: names.restore(plan.node) } : plan;
    },
    dispose: () => built.dispose(),
  };
  try {
    return new ReleaseGeneration(settings, graph);
  } catch (error) {
    graph.dispose();
    throw error;
  }
}

class ReleaseGeneration implements BuiltGeneration {
  readonly number: number;
  readonly digest: string;
  readonly schema: GraphQLSchema;
  readonly liveTypes: readonly LiveType[];
  readonly #settings: GenerationSettings;
  readonly #graph: PlannedGraph;
  readonly #client: SubgraphClient;
  readonly #executor: PlanExecutor;
  readonly #unions: PartialUnions;
  readonly #inFlight: InFlight | null;
  readonly #prepared: BoundedCache<string, Promise<Prepared>>;
  readonly #rules: readonly ValidationRule[];
  readonly #liveFields = new Map<string, LiveType>();

  constructor(settings: GenerationSettings, graph: PlannedGraph) {
    const { release, metrics } = settings;
    this.number = settings.number;
    this.digest = release.digest;
    this.liveTypes = release.liveTypes;
    this.schema = publicSchema(graph.consumerSchema);
    this.#settings = settings;
    this.#graph = graph;
    this.#client = withLiveSubgraph(settings.client);
    const batcher = new EntityBatcher({
      client: this.#client,
      clock: settings.clock,
      windowMs: settings.batchWindowMs,
      representationsMax: settings.batchMax,
      ...(metrics ? { metrics } : {}),
    });
    this.#executor = new PlanExecutor({ client: this.#client, relations: new TypeRelations(release.supergraphSdl), batcher });
    this.#unions = new PartialUnions(release.supergraphSdl);
    this.#inFlight = settings.shareQueries ? new InFlight(() => metrics?.shared.inc()) : null;
    this.#prepared = new BoundedCache(settings.preparedMax, settings.preparedBytesMax);
    this.#rules = settings.introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
    for (const type of release.liveTypes) for (const field of subscriptionFields(type)) this.#liveFields.set(field, type);
  }

  prepare(request: { readonly query: string; readonly operationName: string | null }): Promise<Prepared> {
    // The length keeps a name and a text from being taken for another name and text.
    const key = request.operationName === null ? request.query : `${request.operationName.length}:${request.operationName}${request.query}`;
    const known = this.#prepared.get(key);
    if (known) return known;
    const started = this.#settings.clock.monotonic();
    const prepared = this.#prepare(key, request.query, request.operationName);
    // The key, not the document: a name of a megabyte would be kept with the smallest document.
    if (key.length > this.#settings.preparedTextMax) return prepared;
    this.#prepared.set(key, prepared, key.length);
    const { metrics } = this.#settings;
    metrics?.prepared.set(this.#prepared.size);
    void prepared.then((outcome) => {
      metrics?.prepareSeconds.observe((this.#settings.clock.monotonic() - started) / 1000);
      // The planner may be back in a second; a kept refusal would outlive its cause.
      if (outcome.kind === 'invalid' && outcome.phase === 'plan') this.#prepared.delete(key);
    });
    return prepared;
  }

  async #prepare(key: string, query: string, operationName: string | null): Promise<Prepared> {
    try {
      const parsed = parseOperations(query, this.#settings.limits);
      if (parsed.kind === 'invalid') return parsed;
      const selected = selectOperation(parsed.document, operationName);
      const limited = selected ? checkLimits(selected, this.#settings.limits) : null;
      if (limited) return limited;
      const invalid = this.#validate(parsed.document);
      if (invalid.length > 0) return { kind: 'invalid', phase: 'validate', errors: invalid };
      if (!selected) return refuse('validate', new MillraceError(supergraphErrors.OPERATION_NOT_FOUND, noOperation(operationName)));
      const operation = await this.#compile(selected);
      // Some hundred bytes of fragments may compile to megabytes, so the text alone does not say what is kept.
      this.#prepared.reweigh(key, key.length + fieldsWrittenOut(selected) * BYTES_OF_A_FIELD);
      return { kind: 'operation', operation };
    } catch (error) {
      return refuse('plan', toMillraceError(error));
    }
  }

  #validate(document: DocumentNode): readonly GraphQLError[] {
    const errors = validate(this.schema, document, this.#rules, { maxErrors: 50, hideSuggestions: !this.#settings.suggestions });
    return errors.map((error) => withCode(error, 'GRAPHQL_VALIDATION_FAILED'));
  }

  async #compile(selected: OperationDocument): Promise<CompiledOperation> {
    const { data, introspection } = splitIntrospection(selected);
    const plan = data ? await this.#plan(data) : NOTHING;
    const parts = {
      schema: this.schema,
      selected,
      normalised: normalise(selected),
      plan,
      introspection,
      executor: this.#executor,
      inFlight: this.#inFlight,
      batchQueries: this.#settings.batchQueries,
    };
    return new CompiledOperation(parts, (operation) => this.#subscription(selected, plan, operation));
  }

  async #plan(data: OperationDocument): Promise<CompiledPlan> {
    const variables = variablesToDecide(data);
    if (variables.length === 0) return this.#planOne(data);
    const plans = assignments(variables).map(async (assignment) => {
      const decided = decide(data, assignment);
      return { assignment, plan: decided ? await this.#planOne(decided) : NOTHING };
    });
    return joinPlans(await Promise.all(plans));
  }

  async #planOne(data: OperationDocument): Promise<CompiledPlan> {
    const { node } = await this.#graph.plan(plannerText(data), data.operation.name?.value ?? null);
    return compilePlan(this.#unions.restore(node, data));
  }

  #subscription(selected: OperationDocument, plan: CompiledPlan, operation: CompiledOperation): SubscriptionPlan | null {
    if (!plan.subscription) return null;
    const { clock, streamFetchMs } = this.#settings;
    if (plan.subscription.operation.subgraph !== LIVE_SUBGRAPH)
      return createPassthroughPlan(plan.subscription, this.#client, operation, streamFetchMs, () => clock.monotonic());
    const field = rootFields(selected)[0];
    const liveType = field ? this.#liveFields.get(field.name.value) : undefined;
    if (!field || !liveType) throw new MillraceError(supergraphErrors.PLAN_FAILED, 'the subscription is on no live type');
    return createLivePlan({ schema: this.schema, selected, plan, executor: this.#executor, liveType, field });
  }

  async dispose(): Promise<void> {
    this.#graph.dispose();
    await this.#client.close();
  }
}

/** Of a compiled operation: syntax, completion and plan together, measured. */
const BYTES_OF_A_FIELD = 400;

const NOTHING: CompiledPlan = { tasks: [], subscription: null };

function refuse(phase: 'validate' | 'plan', error: MillraceError): Prepared {
  return { kind: 'invalid', phase, errors: [new GraphQLError(error.message, { extensions: { code: error.code }, originalError: error })] };
}

function noOperation(operationName: string | null): string {
  return operationName === null
    ? 'the document has several operations or none; send operationName'
    : `the document has no operation named "${operationName.slice(0, 80)}"`;
}
