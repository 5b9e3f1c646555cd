import type { FetchNode, FetchRewrite, FlattenNodePathSegment, PlanNode, RequiresSelection } from '@graphql-hive/router-query-planner';
import { Kind, type SelectionSetNode, parse } from 'graphql';
import { MillraceError } from '../kit/errors.ts';
import { supergraphErrors } from './errors.ts';
import type { BatchAlias, Condition, EntitySource, FetchTask, SubgraphOperation } from './fetch-task.ts';

export type CompiledPlan = {
  readonly tasks: readonly FetchTask[];
  /** The upstream of a subscription; its answer is the root that the tasks start from. */
  readonly subscription: { readonly operation: SubgraphOperation; readonly variableUsages: readonly string[] } | null;
};

/**
 * Turns a plan with barriers (Sequence, Parallel) into a graph of tasks that wait only for what they read.
 *
 * A task depends on every task before it in a Sequence that writes a response path which it reads (its own path, each prefix of it,
 * its required fields) or writes too. List steps and type conditions are left out of paths, which only adds dependencies. A mutation
 * root waits for everything before it, since mutations run one after another. A task for which no writer of its path is found waits for
 * everything before it: unknown means conservative.
 */
export function compilePlan(root: PlanNode | undefined | null): CompiledPlan {
  const compiler = new PlanCompiler();
  if (root) compiler.add(root, [], []);
  return compiler.finish();
}

type Draft = {
  readonly make: (index: number, dependents: readonly number[], dependencies: number) => FetchTask;
  readonly reads: ReadonlySet<string>;
  readonly writes: ReadonlySet<string>;
  /** Earlier tasks in Sequence order. */
  readonly before: readonly number[];
  readonly barrier: boolean;
  readonly rooted: boolean;
};

class PlanCompiler {
  readonly #drafts: Draft[] = [];
  #subscription: CompiledPlan['subscription'] = null;
  #subscriptionWrites: ReadonlySet<string> = new Set();

  /** Returns the indexes of the tasks within `node`. */
  add(node: PlanNode, conditions: readonly Condition[], before: readonly number[]): readonly number[] {
    switch (node.kind) {
      case 'Sequence': {
        const inside: number[] = [];
        for (const child of node.nodes) inside.push(...this.add(child, conditions, [...before, ...inside]));
        return inside;
      }
      case 'Parallel':
        return node.nodes.flatMap((child) => this.add(child, conditions, before));
      case 'Condition':
        return [
          ...(node.ifClause ? this.add(node.ifClause, [...conditions, { variable: node.condition, value: true }], before) : []),
          ...(node.elseClause ? this.add(node.elseClause, [...conditions, { variable: node.condition, value: false }], before) : []),
        ];
      case 'Subscription':
        this.#subscription = { operation: subgraphOperation(node.primary), variableUsages: node.primary.variableUsages ?? [] };
        this.#subscriptionWrites = writtenPaths(node.primary.operation, '', []);
        return [];
      case 'Fetch':
        return [this.#root(node, conditions, before)];
      case 'Flatten':
        if (node.node.kind === 'Fetch') return [this.#entity(node.path, node.node, conditions, before)];
        return this.add(node.node, conditions, before);
      case 'BatchFetch':
        return [this.#batch(node, conditions, before)];
      default:
        throw new MillraceError(supergraphErrors.PLAN_FAILED, `the plan has a node that is not supported: ${node.kind}`);
    }
  }

  #push(draft: Draft): number {
    this.#drafts.push(draft);
    return this.#drafts.length - 1;
  }

  #root(node: FetchNode, conditions: readonly Condition[], before: readonly number[]): number {
    const operation = subgraphOperation(node);
    const writes = writtenPaths(node.operation, '', node.outputRewrites ?? []);
    const rootKeys = [...writes].filter((path) => !path.includes('.') && path !== '__typename');
    const outputRewrites = rewrites(node.outputRewrites);
    const base = { operation, variableUsages: node.variableUsages ?? [], conditions };
    return this.#push({
      make: (index, dependents, dependencies) => ({ kind: 'root', index, dependents, dependencies, ...base, rootKeys, outputRewrites }),
      reads: new Set(),
      writes,
      before,
      barrier: operation.type === 'mutation',
      rooted: true,
    });
  }

  #entity(path: readonly FlattenNodePathSegment[], node: FetchNode, conditions: readonly Condition[], before: readonly number[]): number {
    const prefix = textOf(path);
    const source = entitySource([path], node.requires ?? [], node.inputRewrites, node.outputRewrites);
    const base = { operation: subgraphOperation(node), variableUsages: node.variableUsages ?? [], conditions };
    return this.#push({
      make: (index, dependents, dependencies) => ({ kind: 'entity', index, dependents, dependencies, ...base, source }),
      reads: readPaths(prefix, node.requires ?? []),
      writes: writtenPaths(node.operation, prefix, node.outputRewrites ?? [], '_entities'),
      before,
      barrier: false,
      rooted: false,
    });
  }

  #batch(node: PlanNode & { kind: 'BatchFetch' }, conditions: readonly Condition[], before: readonly number[]): number {
    const reads = new Set<string>();
    const writes = new Set<string>();
    const aliases = node.entityBatch.aliases.map((alias): BatchAlias => {
      for (const path of alias.paths) {
        for (const read of readPaths(textOf(path), alias.requires)) reads.add(read);
        for (const write of writtenPaths(node.operation, textOf(path), alias.outputRewrites ?? [], alias.alias)) writes.add(write);
      }
      const source = entitySource(alias.paths, alias.requires, alias.inputRewrites, alias.outputRewrites);
      return { alias: alias.alias, variable: alias.representationsVariableName, source };
    });
    const base = { operation: subgraphOperation(node), variableUsages: node.variableUsages ?? [], conditions };
    return this.#push({
      make: (index, dependents, dependencies) => ({ kind: 'batch', index, dependents, dependencies, ...base, aliases }),
      reads,
      writes,
      before,
      barrier: false,
      rooted: false,
    });
  }

  finish(): CompiledPlan {
    const dependents: number[][] = this.#drafts.map(() => []);
    const counts = this.#drafts.map((draft, index) => {
      const needed = this.#dependencies(draft);
      for (const other of needed) dependents[other]?.push(index);
      return needed.length;
    });
    return {
      tasks: this.#drafts.map((draft, index) => draft.make(index, dependents[index] ?? [], counts[index] ?? 0)),
      subscription: this.#subscription,
    };
  }

  #dependencies(draft: Draft): readonly number[] {
    if (draft.barrier) return draft.before;
    const needed = draft.before.filter((index) => {
      const other = this.#drafts[index];
      return other !== undefined && (meets(other.writes, draft.reads) || meets(other.writes, draft.writes));
    });
    const found = draft.rooted || needed.length > 0 || meets(this.#subscriptionWrites, draft.reads);
    return found ? needed : draft.before;
  }
}

