import {
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLEnumType,
  type GraphQLLeafType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type GraphQLInterfaceType,
  Kind,
  type SelectionSetNode,
  isAbstractType,
  isInterfaceType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { MillraceError } from '../kit/errors.ts';
import { supergraphErrors } from './errors.ts';
import type { Condition } from './fetch-task.ts';
import type { ResponseErrors } from './response-errors.ts';
import { type Tree, isTree } from './response-tree.ts';

/** Runs over a filled response tree and gives the answer as the client asked for it: its keys in its order, types checked, nulls propagated. */
export type Completer = (value: unknown, run: CompletionRun) => unknown;

export type CompletionRun = {
  readonly variables: Readonly<Record<string, unknown>>;
  readonly errors: ResponseErrors;
  /** Response keys and indexes down to the value at hand. */
  readonly path: (string | number)[];
  /** Nothing propagates: a null stands where it arises. For events of deleted entities, whose other fields nobody can fetch any more. */
  readonly lenient: boolean;
};

/** Selections compiled for one operation, over all of its abstract types: bounds what conditions on fragments can multiply. */
const SELECTIONS_MAX = 100_000;

/** A null where none may stand; the nearest nullable ancestor turns it into null. */
export const VIOLATED = Symbol('violated');

export type FieldPlan = {
  readonly key: string;
  /** `"key":` */
  readonly head: string;
  readonly name: string;
  /** Any of these lists must hold entirely; null: always. */
  readonly conditions: readonly (readonly Condition[])[] | null;
  readonly complete: Completer;
  /** The key is a property of every object, such as `constructor`: only an own property counts. */
  readonly guarded: boolean;
  /** The key stands at several places of the selection; the first one that is included decides its place in the answer. */
  readonly repeated: boolean;
  /** What stands below, where the type is one object type. */
  readonly below: readonly FieldPlan[] | null;
};

type Occurrence = { readonly node: FieldNode; readonly conditions: readonly Condition[] };

type Collected = {
  readonly groups: Map<string, Occurrence[]>;
  /** Every occurrence in the order of the selection. */
  readonly places: { readonly key: string; readonly conditions: readonly Condition[] }[];
  /** Fragments already spread, with the conditions that they were spread under. */
  readonly spread: Set<string>;
};

type Selection = { readonly set: SelectionSetNode; readonly conditions: readonly Condition[] };

/** Compiles selections against the public schema. One per operation; what it returns is shared by all executions. */
export class CompletionCompiler {
  readonly #schema: GraphQLSchema;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  #selections = 0;

  constructor(schema: GraphQLSchema, fragments: ReadonlyMap<string, FragmentDefinitionNode>) {
    this.#schema = schema;
    this.#fragments = fragments;
  }

  /** Null where a non-null root field is null. */
  root(type: GraphQLObjectType, set: SelectionSetNode): (data: Tree, run: CompletionRun) => Tree | null {
    const fields = this.fields(type, [{ set, conditions: [] }]);
    return (data, run) => {
      const out = completeFields(fields, type.name, data, run);
      return out === VIOLATED ? null : out;
    };
  }

  fields(type: GraphQLObjectType | GraphQLInterfaceType, selections: readonly Selection[]): readonly FieldPlan[] {
    const collected: Collected = { groups: new Map(), places: [], spread: new Set() };
    for (const { set, conditions } of selections) this.#collect(type, set, conditions, collected);
    const plans = new Map<string, FieldPlan | null>();
    for (const [key, nodes] of collected.groups) plans.set(key, this.#field(type, key, nodes));
    return collected.places.flatMap(({ key, conditions }): FieldPlan[] => {
      const plan = plans.get(key);
      if (!plan) return [];
      if (plan.repeated) return [{ ...plan, conditions: conditions.length === 0 ? null : [conditions] }];
      plans.delete(key);
      return [plan];
    });
  }

  #field(type: GraphQLObjectType | GraphQLInterfaceType, key: string, nodes: readonly Occurrence[]): FieldPlan | null {
    const name = nodes[0]?.node.name.value ?? '';
    const always = nodes[0]?.conditions.length === 0;
    const conditions = always ? null : nodes.map((entry) => entry.conditions);
    const base = {
      key,
      head: `${JSON.stringify(key)}:`,
      name,
      conditions,
      guarded: key in Object.prototype,
      repeated: !always && nodes.length > 1,
      below: null,
    };
    if (name === '__typename' || name === '__schema' || name === '__type') return { ...base, complete: asIs };
    const field = type.getFields()[name];
    if (!field) return null;
    // With one node its conditions are those of the field; with several, each node's selections hold only where that node does.
    const selections = nodes.flatMap(({ node, conditions: own }) =>
      node.selectionSet ? [{ set: node.selectionSet, conditions: nodes.length === 1 ? [] : own }] : [],
    );
    const object = isNonNullType(field.type) ? field.type.ofType : field.type;
    const below = isObjectType(object) ? this.fields(object, selections) : null;
    return { ...base, below, complete: this.#type(field.type, selections, below) };
  }

  #collect(type: GraphQLObjectType | GraphQLInterfaceType, set: SelectionSetNode, outer: readonly Condition[], into: Collected): void {
    for (const selection of set.selections) {
      const conditions = addConditions(outer, selection);
      if (conditions === 'never') continue;
      if (++this.#selections > SELECTIONS_MAX)
        throw new MillraceError(supergraphErrors.PLAN_FAILED, 'the fragments of the operation multiply to too many fields');
      if (selection.kind === Kind.FIELD) {
        const key = selection.alias?.value ?? selection.name.value;
        const group = into.groups.get(key) ?? [];
        if (group.some((entry) => entry.node === selection && sameConditions(entry.conditions, conditions))) continue;
        into.groups.set(key, group);
        into.places.push({ key, conditions });
        group.push({ node: selection, conditions });
        continue;
      }
      if (selection.kind === Kind.FRAGMENT_SPREAD) {
        // As in graphql-js: a fragment counts once, or fragments that spread each other twice would double with every level.
        const once = `${selection.name.value} ${conditionText(conditions)}`;
        if (into.spread.has(once)) continue;
        into.spread.add(once);
      }
      const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : this.#fragments.get(selection.name.value);
      if (fragment && this.#applies(fragment.typeCondition?.name.value, type)) this.#collect(type, fragment.selectionSet, conditions, into);
    }
  }

  #applies(condition: string | undefined, type: GraphQLNamedType): boolean {
    if (condition === undefined || condition === type.name) return true;
    const abstract = this.#schema.getType(condition);
    return isAbstractType(abstract) && (isObjectType(type) || isInterfaceType(type)) && this.#schema.isSubType(abstract, type);
  }

  #type(type: GraphQLOutputType, selections: readonly Selection[], below: readonly FieldPlan[] | null): Completer {
    if (isNonNullType(type)) return nonNull(this.#type(type.ofType, selections, below));
    if (isListType(type)) return list(this.#type(type.ofType, selections, null));
    if (isLeafType(type)) return leaf(type);
    return isObjectType(type) ? this.#object(type, below ?? this.fields(type, selections)) : this.#abstract(type, selections);
  }

  #object(type: GraphQLObjectType, fields: readonly FieldPlan[]): Completer {
    return (value, run) => {
      if (value === null || value === undefined) return null;
      if (!isTree(value)) return invalid(run, `expected an object of type ${type.name}`);
      const name = value['__typename'];
      if (name !== undefined && name !== type.name) {
        // An @interfaceObject subgraph answers with the interface's own name; any other type is not what the schema says stands here.
        const other = typeof name === 'string' ? this.#schema.getType(name) : undefined;
        if (!other || isObjectType(other)) return null;
      }
      const out = completeFields(fields, type.name, value, run);
      return out === VIOLATED ? null : out;
    };
  }

  #abstract(type: GraphQLNamedType, selections: readonly Selection[]): Completer {
    const byType = new Map<string, readonly FieldPlan[]>();
    return (value, run) => {
      if (value === null || value === undefined) return null;
      if (!isTree(value)) return invalid(run, `expected an object of type ${type.name}`);
      const actual = this.#runtimeType(type, value['__typename']);
      if (!actual) return null;
      let fields = byType.get(actual.name);
      if (!fields) byType.set(actual.name, (fields = this.fields(actual, selections)));
      const out = completeFields(fields, actual.name, value, run);
      return out === VIOLATED ? null : out;
    };
  }

  /** Null: a type that clients may not see, or that does not belong here; it is left out without a word, which would reveal it. */
  #runtimeType(type: GraphQLNamedType, name: unknown): GraphQLObjectType | GraphQLInterfaceType | null {
    const named = typeof name === 'string' ? this.#schema.getType(name) : undefined;
    if (named && named !== type && isObjectType(named)) return isAbstractType(type) && this.#schema.isSubType(type, named) ? named : null;
    if (typeof name === 'string' && !named) return null;
    return isInterfaceType(type) ? type : null;
  }
}

