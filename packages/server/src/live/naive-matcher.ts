import type { LiveEvent } from '../events/live-event.ts';
import type { CarriedField, LiveType } from '../events/live-type.ts';
import type { Json, JsonObject } from '../kit/json.ts';

/**
 * The filter language once more, written for reading and not for speed, straight from spec/delivery.md section 3 and sharing no code
 * with what it checks. `null` stands for unknown. For tests only.
 */
export type Verdict = boolean | null;

export function naiveFilter(filter: JsonObject, type: LiveType, event: LiveEvent): Verdict {
  const verdicts = Object.entries(filter).map(([key, operand]): Verdict => {
    if (operand === null) return true;
    if (key === 'and') return all((operand as JsonObject[]).map((one) => naiveFilter(one, type, event)));
    if (key === 'or') return any((operand as JsonObject[]).map((one) => naiveFilter(one, type, event)));
    if (key === 'not') return opposite(naiveFilter(operand as JsonObject, type, event));
    const field = type.carried.find((one) => one.field === key);
    if (!field) throw new Error(`no field ${key}`);
    return all(
      Object.entries(operand as JsonObject).map(([operator, value]) => naiveOperator(field, operator, value, lookUp(event.entity, field))),
    );
  });
  return all(verdicts);
}

function all(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes(false)) return false;
  return verdicts.includes(null) ? null : true;
}

function any(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes(true)) return true;
  return verdicts.includes(null) ? null : false;
}

function opposite(verdict: Verdict): Verdict {
  return verdict === null ? null : !verdict;
}

function lookUp(entity: JsonObject, field: CarriedField): Json | undefined {
  let value: Json | undefined = entity;
  for (const step of field.path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as JsonObject)[step];
  }
  return value;
}

function naiveOperator(field: CarriedField, operator: string, operand: Json, found: Json | undefined): Verdict {
  if (found === undefined) return null;
  if (field.list) return naiveList(field, operator, operand, found);
  const value = found === null ? null : kind(field, found);
  if (value === undefined || operand === null) return null;
  if (operator === 'isNull') return (value === null) === operand;
  if (value === null) return null;
  const equal = (other: Json): Verdict => (other === null ? null : kind(field, other) === value);
  switch (operator) {
    case 'eq':
      return equal(operand);
    case 'ne':
      return opposite(equal(operand));
    case 'in':
      return any((operand as Json[]).map(equal));
    case 'notIn':
      return opposite(any((operand as Json[]).map(equal)));
    case 'contains':
      return String(value).includes(String(operand));
    case 'startsWith':
      return String(value).startsWith(String(operand));
    case 'between': {
      const [from, to] = operand as [Json, Json];
      if (from === null || to === null) return null;
      return value >= (kind(field, from) ?? 0) && value <= (kind(field, to) ?? 0);
    }
    default: {
      const bound = kind(field, operand) ?? 0;
      return operator === 'lt' ? value < bound : operator === 'lte' ? value <= bound : operator === 'gt' ? value > bound : value >= bound;
    }
  }
}

function naiveList(field: CarriedField, operator: string, operand: Json, found: Json): Verdict {
  if (operand === null) return null;
  if (found !== null && !Array.isArray(found)) return null;
  if (operator === 'isNull') return (found === null) === operand;
  return found === null ? null : (found as Json[]).some((one) => one !== null && kind(field, one) === kind(field, operand));
}

/** Undefined: not of the field's kind, which is as good as missing. */
function kind(field: CarriedField, value: Json): string | number | boolean | undefined {
  switch (field.scalar) {
    case 'ID':
      return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
    case 'String':
    case 'Enum':
      return typeof value === 'string' ? value : undefined;
    case 'Boolean':
      return typeof value === 'boolean' ? value : undefined;
    case 'Int':
    case 'Float':
      if (typeof value === 'number') return value;
      return typeof value === 'string' && /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(value) ? Number(value) : undefined;
    case 'DateTime': {
      const zoned = typeof value === 'string' && /^\d{4}-\d\d-\d\d[Tt].*([Zz]|[+-]\d\d:?\d\d)$/.test(value);
      const ms = zoned ? new Date(value).getTime() : Number.NaN;
      return Number.isNaN(ms) ? undefined : ms;
    }
    case 'Other':
      return sorted(value);
  }
}

function sorted(value: Json): string {
  if (Array.isArray(value)) return `[${(value as Json[]).map(sorted).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, one]) => `${JSON.stringify(key)}:${sorted(one)}`)
    .join(',')}}`;
}

/** The whole of section 2 beside the filter. */
export function naiveMatches(
  field: string,
  args: { ids?: string[] | null; actions?: string[] | null; filter?: JsonObject | null },
  type: LiveType,
  event: LiveEvent,
): boolean {
  const wanted = { dealAdded: 'ADDED', dealChanged: 'CHANGED', dealDeleted: 'DELETED' }[field];
  if (wanted !== undefined && wanted !== event.action) return false;
  if (args.actions && !args.actions.includes(event.action)) return false;
  if (args.ids && (event.key === null || !args.ids.includes(event.key))) return false;
  return !args.filter || naiveFilter(args.filter, type, event) === true;
}
