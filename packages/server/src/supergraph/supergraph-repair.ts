import {
  type ConstDirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type InterfaceTypeDefinitionNode,
  Kind,
  type ObjectTypeDefinitionNode,
  type TypeNode,
  parse,
  print,
  visit,
} from 'graphql';
import { queryTypeName } from './live-schema.ts';
import { TypeRelations } from './type-relations.ts';

/** One subgraph as it was composed. */
export type ComposedPart = { readonly name: string; readonly document: DocumentNode };

/** A field as one subgraph defines it. */
type Source = {
  readonly graph: string;
  readonly type: TypeNode;
  readonly external: boolean;
  readonly overrides: boolean;
  readonly interfaceObject: boolean;
};

/** By `Type.field`. */
type Sources = ReadonlyMap<string, readonly Source[]>;

/**
 * Puts right what the composition library (0.27.0) writes differently from federation, before the planner reads it:
 *
 * - a field that is a union or interface in one subgraph and one of its members in another gets the wider type, whichever subgraph comes first.
 *   The library takes the first subgraph's type, so clients could not ask for the other members.
 * - an @external field of an @interfaceObject is marked external. The library leaves the mark out, so the planner would ask the subgraph for a
 *   field that it does not have, and @requires would be given nulls.
 *
 * A supergraph without either comes back as it was, byte for byte.
 */
export function repairSupergraph(supergraphSdl: string, parts: readonly ComposedPart[]): string {
  const document = parse(supergraphSdl, { noLocation: true });
  const sources = collectSources(parts, graphNames(document));
  const relations = new TypeRelations(document);
  let changed = false;
  const repairFields = (type: ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode): typeof type => {
    const fields = (type.fields ?? []).map((field) =>
      repairField(field, sources.get(`${type.name.value}.${field.name.value}`) ?? [], relations),
    );
    if (fields.every((field, index) => field === type.fields?.[index])) return type;
    changed = true;
    return { ...type, fields };
  };
  const repaired = visit(document, { ObjectTypeDefinition: repairFields, InterfaceTypeDefinition: repairFields });
  return changed ? print(repaired) : supergraphSdl;
}

function repairField(field: FieldDefinitionNode, sources: readonly Source[], relations: TypeRelations): FieldDefinitionNode {
  if (sources.length < 2 || sources.some((source) => source.overrides)) return field;
  const named = new Set(sources.map((source) => namedType(source.type)));
  if (named.size > 1) return widen(field, sources, widest(named, relations));
  const hidden = sources.some((source) => source.interfaceObject && source.external);
  return hidden && joins(field).length === 0
    ? { ...field, directives: [...(field.directives ?? []), ...sources.map((source) => join(source, false))] }
    : field;
}

function widest(named: ReadonlySet<string>, relations: TypeRelations): string | null {
  return [...named].find((candidate) => [...named].every((other) => relations.matches(other, candidate))) ?? null;
}

function widen(field: FieldDefinitionNode, sources: readonly Source[], type: string | null): FieldDefinitionNode {
  if (type === null || namedType(field.type) === type) return field;
  const rest = (field.directives ?? []).filter((directive) => directive.name.value !== 'join__field');
  const known = joins(field);
  const written = known.length === 0 ? sources.map((source) => join(source, true)) : known.map((directive) => withType(directive, sources));
  return { ...field, type: renamed(field.type, type), directives: [...rest, ...written] };
}

function joins(field: FieldDefinitionNode): readonly ConstDirectiveNode[] {
  return (field.directives ?? []).filter((directive) => directive.name.value === 'join__field');
}

function withType(directive: ConstDirectiveNode, sources: readonly Source[]): ConstDirectiveNode {
  if (directive.arguments?.some((arg) => arg.name.value === 'type')) return directive;
  const graph = directive.arguments?.find((arg) => arg.name.value === 'graph')?.value;
  const source = sources.find((one) => graph?.kind === Kind.ENUM && one.graph === graph.value);
  return source
    ? { ...directive, arguments: [...(directive.arguments ?? []), argument('type', { kind: Kind.STRING, value: print(source.type) })] }
    : directive;
}

