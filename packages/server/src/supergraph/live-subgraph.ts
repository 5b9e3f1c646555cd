import { print } from 'graphql';
import type { CarriedField, FilterScalar, LiveType } from '../events/live-type.ts';
import type { Problems } from './live-problem.ts';
import type { TypeView } from './type-view.ts';

/** The generated subgraph's name; no service may have it. */
export const LIVE_SUBGRAPH = 'live';

const OPERATORS: Readonly<Record<FilterScalar, readonly string[]>> = {
  ID: ['eq', 'ne', 'in', 'notIn', 'isNull'],
  String: ['eq', 'ne', 'in', 'notIn', 'lt', 'lte', 'gt', 'gte', 'between', 'contains', 'startsWith', 'isNull'],
  Int: ['eq', 'ne', 'in', 'notIn', 'lt', 'lte', 'gt', 'gte', 'between', 'isNull'],
  Float: ['eq', 'ne', 'in', 'notIn', 'lt', 'lte', 'gt', 'gte', 'between', 'isNull'],
  DateTime: ['eq', 'ne', 'in', 'notIn', 'lt', 'lte', 'gt', 'gte', 'between', 'isNull'],
  Boolean: ['eq', 'ne', 'isNull'],
  Enum: ['eq', 'ne', 'in', 'notIn', 'isNull'],
  Other: ['eq', 'ne', 'in', 'notIn', 'isNull'],
};

const RESERVED_EVENT_FIELDS = new Set(['cursor', 'action', 'id', 'at', 'raw', 'delta', 'missed']);
const RESERVED_FILTER_FIELDS = new Set(['and', 'or', 'not']);
const BUILT_IN = new Set(['ID', 'String', 'Int', 'Float', 'Boolean']);
const OWN_SCALARS = ['Cursor', 'DateTime', 'JSON'];

export type LiveSource = { readonly type: LiveType; readonly view: TypeView; readonly problems: Problems };

export type LiveSubgraphInput = {
  readonly sources: readonly LiveSource[];
  /** Enums by name, where every service that defines one gives it the same values; others filter as String. */
  readonly enums: ReadonlyMap<string, { readonly values: readonly string[]; readonly agreed: boolean }>;
  /** Names already used by services, to refuse a collision by name: types that are not scalars, and fields of Subscription. */
  readonly takenTypes: ReadonlySet<string>;
  readonly takenSubscriptionFields: ReadonlySet<string>;
  /** No service has a query field; a GraphQL schema needs one. */
  readonly needsQuery: boolean;
};

/** Null without live types: then there is no live subgraph. Collisions go to the problems of the service at fault. */
export function generateLiveSubgraph(input: LiveSubgraphInput): string | null {
  if (input.sources.length === 0) return null;
  reportCollisions(input);
  const filters = new Map<string, string>();
  const scalars = new Set(OWN_SCALARS);
  const enums = new Set<string>();
  const parts: string[] = [];
  for (const { type, view } of input.sources) {
    parts.push(eventType(type), stub(type, view));
    const filter = filterType(type, input, filters);
    if (filter) parts.push(filter);
    for (const name of namedTypes(type, view)) {
      if (input.enums.has(name)) enums.add(name);
      else if (!BUILT_IN.has(name)) scalars.add(name);
    }
  }
  return [
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])',
    subscriptionType(input.sources.map((source) => source.type)),
    ...(input.needsQuery ? ['type Query {\n  "Always null: no service of this graph has a query yet."\n  _live: Boolean\n}'] : []),
    ACTIONS,
    ...parts.filter((part) => part !== ''),
    ...filters.values(),
    ...[...enums].map((name) => `enum ${name} {\n  ${(input.enums.get(name)?.values ?? []).join('\n  ')}\n}`),
    ...[...scalars].map((name) => `scalar ${name}`),
  ]
    .join('\n\n')
    .concat('\n');
}

const ACTIONS = `"What happened. A client that filters sees ENTERED and LEFT where an entity starts or stops to match."
enum LiveAction {
  "The entity as it stands when a live query starts."
  SNAPSHOT
  ADDED
  CHANGED
  DELETED
  ENTERED
  LEFT
  "Events are missing before this point; \`missed\` says how many where that can be told."
  GAP
}`;

export function eventTypeName(type: LiveType): string {
  return `${type.name}Event`;
}

export function filterTypeName(type: LiveType): string {
  return `${type.name}Filter`;
}

export function subscriptionFields(type: LiveType): readonly string[] {
  const event = `${type.fieldName}Event`;
  return type.key.length === 0 ? [event] : [event, ...['Added', 'Changed', 'Deleted'].map((suffix) => type.fieldName + suffix)];
}

function subscriptionType(types: readonly LiveType[]): string {
  const lines: string[] = [];
  for (const type of types) {
    const filter = type.carried.some((field) => field.filterable) ? [`filter: ${filterTypeName(type)}`] : [];
    const event = eventTypeName(type);
    const keyed = type.key.length > 0;
    const args = keyed ? ['ids: [ID!]', ...filter, 'actions: [LiveAction!]', 'after: Cursor'] : [...filter, 'after: Cursor'];
    lines.push(
      `  "Every event of ${type.name}${keyed ? ', in order for each entity' : ''}."\n  ${type.fieldName}Event(${args.join(', ')}): ${event}!`,
    );
    if (!keyed) continue;
    for (const suffix of ['Added', 'Changed', 'Deleted'])
      lines.push(`  ${type.fieldName}${suffix}(${[...filter, 'after: Cursor'].join(', ')}): ${event}!`);
  }
  return `type Subscription {\n${lines.join('\n')}\n}`;
}