function meets(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const path of a) if (b.has(path)) return true;
  return false;
}

function subgraphOperation(node: Pick<FetchNode, 'serviceName' | 'operation' | 'operationName' | 'operationKind'>): SubgraphOperation {
  const operationName = node.operationName ?? null;
  const name = operationName === null ? '' : `,"operationName":${JSON.stringify(operationName)}`;
  return {
    subgraph: node.serviceName,
    query: node.operation,
    operationName,
    type: node.operationKind ?? 'query',
    bodyPrefix: `{"query":${JSON.stringify(node.operation)}${name},"variables":`,
  };
}

function rewrites(list: readonly FetchRewrite[] | undefined): readonly FetchRewrite[] | null {
  return list && list.length > 0 ? list : null;
}

function entitySource(
  paths: EntitySource['paths'],
  requires: readonly RequiresSelection[],
  input: FetchRewrite[] | undefined,
  output: FetchRewrite[] | undefined,
): EntitySource {
  return { paths, requires, inputRewrites: rewrites(input), outputRewrites: rewrites(output) };
}

/** `deals.@|[Deal].stage` as `deals.stage`. */
function textOf(path: readonly FlattenNodePathSegment[]): string {
  return path.flatMap((segment) => (typeof segment === 'object' && 'Field' in segment ? [segment.Field] : [])).join('.');
}

function join(prefix: string, key: string): string {
  return prefix === '' ? key : `${prefix}.${key}`;
}

function readPaths(prefix: string, requires: readonly RequiresSelection[]): Set<string> {
  const reads = new Set<string>();
  const steps = prefix === '' ? [] : prefix.split('.');
  for (let length = 1; length <= steps.length; length++) reads.add(steps.slice(0, length).join('.'));
  addRequired(prefix, requires, reads);
  return reads;
}

function addRequired(prefix: string, requires: readonly RequiresSelection[], reads: Set<string>): void {
  for (const selection of requires) {
    if (selection.kind === 'InlineFragment') addRequired(prefix, selection.selections, reads);
    if (selection.kind !== 'Field') continue;
    for (const key of new Set([selection.name, selection.alias ?? selection.name])) {
      reads.add(join(prefix, key));
      addRequired(join(prefix, key), selection.selections ?? [], reads);
    }
  }
}

/** Response paths that an operation's answer fills, under `prefix`; with `within`, only what stands under that root key. */
function writtenPaths(operation: string, prefix: string, outputRewrites: readonly FetchRewrite[], within?: string): Set<string> {
  const writes = new Set<string>();
  const document = parse(operation, { noLocation: true });
  const fragments = new Map<string, SelectionSetNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition.selectionSet);
  const walk = (set: SelectionSetNode, at: string, wanted: string | undefined): void => {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        const key = selection.alias?.value ?? selection.name.value;
        if (wanted !== undefined && key !== wanted) continue;
        const path = wanted === undefined ? join(at, key) : at;
        if (wanted === undefined) writes.add(path);
        if (selection.selectionSet) walk(selection.selectionSet, path, undefined);
      } else {
        const inner = selection.kind === Kind.INLINE_FRAGMENT ? selection.selectionSet : fragments.get(selection.name.value);
        if (inner) walk(inner, at, wanted);
      }
    }
  };
  for (const definition of document.definitions)
    if (definition.kind === Kind.OPERATION_DEFINITION) walk(definition.selectionSet, prefix, within);
  for (const rewrite of outputRewrites) addRenamed(rewrite, prefix, writes);
  return writes;
}

/** A key that an output rewrite renames is written under its new name; what stands below it moves along. */
function addRenamed(rewrite: FetchRewrite, prefix: string, writes: Set<string>): void {
  if (!('KeyRenamer' in rewrite)) return;
  const steps = rewrite.KeyRenamer.path.flatMap((segment) => ('Key' in segment ? [segment.Key] : []));
  const from = [prefix, ...steps].filter((step) => step !== '').join('.');
  const to = [prefix, ...steps.slice(0, -1), rewrite.KeyRenamer.renameKeyTo].filter((step) => step !== '').join('.');
  for (const path of [...writes]) if (path === from || path.startsWith(`${from}.`)) writes.add(to + path.slice(from.length));
}