function join(source: Source, typed: boolean): ConstDirectiveNode {
  return {
    kind: Kind.DIRECTIVE,
    name: { kind: Kind.NAME, value: 'join__field' },
    arguments: [
      argument('graph', { kind: Kind.ENUM, value: source.graph }),
      ...(typed ? [argument('type', { kind: Kind.STRING, value: print(source.type) })] : []),
      ...(source.external ? [argument('external', { kind: Kind.BOOLEAN, value: true })] : []),
    ],
  };
}

function argument(
  name: string,
  value: NonNullable<ConstDirectiveNode['arguments']>[number]['value'],
): NonNullable<ConstDirectiveNode['arguments']>[number] {
  return { kind: Kind.ARGUMENT, name: { kind: Kind.NAME, value: name }, value };
}

function namedType(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedType(type.type);
}

/** `[Book!]` as `[Media!]`. */
function renamed(type: TypeNode, name: string): TypeNode {
  if (type.kind === Kind.NAMED_TYPE) return { ...type, name: { kind: Kind.NAME, value: name } };
  if (type.kind === Kind.LIST_TYPE) return { ...type, type: renamed(type.type, name) };
  const inner = renamed(type.type, name);
  return inner.kind === Kind.NON_NULL_TYPE ? inner : { ...type, type: inner };
}

/** Names of subgraphs to their values of `join__Graph`. */
function graphNames(supergraph: DocumentNode): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const definition of supergraph.definitions) {
    if (definition.kind !== Kind.ENUM_TYPE_DEFINITION || definition.name.value !== 'join__Graph') continue;
    for (const value of definition.values ?? []) {
      const name = value.directives?.[0]?.arguments?.find((arg) => arg.name.value === 'name')?.value;
      if (name?.kind === Kind.STRING) names.set(name.value, value.name.value);
    }
  }
  return names;
}

function collectSources(parts: readonly ComposedPart[], graphs: ReadonlyMap<string, string>): Sources {
  const all = new Map<string, Source[]>();
  for (const { name, document } of parts) {
    const graph = graphs.get(name);
    if (graph === undefined) continue;
    const root = queryTypeName(document);
    for (const definition of document.definitions) {
      if (!('fields' in definition) || definition.kind.startsWith('InputObject')) continue;
      const type = definition.name.value === root ? 'Query' : definition.name.value;
      const keyed = keyFields(definition.directives ?? []);
      const interfaceObject = has(definition.directives, 'interfaceObject');
      for (const field of definition.fields ?? []) {
        if (field.kind !== Kind.FIELD_DEFINITION) continue;
        const external = has(field.directives, 'external') && !keyed.has(field.name.value);
        const place = `${type}.${field.name.value}`;
        const list = all.get(place) ?? [];
        all.set(place, list);
        list.push({ graph, type: field.type, external, overrides: has(field.directives, 'override'), interfaceObject });
      }
    }
  }
  return all;
}

function has(directives: readonly ConstDirectiveNode[] | undefined, name: string): boolean {
  return directives?.some((directive) => directive.name.value === name || directive.name.value === `federation__${name}`) ?? false;
}

/** Every field that a @key names, at any depth: composition takes @external on a key field for no more than a remark. */
function keyFields(directives: readonly ConstDirectiveNode[]): ReadonlySet<string> {
  const fields = new Set<string>();
  for (const directive of directives) {
    if (!has([directive], 'key')) continue;
    const value = directive.arguments?.find((arg) => arg.name.value === 'fields')?.value;
    if (value?.kind === Kind.STRING) for (const word of value.value.match(/\w+/g) ?? []) fields.add(word);
  }
  return fields;
}