function eventType(type: LiveType): string {
  const keyed = type.key.length > 0;
  const lines = [
    '"Resume after this event by giving it as `after`."\n  cursor: Cursor!',
    'action: LiveAction!',
    ...(keyed ? ['"Null for GAP."\n  id: ID'] : []),
    'at: DateTime!',
    '"The image exactly as it was published."\n  raw: JSON',
    ...(keyed ? ['"Changed keys with their new values, where the event tells."\n  delta: JSON'] : []),
    '"For GAP: how many events are gone, where that can be told."\n  missed: Int',
    ...(keyed || type.carried.length > 0 ? [`${type.fieldName}: ${type.name}`] : []),
  ];
  return `type ${eventTypeName(type)} {\n  ${lines.join('\n  ')}\n}`;
}

/** The part of the type that events bring: key and carried fields. A stream without carried fields has only `raw`, and no stub. */
function stub(type: LiveType, view: TypeView): string {
  const keys = new Set(type.key.map((key) => key.field));
  const carried = type.carried.filter((field) => !keys.has(field.field)).map((field) => field.field);
  if (keys.size === 0 && carried.length === 0) return '';
  const line = (field: string, suffix: string): string => `  ${field}: ${printType(view, field)}${suffix}`;
  const head = keys.size ? ` @key(fields: "${[...keys].join(' ')}", resolvable: false)` : '';
  const share = view.mappedOnly ? '' : ' @shareable';
  return `type ${type.name}${head} {\n${[...keys].map((field) => line(field, '')).join('\n')}${keys.size ? '\n' : ''}${carried.map((field) => line(field, share)).join('\n')}\n}`;
}

function printType(view: TypeView, field: string): string {
  const found = view.fields.get(field);
  return found ? print(found.type) : 'ID!';
}

function filterType(type: LiveType, input: LiveSubgraphInput, filters: Map<string, string>): string | null {
  const filterable = type.carried.filter((field) => field.filterable);
  if (filterable.length === 0) return null;
  const name = filterTypeName(type);
  const lines = filterable.map((field) => `  ${field.field}: ${operatorType(field, input, filters)}`);
  return `input ${name} {\n  and: [${name}!]\n  or: [${name}!]\n  not: ${name}\n${lines.join('\n')}\n}`;
}

/** Declares the operators for a field's type once and gives the input type's name. */
function operatorType(field: CarriedField, input: LiveSubgraphInput, filters: Map<string, string>): string {
  // An enum whose values differ between services may be used in answers only: as an argument it would not compose.
  const scalar = field.scalar === 'Enum' && !input.enums.get(field.type)?.agreed ? 'String' : field.type;
  const operators = OPERATORS[field.scalar];
  const name = `Live${scalar}${field.scalar === 'Enum' && scalar === 'String' ? 'Value' : ''}Filter`;
  const lines = operators.map((operator) => {
    if (operator === 'isNull') return 'isNull: Boolean';
    if (operator === 'between') return `"Two values: from and to, both included."\n  between: [${scalar}!]`;
    return operator === 'in' || operator === 'notIn' ? `${operator}: [${scalar}!]` : `${operator}: ${scalar}`;
  });
  filters.set(name, `input ${name} {\n  ${lines.join('\n  ')}\n}`);
  return name;
}

function namedTypes(type: LiveType, view: TypeView): readonly string[] {
  const names = type.carried.map((field) => field.type);
  for (const key of type.key) {
    const field = view.fields.get(key.field);
    if (field) names.push(print(field.type).replace(/[[\]!]/g, ''));
  }
  return names;
}

function reportCollisions(input: LiveSubgraphInput): void {
  const fields = new Map<string, LiveType>();
  const topics = new Map<string, LiveType>();
  const types = new Map<string, LiveType>();
  for (const { type, problems } of input.sources) {
    const report = (code: 'LIVE_FIELD_TAKEN' | 'LIVE_TOPIC_TAKEN' | 'LIVE_TYPE_DUPLICATE', what: string, field?: string): void =>
      problems.add(code, what, type.name, field);
    const other = types.get(type.name);
    if (other) report('LIVE_TYPE_DUPLICATE', `@live is already on this type in service "${other.subgraph}"`);
    types.set(type.name, type);
    const topic = `${type.broker}:${type.topic}`;
    const reader = topics.get(topic);
    if (reader) report('LIVE_TOPIC_TAKEN', `topic "${type.topic}" is already read by ${reader.name} of service "${reader.subgraph}"`);
    topics.set(topic, type);
    for (const field of subscriptionFields(type)) {
      const holder = fields.get(field);
      if (holder && holder !== other)
        report('LIVE_FIELD_TAKEN', `Subscription.${field} is already generated for ${holder.name}; give one of them another \`name\``);
      else if (input.takenSubscriptionFields.has(field))
        report('LIVE_FIELD_TAKEN', `Subscription.${field} exists already, written by hand`);
      fields.set(field, type);
    }
    reportNames(type, input, (what, field) => report('LIVE_FIELD_TAKEN', what, field));
  }
}

function reportNames(type: LiveType, input: LiveSubgraphInput, report: (what: string, field?: string) => void): void {
  for (const name of [eventTypeName(type), filterTypeName(type)])
    if (input.takenTypes.has(name)) report(`the type ${name} would be generated, and exists already`);
  if (RESERVED_EVENT_FIELDS.has(type.fieldName)) report(`"${type.fieldName}" is a field of every event; give another \`name\``);
  for (const field of type.carried)
    if (field.filterable && RESERVED_FILTER_FIELDS.has(field.field))
      report(`"${field.field}" is a word of filters, so it cannot be filtered by`, field.field);
}