function conditionText(conditions: readonly Condition[]): string {
  return conditions.map((condition) => `${condition.variable}=${condition.value}`).join();
}

function sameConditions(a: readonly Condition[], b: readonly Condition[]): boolean {
  return a === b || conditionText(a) === conditionText(b);
}

function asIs(value: unknown): unknown {
  return value ?? null;
}

/** `@skip` and `@include` with literal values are decided here, those with variables become conditions. */
function addConditions(
  outer: readonly Condition[],
  selection: { readonly directives?: FieldNode['directives'] },
): readonly Condition[] | 'never' {
  if (!selection.directives || selection.directives.length === 0) return outer;
  let conditions = outer;
  for (const directive of selection.directives) {
    const wanted = directive.name.value === 'include' ? true : directive.name.value === 'skip' ? false : null;
    const value = directive.arguments?.find((arg) => arg.name.value === 'if')?.value;
    if (wanted === null || !value) continue;
    if (value.kind === Kind.VARIABLE) conditions = [...conditions, { variable: value.name.value, value: wanted }];
    else if (value.kind === Kind.BOOLEAN && value.value !== wanted) return 'never';
  }
  return conditions;
}

export function holds(conditions: readonly Condition[], variables: Readonly<Record<string, unknown>>): boolean {
  for (const condition of conditions) if ((variables[condition.variable] === true) !== condition.value) return false;
  return true;
}

