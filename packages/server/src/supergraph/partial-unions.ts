import type { PlanNode } from '@graphql-hive/router-query-planner';
import {
  type ConstDirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type FieldNode,
  type FragmentDefinitionNode,
  Kind,
  type ObjectTypeDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
  type TypeNode,
  parse,
  print,
  stripIgnoredCharacters,
} from 'graphql';
import type { OperationDocument } from './operation-document.ts';

type Fragments = ReadonlyMap<string, FragmentDefinitionNode>;

/**
 * Where subgraphs have different members of one union, the planner (0.0.38) asks a subgraph only for the members that all of them have, although
 * it may answer with one of its own: that entry's fields would be null without an error. This puts the client's fields of such members back into
 * the first fetches of a plan.
 *
 * Put back are only fields without arguments, directives and selections that the subgraph itself resolves: enough for values, and never something
 * that the subgraph would refuse.
 */
export class PartialUnions {
  /** Members by union and graph; only unions whose graphs differ. */
  readonly #members = new Map<string, ReadonlyMap<string, ReadonlySet<string>>>();
  readonly #types = new Map<string, ObjectTypeDefinitionNode>();
  readonly #graphs = new Map<string, string>();

  constructor(supergraphSdl: string) {
    const document = parse(supergraphSdl, { noLocation: true });
    for (const definition of document.definitions) {
      if (definition.kind === Kind.UNION_TYPE_DEFINITION) this.#addUnion(definition.name.value, definition.directives ?? []);
      else if (definition.kind === Kind.OBJECT_TYPE_DEFINITION) this.#types.set(definition.name.value, definition);
      else if (definition.kind === Kind.ENUM_TYPE_DEFINITION && definition.name.value === 'join__Graph')
        for (const value of definition.values ?? []) this.#graphs.set(text(value.directives?.[0], 'name') ?? '', value.name.value);
    }
  }

