import {
  type FieldNode,
  type GraphQLObjectType,
  type GraphQLSchema,
  Kind,
  type SelectionSetNode,
  getArgumentValues,
  isObjectType,
  parse,
} from 'graphql';
import type { LiveType } from '../events/live-type.ts';
import type { Json, JsonObject } from '../kit/json.ts';
import { CompletionCompiler, type CompletionRun, type FieldPlan, VIOLATED, holds, included } from './completion.ts';
import type { PlanExecutor } from './executor.ts';
import type { ExecutionText, LiveSource, OperationCall, SubscriptionPlan } from './generation.ts';
import { eventTypeName } from './live-subgraph.ts';
import type { OperationDocument } from './operation-document.ts';
import type { CompiledPlan } from './plan-compiler.ts';
import { ResponseErrors } from './response-errors.ts';
import type { Tree } from './response-tree.ts';

export type LivePlanParts = {
  readonly schema: GraphQLSchema;
  readonly selected: OperationDocument;
  readonly plan: CompiledPlan;
  readonly executor: PlanExecutor;
  readonly liveType: LiveType;
  /** The one root field. */
  readonly field: FieldNode;
};

type Variables = Readonly<Record<string, unknown>>;

/** Text of one field of the event: `"cursor":"…"`. Null where the value violates the schema, so that the whole event is null. */
type Writer = { readonly plan: FieldPlan; readonly write: (source: LiveSource, run: LiveRun) => string };

type LiveRun = CompletionRun & {
  /** Response key of the entity to the entity as enrichment left it; null before any. */
  readonly enriched: Tree | null;
};

/**
 * A subscription on a live type. The selection is compiled once into writers that put an event's text together: cursor, raw and delta are
 * spliced as they are, the entity is built from the carried fields and, where subgraphs are asked, from what they gave.
 */
export class LivePlan {
  readonly kind = 'live';
  readonly liveType: LiveType;
  readonly field: string;
  readonly responseKey: string;
  readonly #parts: LivePlanParts;
  readonly #definition: Parameters<typeof getArgumentValues>[0];
  readonly #writers: readonly Writer[];
  readonly #always: boolean;
  readonly #seeds: readonly Seed[];
  readonly #prefix: string;

