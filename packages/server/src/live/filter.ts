import { MillraceError } from '../kit/errors.ts';
import { liveErrors } from './errors.ts';
import { type Comparable, comparable, type FieldLayout, type LayoutField, type Row } from './filter-values.ts';

/** Three-valued: `and` is the least, `or` the greatest, `not` is 2 minus. A filter matches only where it is TRUE. */
export const FALSE = 0;
export const UNKNOWN = 1;
export const TRUE = 2;
export type Truth = 0 | 1 | 2;

export type Predicate = (row: Row) => Truth;

/** A filter argument understood: fields by number, operands comparable. `never` is an operator with a null operand: UNKNOWN. */
export type FilterNode =
  | { readonly kind: 'and' | 'or'; readonly nodes: readonly FilterNode[] }
  | { readonly kind: 'not'; readonly node: FilterNode }
  | { readonly kind: 'never' }
  | { readonly kind: 'in'; readonly field: number; readonly values: readonly Comparable[] }
  | { readonly kind: 'null'; readonly field: number; readonly is: boolean }
  | { readonly kind: 'range'; readonly field: number; readonly range: Range }
  | { readonly kind: 'contains' | 'startsWith'; readonly field: number; readonly text: string }
  | { readonly kind: 'has'; readonly field: number; readonly value: Comparable };

/** Open ends are null. Bounds of one field are all numbers or all strings. */
export type Range = {
  readonly low: number | string | null;
  readonly lowOpen: boolean;
  readonly high: number | string | null;
  readonly highOpen: boolean;
};

export type FilterLimits = {
  /** Nested and, or, not. */
  readonly filterDepth: number;
  /** Operators plus members of lists. */
  readonly filterSize: number;
};

/**
 * Understands a coerced filter argument. Throws FILTER_TOO_DEEP, FILTER_TOO_LARGE or FILTER_INVALID; null where there is nothing to test.
 * Semantics: spec/delivery.md section 3.
 */
export function parseFilter(filter: unknown, layout: FieldLayout, limits: FilterLimits): FilterNode | null {
  if (filter === null || filter === undefined) return null;
  const node = new FilterParser(layout, limits).filter(filter, 1);
  return node.kind === 'and' && node.nodes.length === 0 ? null : node;
}

class FilterParser {
  readonly #layout: FieldLayout;
  readonly #limits: FilterLimits;
  #size = 0;

  constructor(layout: FieldLayout, limits: FilterLimits) {
    this.#layout = layout;
    this.#limits = limits;
  }

