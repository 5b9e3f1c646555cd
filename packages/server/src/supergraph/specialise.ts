import { type FragmentDefinitionNode, Kind, type SelectionNode, type SelectionSetNode, visit } from 'graphql';
import type { Condition, FetchTask } from './fetch-task.ts';
import { type OperationDocument, selectOperation } from './operation-document.ts';
import type { CompiledPlan } from './plan-compiler.ts';

/**
 * The planner (0.0.38) loses a field that stands twice in one place of the answer where one of the two has a condition on a variable. Such an
 * operation is planned once for every assignment of those variables, with literal conditions already applied, and the plans are
 * put together: each task runs under its assignment alone.
 */

/** More variables would need more than 16 plans; such an operation is planned as it stands. */
const VARIABLES_MAX = 4;
/** Selections looked at; fragments may multiply without bound. */
const SELECTIONS_MAX = 20_000;

type Seen = { sets: SelectionSetNode[]; count: number; conditional: boolean };

/** The variables to decide beforehand; empty where the operation can be planned as it stands. */
export function variablesToDecide(selected: OperationDocument): readonly string[] {
  const variables = conditionVariables(selected);
  if (variables.length === 0 || variables.length > VARIABLES_MAX || selected.operation.operation === 'subscription') return [];
  return repeatsUnderCondition([selected.operation.selectionSet], selected.fragments, { left: SELECTIONS_MAX }) ? variables : [];
}

function conditionVariables(selected: OperationDocument): readonly string[] {
  const names = new Set<string>();
  visit(selected.document, {
    Directive(directive) {
      const value = directive.arguments?.find((arg) => arg.name.value === 'if')?.value;
      if (isCondition(directive.name.value) && value?.kind === Kind.VARIABLE) names.add(value.name.value);
    },
  });
  return [...names];
}

function isCondition(name: string): boolean {
  return name === 'include' || name === 'skip';
}

function repeatsUnderCondition(
  sets: readonly SelectionSetNode[],
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  budget: { left: number },
): boolean {
  const keys = new Map<string, Seen>();
  const collect = (set: SelectionSetNode, conditional: boolean): void => {
    for (const selection of set.selections) {
      if (--budget.left < 0) return;
      const here = conditional || (selection.directives ?? []).some((directive) => isCondition(directive.name.value));
      if (selection.kind !== Kind.FIELD) {
        const inner = selection.kind === Kind.INLINE_FRAGMENT ? selection : fragments.get(selection.name.value);
        if (inner) collect(inner.selectionSet, here);
        continue;
      }
      const key = selection.alias?.value ?? selection.name.value;
      const seen = keys.get(key) ?? { sets: [], count: 0, conditional: false };
      seen.count++;
      seen.conditional ||= here;
      if (selection.selectionSet) seen.sets.push(selection.selectionSet);
      keys.set(key, seen);
    }
  };
  for (const set of sets) collect(set, false);
  for (const seen of keys.values()) if (seen.count > 1 && seen.conditional) return true;
  for (const seen of keys.values()) if (seen.sets.length > 0 && repeatsUnderCondition(seen.sets, fragments, budget)) return true;
  return false;
}

/** Every assignment of the variables. */
export function assignments(variables: readonly string[]): readonly (readonly Condition[])[] {
  return variables.reduce<readonly (readonly Condition[])[]>(
    (all, variable) =>
      all.flatMap((one) => [
        [...one, { variable, value: true }],
        [...one, { variable, value: false }],
      ]),
    [[]],
  );
}

/** The operation as it is under an assignment. Null where nothing of it is left. */
export function decide(selected: OperationDocument, assignment: readonly Condition[]): OperationDocument | null {
  const values = new Map(assignment.map((condition) => [condition.variable, condition.value]));
  const document = visit(selected.document, {
    Field: (node) => decideSelection(node, values),
    InlineFragment: (node) => decideSelection(node, values),
    FragmentSpread: (node) => decideSelection(node, values),
    SelectionSet: {
      leave(node, _key, parent) {
        // A field whose selections are all left out is still there; only at the root nothing may remain.
        const isRoot = parent !== undefined && !Array.isArray(parent) && 'kind' in parent && parent.kind === Kind.OPERATION_DEFINITION;
        if (node.selections.length > 0 || isRoot) return undefined;
        return { ...node, selections: [{ kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } }] };
      },
    },
  });
  const decided = selectOperation(document, null);
  return decided && decided.operation.selectionSet.selections.length > 0 ? decided : null;
}

function decideSelection<T extends SelectionNode>(node: T, values: ReadonlyMap<string, boolean>): T | null | undefined {
  if (!node.directives || node.directives.length === 0) return undefined;
  for (const directive of node.directives) {
    if (!isCondition(directive.name.value)) continue;
    const value = directive.arguments?.find((arg) => arg.name.value === 'if')?.value;
    const given = value?.kind === Kind.BOOLEAN ? value.value : value?.kind === Kind.VARIABLE ? values.get(value.name.value) : undefined;
    if (given !== undefined && given !== (directive.name.value === 'include')) return null;
  }
  return { ...node, directives: node.directives.filter((directive) => !isCondition(directive.name.value)) };
}

/** One plan of several, each under its assignment. */
export function joinPlans(plans: readonly { readonly assignment: readonly Condition[]; readonly plan: CompiledPlan }[]): CompiledPlan {
  const tasks: FetchTask[] = [];
  for (const { assignment, plan } of plans) {
    const offset = tasks.length;
    for (const task of plan.tasks)
      tasks.push({
        ...task,
        index: task.index + offset,
        dependents: task.dependents.map((index) => index + offset),
        conditions: [...assignment, ...task.conditions],
      });
  }
  return { tasks, subscription: null };
}
