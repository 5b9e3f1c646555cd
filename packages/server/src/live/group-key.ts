import type { PreparedOperation } from '../supergraph/generation.ts';
import { afterVariable } from './after-variable.ts';
import { canonicalJson } from './filter-values.ts';

const afterVariables = new WeakMap<PreparedOperation, string | null>();

/** Equal where subscriptions of one document share a group: the view, and coerced variables apart from the one that only feeds `after`. */
export function variablesKey(operation: PreparedOperation, variables: Readonly<Record<string, unknown>>, view: string): string {
  const names = Object.keys(variables);
  if (names.length === 0) return view;
  let after = afterVariables.get(operation);
  if (after === undefined) afterVariables.set(operation, (after = afterVariable(operation.normalised)));
  const counted = names.filter((name) => name !== after).sort();
  if (counted.length === 0) return view;
  return `${view}${canonicalJson(counted.map((name) => [name, variables[name]]))}`;
}
