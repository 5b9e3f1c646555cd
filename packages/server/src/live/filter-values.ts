import { type CarriedField, type FilterScalar, type LiveType, type Path, valueAt } from '../events/live-type.ts';
import type { LiveEvent } from '../events/live-event.ts';
import type { Json } from '../kit/json.ts';

/**
 * A field's value made comparable by the rules of spec/delivery.md section 3: equal values of a scalar are equal under `===`.
 * `null` is an explicit null, `undefined` is missing or not of the field's kind.
 */
export type Comparable = string | number | boolean | null;
export type FieldValue = Comparable | readonly Comparable[] | undefined;

export type LayoutField = { readonly name: string; readonly scalar: FilterScalar; readonly list: boolean; readonly path: Path };

/** The filterable fields of a live type, numbered: filters and rows speak of a field by its number. */
export class FieldLayout {
  readonly fields: readonly LayoutField[];
  readonly #byName = new Map<string, number>();

  constructor(type: Pick<LiveType, 'carried'>) {
    this.fields = type.carried.filter((field) => field.filterable).map(toLayoutField);
    for (const [index, field] of this.fields.entries()) this.#byName.set(field.name, index);
  }

  /** Undefined where the type has no such filterable field. */
  indexOf(name: string): number | undefined {
    return this.#byName.get(name);
  }
}

const layouts = new WeakMap<LiveType, FieldLayout>();

/** One for each description of a type, however many filters are compiled against it. */
export function layoutOf(type: LiveType): FieldLayout {
  let layout = layouts.get(type);
  if (!layout) layouts.set(type, (layout = new FieldLayout(type)));
  return layout;
}

function toLayoutField(field: CarriedField): LayoutField {
  return { name: field.field, scalar: field.scalar, list: field.list, path: field.path };
}

/** The comparable values of one event, each made when first asked for. One row is reused for all events of an index. */
export class Row {
  readonly #layout: FieldLayout;
  readonly #values: FieldValue[];
  readonly #loaded: number[];
  #serial = 0;
  #event: LiveEvent | null = null;

  constructor(layout: FieldLayout) {
    this.#layout = layout;
    this.#values = layout.fields.map(() => undefined);
    this.#loaded = layout.fields.map(() => 0);
  }

  load(event: LiveEvent): void {
    this.#event = event;
    this.#serial += 1;
  }

  get(field: number): FieldValue {
    if (this.#loaded[field] === this.#serial) return this.#values[field];
    const described = this.#layout.fields[field];
    const value = described && this.#event ? fieldValue(valueAt(this.#event.entity, described.path), described) : undefined;
    this.#values[field] = value;
    this.#loaded[field] = this.#serial;
    return value;
  }
}

function fieldValue(value: Json | undefined, field: LayoutField): FieldValue {
  if (value === null || value === undefined) return value;
  if (!field.list) return comparable(value, field.scalar);
  if (!Array.isArray(value)) return undefined;
  // An element that cannot be compared is kept as null, which is equal to nothing.
  return (value as readonly Json[]).map((element) => (element === null ? null : (comparable(element, field.scalar) ?? null)));
}

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const INSTANT = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:?\d\d)$/;

/** Undefined where the value is not of the scalar's kind. Also for operands, which GraphQL has coerced already. */
export function comparable(value: unknown, scalar: FilterScalar): Comparable | undefined {
  switch (scalar) {
    case 'ID':
      return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined;
    case 'String':
    case 'Enum':
      return typeof value === 'string' ? value : undefined;
    case 'Int':
    case 'Float':
      return numeric(value);
    case 'DateTime':
      return instant(value);
    case 'Boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'Other':
      return value === undefined ? undefined : canonicalJson(value);
  }
}

function numeric(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isNaN(value) ? undefined : value + 0;
  return typeof value === 'string' && value.length <= 64 && JSON_NUMBER.test(value) ? Number(value) + 0 : undefined;
}

function instant(value: unknown): number | undefined {
  const ms = value instanceof Date ? value.getTime() : typeof value === 'string' && INSTANT.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

/** JSON text with the keys of every object sorted by code units: equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) => {
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
      return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
    }) ?? 'null'
  );
}