export function included(field: FieldPlan, variables: Readonly<Record<string, unknown>>): boolean {
  return field.conditions === null || field.conditions.some((conditions) => holds(conditions, variables));
}

function completeFields(fields: readonly FieldPlan[], typeName: string, value: Tree, run: CompletionRun): Tree | typeof VIOLATED {
  const out: Tree = {};
  for (const field of fields) {
    if (field.conditions !== null && !included(field, run.variables)) continue;
    if (field.repeated && Object.hasOwn(out, field.key)) continue;
    if (field.name === '__typename') {
      put(out, field, typeName);
      continue;
    }
    const given = field.guarded && !Object.hasOwn(value, field.key) ? undefined : value[field.key];
    run.path.push(field.key);
    const completed = field.complete(given, run);
    run.path.pop();
    if (completed === VIOLATED) return VIOLATED;
    if (field.guarded) put(out, field, completed);
    else out[field.key] = completed;
  }
  return out;
}

/** An alias `__proto__` is an ordinary key of the answer; assigned, it would set the prototype. */
function put(out: Tree, field: FieldPlan, value: unknown): void {
  if (field.key === '__proto__') Object.defineProperty(out, field.key, { value, enumerable: true, configurable: true, writable: true });
  else out[field.key] = value;
}

function nonNull(inner: Completer): Completer {
  return (value, run) => {
    const completed = inner(value, run);
    if (completed !== null || run.lenient) return completed;
    run.errors.violation(run.path);
    return VIOLATED;
  };
}

function list(inner: Completer): Completer {
  return (value, run) => {
    if (value === null || value === undefined) return null;
    if (!Array.isArray(value)) return invalid(run, 'expected a list');
    const out: unknown[] = [];
    for (let i = 0; i < value.length; i++) {
      run.path.push(i);
      const completed = inner(value[i], run);
      run.path.pop();
      if (completed === VIOLATED) return null;
      out.push(completed);
    }
    return out;
  };
}

function leaf(type: GraphQLLeafType): Completer {
  if (type instanceof GraphQLEnumType) return enumLeaf(type);
  const matches = SCALAR_TESTS[type.name];
  if (!matches) return asIs;
  return (value, run) => {
    if (value === null || value === undefined) return null;
    if (matches(value)) return value;
    try {
      return type.serialize(value);
    } catch {
      return invalid(run, `expected a value of type ${type.name}`);
    }
  };
}

/** A value outside of the enum is one that clients may not see: null, without a word. */
function enumLeaf(type: GraphQLEnumType): Completer {
  const values = new Set(type.getValues().map((value) => value.name));
  return (value) => (typeof value === 'string' && values.has(value) ? value : null);
}

const SCALAR_TESTS: Readonly<Record<string, (value: unknown) => boolean>> = {
  String: (value) => typeof value === 'string',
  ID: (value) => typeof value === 'string',
  Int: (value) => typeof value === 'number' && Number.isInteger(value) && value <= 2_147_483_647 && value >= -2_147_483_648,
  // A subgraph may write 1e999, which JSON.parse reads as Infinity and JSON cannot say.
  Float: Number.isFinite,
  Boolean: (value) => typeof value === 'boolean',
};

function invalid(run: CompletionRun, what: string): null {
  run.errors.invalid(run.path, what);
  return null;
}