  constructor(parts: LivePlanParts) {
    const { schema, field, liveType, selected } = parts;
    this.#parts = parts;
    this.liveType = liveType;
    this.field = field.name.value;
    this.responseKey = field.alias?.value ?? field.name.value;
    this.#prefix = `{${JSON.stringify(this.responseKey)}:`;
    const definition = schema.getSubscriptionType()?.getFields()[this.field];
    const event = schema.getType(eventTypeName(liveType));
    if (!definition || !isObjectType(event)) throw new Error(`the schema has no live field ${this.field}`);
    this.#definition = definition;
    const compiler = new CompletionCompiler(schema, selected.fragments);
    const set = field.selectionSet ?? { kind: Kind.SELECTION_SET, selections: [] };
    this.#writers = compiler.fields(event, [{ set, conditions: [] }]).map((plan) => ({
      plan,
      write: this.#writer(plan, event),
    }));
    this.#always = this.#writers.every((writer) => writer.plan.conditions === null);
    this.#seeds = entitySeeds(parts.plan, liveType);
  }

  arguments(variables: Variables): Variables {
    return getArgumentValues(this.#definition, this.#parts.field, variables);
  }

  enriches(variables: Variables): boolean {
    return this.#parts.plan.tasks.some((task) => holds(task.conditions, variables));
  }

  complete(source: LiveSource, variables: Variables): ExecutionText {
    return this.#text(source, variables, null, new ResponseErrors());
  }

  async enrich(source: LiveSource, call: OperationCall): Promise<ExecutionText> {
    const { plan, executor } = this.#parts;
    // A deleted entity cannot be fetched any more: asking would only turn its other fields into errors.
    if (source.entity === null || source.action === 'DELETED' || plan.tasks.length === 0) return this.complete(source, call.variables);
    const errors = new ResponseErrors();
    const event = this.#seed(source);
    await executor.run(plan.tasks, { [this.responseKey]: event }, errors, call, true);
    return this.#text(source, call.variables, event, errors);
  }

  #text(source: LiveSource, variables: Variables, enriched: Tree | null, errors: ResponseErrors): ExecutionText {
    const run: LiveRun = { variables, errors, path: [this.responseKey], lenient: source.action === 'DELETED', enriched };
    let text = this.#prefix;
    let separator = '{';
    const written = this.#always ? null : new Set<string>();
    for (const writer of this.#writers) {
      if (written && (written.has(writer.plan.key) || !included(writer.plan, variables))) continue;
      written?.add(writer.plan.key);
      text += separator + writer.plan.head + writer.write(source, run);
      separator = ',';
    }
    text += separator === '{' ? '{}}' : '}}';
    if (errors.list.length === 0) return { text: `{"data":${text}`, errors: 0 };
    return { text: `{"errors":${JSON.stringify(errors.list)},"data":${text}`, errors: errors.list.length };
  }

  #writer(plan: FieldPlan, event: GraphQLObjectType): Writer['write'] {
    switch (plan.name) {
      case '__typename': {
        const text = JSON.stringify(event.name);
        return () => text;
      }
      case 'cursor':
        return (source) => JSON.stringify(source.cursor);
      case 'action':
        return (source) => `"${source.action}"`;
      case 'id':
        return (source) => (source.id === null ? 'null' : JSON.stringify(source.id));
      case 'at':
        return (source) => JSON.stringify(source.at);
      case 'raw':
        return (source) => source.raw ?? 'null';
      case 'delta':
        return (source) => source.delta ?? 'null';
      case 'missed':
        return (source) => (source.missed === null ? 'null' : String(source.missed));
      default:
        return (source, run) => this.#entityText(plan, source, run);
    }
  }

  #entityText(plan: FieldPlan, source: LiveSource, run: LiveRun): string {
    if (source.entity === null) return 'null';
    run.path.push(plan.key);
    const text = run.enriched
      ? JSON.stringify(plan.complete(run.enriched[plan.key], run) ?? null)
      : this.#carriedText(plan.below ?? [], source.entity, run);
    run.path.length = 1;
    return text;
  }

  /** The entity from what the event carries, without a tree in between: this runs for every event of every group. */
  #carriedText(fields: readonly FieldPlan[], entity: JsonObject, run: LiveRun): string {
    let text = '{';
    let written: Set<string> | null = null;
    for (const field of fields) {
      if (field.conditions !== null && !included(field, run.variables)) continue;
      if (field.repeated && (written ??= new Set()).has(field.key)) continue;
      written?.add(field.key);
      let value: unknown = this.liveType.name;
      if (field.name !== '__typename') {
        run.path.push(field.key);
        value = field.complete(Object.hasOwn(entity, field.name) ? entity[field.name] : null, run);
        run.path.pop();
        if (value === VIOLATED) return 'null';
      }
      text += (text.length === 1 ? '' : ',') + field.head + JSON.stringify(value);
    }
    return `${text}}`;
  }

  /** The event as the live subgraph would answer it: the entity's carried fields under the keys that the plan expects. */
  #seed(source: LiveSource): Tree {
    // Without prototypes, since clients choose the keys.
    const event = Object.create(null) as Tree;
    if (source.entity === null) return event;
    for (const seed of this.#seeds) {
      const entity = Object.create(null) as Tree;
      entity['__typename'] = this.liveType.name;
      for (const [key, field] of seed.fields) entity[key] = carriedValue(source.entity, field);
      event[seed.key] = entity;
    }
    return event;
  }
}

function carriedValue(entity: { readonly [key: string]: Json }, field: string): Json {
  return Object.hasOwn(entity, field) ? (entity[field] ?? null) : null;
}

type Seed = { readonly key: string; readonly fields: readonly (readonly [key: string, field: string])[] };

/** Reads off the plan's upstream operation which carried fields go under which response keys, conditions left aside: completion applies them. */
function entitySeeds(plan: CompiledPlan, liveType: LiveType): readonly Seed[] {
  if (!plan.subscription) return [];
  const document = parse(plan.subscription.operation.query, { noLocation: true });
  const fragments = new Map<string, SelectionSetNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition.selectionSet);
  const fieldsOf = (set: SelectionSetNode | undefined): FieldNode[] =>
    (set?.selections ?? []).flatMap((selection) => {
      if (selection.kind === Kind.FIELD) return [selection];
      return fieldsOf(selection.kind === Kind.INLINE_FRAGMENT ? selection.selectionSet : fragments.get(selection.name.value));
    });
  const operation = document.definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  const seeds = new Map<string, Map<string, string>>();
  for (const root of fieldsOf(operation?.selectionSet)) {
    for (const field of fieldsOf(root.selectionSet)) {
      if (field.name.value !== liveType.fieldName) continue;
      const key = field.alias?.value ?? field.name.value;
      const fields = seeds.get(key) ?? new Map<string, string>();
      for (const inner of fieldsOf(field.selectionSet))
        if (inner.name.value !== '__typename') fields.set(inner.alias?.value ?? inner.name.value, inner.name.value);
      seeds.set(key, fields);
    }
  }
  return [...seeds].map(([key, fields]) => ({ key, fields: [...fields] }));
}

/** Checked here once: the class fits the port. */
export function createLivePlan(parts: LivePlanParts): SubscriptionPlan & { readonly kind: 'live' } {
  return new LivePlan(parts);
}
