import type { FilterNode, Range } from './filter.ts';
import type { Comparable, FieldLayout } from './filter-values.ts';

/**
 * Ways by which the index finds a group without looking at the others. A path may find groups that do not match (the rest of
 * the predicate decides), never miss one that does.
 */
export type AccessPath =
  | { readonly kind: 'ids'; readonly ids: readonly string[] }
  | { readonly kind: 'equal'; readonly field: number; readonly values: readonly Comparable[] }
  /** Numeric only: Int, Float, DateTime. */
  | { readonly kind: 'range'; readonly field: number; readonly range: NumericRange }
  | { readonly kind: 'prefix'; readonly field: number; readonly text: string }
  | { readonly kind: 'contains'; readonly field: number; readonly text: string }
  | { readonly kind: 'scan' };

export type NumericRange = { readonly low: number; readonly lowOpen: boolean; readonly high: number; readonly highOpen: boolean };

/** `exact`: whatever the paths find matches the filter, nothing is left to test. `cost`: a guess at what an event finds in vain. */
export type Access = { readonly paths: readonly AccessPath[]; readonly exact: boolean; readonly cost: number };

/** Null: no part of the filter can be looked up, the group has to be scanned. */
export function accessPathsOf(node: FilterNode, layout: FieldLayout): Access | null {
  switch (node.kind) {
    case 'never':
      // Never true: found by no event.
      return { paths: [], exact: true, cost: 0 };
    case 'in':
      return equality(
        node.field,
        node.values.filter((value) => value !== null),
        layout,
      );
    case 'null':
      return node.is ? { paths: [{ kind: 'equal', field: node.field, values: [null] }], exact: true, cost: 6 } : null;
    case 'range':
      return interval(node.field, node.range);
    case 'startsWith':
      return node.text === '' ? null : { paths: [{ kind: 'prefix', field: node.field, text: node.text }], exact: true, cost: 3 };
    case 'contains':
      return node.text === '' ? null : { paths: [{ kind: 'contains', field: node.field, text: node.text }], exact: true, cost: 7 };
    case 'and':
      return conjunction(node.nodes, layout);
    case 'or':
      return disjunction(node.nodes, layout);
    case 'not':
    case 'has':
      return null;
  }
}

function equality(field: number, values: readonly Comparable[], layout: FieldLayout): Access {
  const scalar = layout.fields[field]?.scalar;
  // Few different values means many groups under each: a Boolean halves at best.
  const weight = scalar === 'Boolean' ? 20 : scalar === 'Enum' ? 10 : scalar === 'ID' ? 1 : 2;
  return { paths: values.length === 0 ? [] : [{ kind: 'equal', field, values }], exact: true, cost: weight + values.length / 100 };
}

function interval(field: number, range: Range): Access | null {
  const { low, high } = range;
  if (typeof low === 'string' || typeof high === 'string') return null;
  const numeric = { low: low ?? -Infinity, lowOpen: range.lowOpen, high: high ?? Infinity, highOpen: range.highOpen };
  return { paths: [{ kind: 'range', field, range: numeric }], exact: true, cost: low === null || high === null ? 30 : 8 };
}

/** One part is looked up, the others are tested. Ranges of one field are first cut to one interval. */
function conjunction(nodes: readonly FilterNode[], layout: FieldLayout): Access | null {
  // The intersection says it all; any of the ranges alone would not.
  if (isOneInterval(nodes)) return intersections(nodes)[0] ?? null;
  let best: Access | null = null;
  for (const access of [...nodes.map((node) => accessPathsOf(node, layout)), ...intersections(nodes)]) {
    if (access && (best === null || access.cost < best.cost)) best = access;
  }
  if (best === null) return null;
  return nodes.length === 1 ? best : { ...best, exact: best.paths.length === 0 };
}

/** Ranges of one field and nothing else. */
function isOneInterval(nodes: readonly FilterNode[]): boolean {
  const [first] = nodes;
  return first?.kind === 'range' && nodes.every((node) => node.kind === 'range' && node.field === first.field && isNumeric(node.range));
}

function isNumeric({ low, high }: Range): boolean {
  return typeof low !== 'string' && typeof high !== 'string';
}

function intersections(nodes: readonly FilterNode[]): readonly (Access | null)[] {
  const byField = new Map<number, NumericRange>();
  for (const node of nodes) {
    if (node.kind !== 'range') continue;
    const path = interval(node.field, node.range)?.paths[0];
    if (path?.kind !== 'range') continue;
    const present = byField.get(node.field);
    byField.set(node.field, present ? intersect(present, path.range) : path.range);
  }
  return [...byField].map(([field, range]) => ({
    paths: range.low > range.high ? [] : [{ kind: 'range', field, range }],
    exact: true,
    cost: range.low === -Infinity || range.high === Infinity ? 30 : 8,
  }));
}

function intersect(a: NumericRange, b: NumericRange): NumericRange {
  const [low, lowOpen] = a.low > b.low || (a.low === b.low && a.lowOpen) ? [a.low, a.lowOpen] : [b.low, b.lowOpen];
  const [high, highOpen] = a.high < b.high || (a.high === b.high && a.highOpen) ? [a.high, a.highOpen] : [b.high, b.highOpen];
  return { low, lowOpen, high, highOpen };
}

/** Every branch must have a path, or events of the one that has none would be missed. */
function disjunction(nodes: readonly FilterNode[], layout: FieldLayout): Access | null {
  const paths: AccessPath[] = [];
  let exact = true;
  let cost = 0;
  for (const node of nodes) {
    const access = accessPathsOf(node, layout);
    if (!access) return null;
    paths.push(...access.paths);
    exact &&= access.exact;
    cost += access.cost;
  }
  return { paths, exact, cost };
}