  filter(value: unknown, depth: number): FilterNode {
    if (depth > this.#limits.filterDepth) {
      throw new MillraceError(liveErrors.FILTER_TOO_DEEP, `the filter nests deeper than ${this.#limits.filterDepth}`);
    }
    const nodes: FilterNode[] = [];
    for (const [key, inner] of entriesOf(value, 'a filter')) {
      if (inner === null || inner === undefined) continue;
      if (key === 'and' || key === 'or') nodes.push({ kind: key, nodes: listOf(inner).map((one) => this.#nested(one, depth)) });
      else if (key === 'not') nodes.push({ kind: 'not', node: this.#nested(inner, depth) });
      else this.#operators(key, inner, nodes);
    }
    return nodes.length === 1 && nodes[0] ? nodes[0] : { kind: 'and', nodes };
  }

  #nested(value: unknown, depth: number): FilterNode {
    this.#count(1);
    return this.filter(value, depth + 1);
  }

  #operators(name: string, operators: unknown, into: FilterNode[]): void {
    const field = this.#layout.indexOf(name);
    const described = field === undefined ? undefined : this.#layout.fields[field];
    if (field === undefined || !described) throw invalid(`there is no filterable field ${name}`);
    for (const [operator, operand] of entriesOf(operators, `the filter of ${name}`)) {
      // Absent and null are different here: `eq: null` is a comparison with null, which is never true.
      if (operand === undefined) continue;
      this.#count(1);
      into.push(operand === null ? { kind: 'never' } : this.#leaf(field, described, operator, operand));
    }
  }

  #leaf(field: number, described: LayoutField, operator: string, operand: unknown): FilterNode {
    if (operator === 'isNull') {
      if (typeof operand !== 'boolean') throw invalid(`isNull of ${described.name} takes true or false`);
      return { kind: 'null', field, is: operand };
    }
    if (described.list) {
      if (operator !== 'contains') throw invalid(`${described.name} is a list and takes contains and isNull, not ${operator}`);
      return { kind: 'has', field, value: operandOf(operand, described, operator) };
    }
    switch (operator) {
      case 'eq':
        return { kind: 'in', field, values: [operandOf(operand, described, operator)] };
      case 'ne':
        return { kind: 'not', node: { kind: 'in', field, values: [operandOf(operand, described, operator)] } };
      case 'in':
        return { kind: 'in', field, values: this.#members(operand, described, operator) };
      case 'notIn':
        return { kind: 'not', node: { kind: 'in', field, values: this.#members(operand, described, operator) } };
      case 'contains':
      case 'startsWith':
        return { kind: operator, field, text: textOf(operand, described, operator) };
      default:
        return rangeNode(field, described, operator, operand);
    }
  }

  #members(operand: unknown, described: LayoutField, operator: string): readonly Comparable[] {
    const members = listOf(operand);
    this.#count(members.length);
    return [...new Set(members.map((one) => (one === null ? null : operandOf(one, described, operator))))];
  }

  #count(by: number): void {
    this.#size += by;
    if (this.#size > this.#limits.filterSize) {
      throw new MillraceError(
        liveErrors.FILTER_TOO_LARGE,
        `the filter has more than ${this.#limits.filterSize} operators and list members`,
      );
    }
  }
}

function rangeNode(field: number, described: LayoutField, operator: string, operand: unknown): FilterNode {
  if (described.scalar === 'Boolean' || described.scalar === 'Enum' || described.scalar === 'Other') {
    throw invalid(`${described.name} has no operator ${operator}`);
  }
  if (operator === 'between') {
    const [from, to] = betweenOf(operand, described);
    if (from === null || to === null) return { kind: 'never' };
    const [low, high] = [bound(from, described, operator), bound(to, described, operator)];
    return { kind: 'range', field, range: { low, lowOpen: false, high, highOpen: false } };
  }
  const value = bound(operand, described, operator);
  switch (operator) {
    case 'lt':
    case 'lte':
      return { kind: 'range', field, range: { low: null, lowOpen: false, high: value, highOpen: operator === 'lt' } };
    case 'gt':
    case 'gte':
      return { kind: 'range', field, range: { low: value, lowOpen: operator === 'gt', high: null, highOpen: false } };
    default:
      throw invalid(`${described.name} has no operator ${operator}`);
  }
}

function betweenOf(operand: unknown, described: LayoutField): readonly [unknown, unknown] {
  if (Array.isArray(operand) && operand.length === 2) return [operand[0] as unknown, operand[1] as unknown];
  if (typeof operand === 'object' && operand !== null && !Array.isArray(operand)) {
    const { from = null, to = null } = operand as { from?: unknown; to?: unknown };
    return [from, to];
  }
  throw invalid(`between of ${described.name} takes from and to`);
}

function bound(operand: unknown, described: LayoutField, operator: string): number | string {
  const value = operandOf(operand, described, operator);
  if (typeof value === 'number' || typeof value === 'string') return value;
  throw invalid(`${operator} of ${described.name} takes a value that has an order`);
}

function operandOf(operand: unknown, described: LayoutField, operator: string): Comparable {
  const value = comparable(operand, described.scalar);
  if (value === undefined) throw invalid(`${operator} of ${described.name} takes a ${described.scalar}`);
  return value;
}

function textOf(operand: unknown, described: LayoutField, operator: string): string {
  if (described.scalar !== 'ID' && described.scalar !== 'String') throw invalid(`${described.name} has no operator ${operator}`);
  const text = comparable(operand, described.scalar);
  if (typeof text !== 'string') throw invalid(`${operator} of ${described.name} takes a text`);
  return text;
}

function entriesOf(value: unknown, what: string): readonly [string, unknown][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.entries(value);
  throw invalid(`${what} is an object`);
}

function listOf(value: unknown): readonly unknown[] {
  // GraphQL coerces a single value to a list of one; a literal default may not have been.
  return Array.isArray(value) ? (value as readonly unknown[]) : [value];
}

function invalid(message: string): MillraceError {
  return new MillraceError(liveErrors.FILTER_INVALID, message);
}

/** Closures over comparable operands: nothing is parsed, coerced or allocated when an event is tested. */
export function compileFilter(node: FilterNode): Predicate {
  switch (node.kind) {
    case 'never':
      return () => UNKNOWN;
    case 'and':
      return compileAnd(node.nodes.map(compileFilter));
    case 'or':
      return compileOr(node.nodes.map(compileFilter));
    case 'not': {
      const inner = compileFilter(node.node);
      return (row) => (2 - inner(row)) as Truth;
    }
    case 'in':
      return compileIn(node.field, node.values);
    case 'null':
      return (row) => {
        const value = row.get(node.field);
        return value === undefined ? UNKNOWN : (value === null) === node.is ? TRUE : FALSE;
      };
    case 'range':
      return compileRange(node.field, node.range);
    case 'contains':
      return (row) => textTruth(row.get(node.field), (value) => value.includes(node.text));
    case 'startsWith':
      return (row) => textTruth(row.get(node.field), (value) => value.startsWith(node.text));
    case 'has':
      return (row) => {
        const value = row.get(node.field);
        return Array.isArray(value) ? (value.includes(node.value) ? TRUE : FALSE) : UNKNOWN;
      };
  }
}

function textTruth(value: ReturnType<Row['get']>, test: (value: string) => boolean): Truth {
  return typeof value === 'string' ? (test(value) ? TRUE : FALSE) : UNKNOWN;
}

function compileAnd(parts: readonly Predicate[]): Predicate {
  return (row) => {
    let least: Truth = TRUE;
    for (const part of parts) {
      const truth = part(row);
      if (truth === FALSE) return FALSE;
      if (truth < least) least = truth;
    }
    return least;
  };
}

function compileOr(parts: readonly Predicate[]): Predicate {
  return (row) => {
    let greatest: Truth = FALSE;
    for (const part of parts) {
      const truth = part(row);
      if (truth === TRUE) return TRUE;
      if (truth > greatest) greatest = truth;
    }
    return greatest;
  };
}

function compileIn(field: number, values: readonly Comparable[]): Predicate {
  const otherwise: Truth = values.includes(null) ? UNKNOWN : FALSE;
  const members = values.filter((value) => value !== null);
  const known = (value: ReturnType<Row['get']>): value is string | number | boolean =>
    value !== undefined && value !== null && typeof value !== 'object';
  const [only] = members;
  if (members.length === 1) {
    return (row) => {
      const value = row.get(field);
      return known(value) ? (value === only ? TRUE : otherwise) : UNKNOWN;
    };
  }
  const set: ReadonlySet<Comparable> = new Set(members);
  return (row) => {
    const value = row.get(field);
    return known(value) ? (set.has(value) ? TRUE : otherwise) : UNKNOWN;
  };
}

function compileRange(field: number, range: Range): Predicate {
  return (row) => {
    const value = row.get(field);
    return typeof value === 'number' || typeof value === 'string' ? (inRange(value, range) ? TRUE : FALSE) : UNKNOWN;
  };
}

/** Strings compare by UTF-16 code units, which is what `<` does. */
export function inRange(value: number | string, range: Range): boolean {
  const { low, high } = range;
  if (low !== null && (range.lowOpen ? value <= low : value < low)) return false;
  return high === null || (range.highOpen ? value < high : value <= high);
}