  #addUnion(name: string, directives: readonly ConstDirectiveNode[]): void {
    const graphs = new Map<string, Set<string>>();
    for (const directive of directives) {
      const graph = text(directive, 'graph');
      const member = text(directive, 'member');
      if (directive.name.value !== 'join__unionMember' || graph === null || member === null) continue;
      graphs.set(graph, (graphs.get(graph) ?? new Set()).add(member));
    }
    if (new Set([...graphs.values()].map((members) => [...members].sort().join())).size > 1) this.#members.set(name, graphs);
  }

  /** The plan as it is where no union differs. */
  restore<T extends PlanNode | null | undefined>(node: T, selected: OperationDocument): T | PlanNode {
    return node && this.#members.size > 0 ? this.#node(node, selected) : node;
  }

  #node(node: PlanNode, selected: OperationDocument): PlanNode {
    if (node.kind === 'Sequence' || node.kind === 'Parallel')
      return { ...node, nodes: node.nodes.map((child) => this.#node(child, selected)) };
    const graph = node.kind === 'Fetch' ? this.#graphs.get(node.serviceName) : undefined;
    if (node.kind !== 'Fetch' || graph === undefined || (node.requires?.length ?? 0) > 0) return node;
    const document = parse(node.operation, { noLocation: true });
    const walk = new Walk(graph, this.#members, this.#types, selected.fragments, fragmentsOf(document));
    const root = node.operationKind === 'mutation' ? 'Mutation' : 'Query';
    const definitions = document.definitions.map((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION
        ? { ...definition, selectionSet: walk.set(root, [selected.operation.selectionSet], definition.selectionSet) }
        : definition,
    );
    return walk.restored ? { ...node, operation: stripIgnoredCharacters(print({ ...document, definitions })) } : node;
  }
}

/** Goes down a fetch and the client's selection side by side. */
class Walk {
  restored = false;
  readonly #graph: string;
  readonly #members: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;
  readonly #types: ReadonlyMap<string, ObjectTypeDefinitionNode>;
  readonly #client: Fragments;
  readonly #fetch: Fragments;

  constructor(
    graph: string,
    members: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>,
    types: ReadonlyMap<string, ObjectTypeDefinitionNode>,
    client: Fragments,
    fetch: Fragments,
  ) {
    this.#graph = graph;
    this.#members = members;
    this.#types = types;
    this.#client = client;
    this.#fetch = fetch;
  }

  set(type: string, client: readonly SelectionSetNode[], fetch: SelectionSetNode): SelectionSetNode {
    const wanted = client.flatMap((set) => fieldsOf(set, this.#client, null));
    const selections = fetch.selections.map((selection): SelectionNode => {
      if (selection.kind === Kind.INLINE_FRAGMENT)
        return { ...selection, selectionSet: this.set(selection.typeCondition?.name.value ?? type, client, selection.selectionSet) };
      if (selection.kind !== Kind.FIELD || !selection.selectionSet) return selection;
      const below = wanted.filter((field) => keyOf(field) === keyOf(selection) && field.name.value === selection.name.value);
      const definition = this.#types.get(type)?.fields?.find((field) => field.name.value === selection.name.value);
      const sets = below.flatMap((field) => (field.selectionSet ? [field.selectionSet] : []));
      if (!definition || sets.length === 0) return selection;
      return { ...selection, selectionSet: this.#below(typeIn(definition, this.#graph), sets, selection.selectionSet) };
    });
    return { ...fetch, selections };
  }

  #below(type: string, client: readonly SelectionSetNode[], fetch: SelectionSetNode): SelectionSetNode {
    const inner = this.set(type, client, fetch);
    const lost = [...(this.#members.get(type)?.get(this.#graph) ?? [])].flatMap((member) => this.#lost(member, client, fetch));
    if (lost.length === 0) return inner;
    this.restored = true;
    return { ...inner, selections: [...inner.selections, ...lost] };
  }

  #lost(member: string, client: readonly SelectionSetNode[], fetch: SelectionSetNode): readonly SelectionNode[] {
    // A key that the fetch has for any member at all stays as it is there: another one beside it might not fit its type.
    const known = new Set(fieldsOf(fetch, this.#fetch, null).map(keyOf));
    const selections = new Map<string, FieldNode>();
    for (const field of client.flatMap((set) => fieldsOf(set, this.#client, member)))
      if (!known.has(keyOf(field)) && this.#resolves(member, field)) selections.set(keyOf(field), field);
    if (selections.size === 0) return [];
    const typeCondition = { kind: Kind.NAMED_TYPE, name: { kind: Kind.NAME, value: member } } as const;
    return [
      { kind: Kind.INLINE_FRAGMENT, typeCondition, selectionSet: { kind: Kind.SELECTION_SET, selections: [...selections.values()] } },
    ];
  }

  #resolves(type: string, field: FieldNode): boolean {
    if (field.selectionSet || (field.arguments?.length ?? 0) > 0 || (field.directives?.length ?? 0) > 0) return false;
    const definition = this.#types.get(type);
    const known = definition?.fields?.find((candidate) => candidate.name.value === field.name.value);
    return definition !== undefined && known !== undefined && resolvedIn(definition, known, this.#graph);
  }
}

function resolvedIn(type: ObjectTypeDefinitionNode, field: FieldDefinitionNode, graph: string): boolean {
  const joins = (field.directives ?? []).filter((directive) => directive.name.value === 'join__field');
  const here = (directive: ConstDirectiveNode): boolean => text(directive, 'graph') === graph;
  if (joins.length === 0) return (type.directives ?? []).some((directive) => directive.name.value === 'join__type' && here(directive));
  return joins.some(
    (directive) => here(directive) && directive.arguments?.every((arg) => arg.name.value === 'graph' || arg.name.value === 'type'),
  );
}

/** The subgraph may know the field as less than the supergraph says: one member instead of the union. */
function typeIn(field: FieldDefinitionNode, graph: string): string {
  const join = field.directives?.find((directive) => directive.name.value === 'join__field' && text(directive, 'graph') === graph);
  const own = join ? text(join, 'type') : null;
  return own === null ? namedType(field.type) : own.replaceAll(/[[\]!]/g, '');
}

/** Fields of a selection, fragments written out; with `member`, those that stand under a condition on it and under no other. */
function fieldsOf(set: SelectionSetNode, fragments: Fragments, member: string | null, within = false): readonly FieldNode[] {
  return set.selections.flatMap((selection): readonly FieldNode[] => {
    if (selection.kind === Kind.FIELD) return member === null || within ? [selection] : [];
    if (member !== null && (selection.directives?.length ?? 0) > 0) return [];
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : fragments.get(selection.name.value);
    const condition = fragment?.typeCondition?.name.value;
    return fragment ? fieldsOf(fragment.selectionSet, fragments, member, within || condition === member) : [];
  });
}

function fragmentsOf(document: DocumentNode): Fragments {
  return new Map(
    document.definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [],
    ),
  );
}

function keyOf(field: FieldNode): string {
  return field.alias?.value ?? field.name.value;
}

function namedType(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedType(type.type);
}

function text(directive: ConstDirectiveNode | undefined, name: string): string | null {
  const value = directive?.arguments?.find((arg) => arg.name.value === name)?.value;
  return value?.kind === Kind.STRING || value?.kind === Kind.ENUM ? value.value : null;
}
