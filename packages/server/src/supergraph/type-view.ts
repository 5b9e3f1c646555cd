import type {
  DirectiveNode,
  DocumentNode,
  FieldDefinitionNode,
  ObjectTypeDefinitionNode,
  ObjectTypeExtensionNode,
  TypeNode,
} from 'graphql';
import { Kind, print } from 'graphql';
import { type Vocabulary, liveDirective } from './live-vocabulary.ts';
import type { Problems } from './live-problem.ts';

/** One object type as its definition, its extensions and the mapping document together say it. */
export type TypeView = {
  readonly name: string;
  readonly fields: Map<string, FieldView>;
  /** Values of `fields` of each @key, in order. */
  readonly keys: string[];
  live: DirectiveNode | null;
  /** Only the mapping document knows the type: the live subgraph is its only home. */
  readonly mappedOnly: boolean;
};

export type FieldView = {
  readonly name: string;
  readonly type: TypeNode;
  readonly takesArguments: boolean;
  carried: DirectiveNode | null;
  filterable: DirectiveNode | null;
};

export type NamedKind = 'scalar' | 'enum' | 'composite';

export function isObjectNode(node: { readonly kind: string }): node is ObjectTypeDefinitionNode | ObjectTypeExtensionNode {
  return node.kind === Kind.OBJECT_TYPE_DEFINITION || node.kind === Kind.OBJECT_TYPE_EXTENSION;
}

export function viewTypes(document: DocumentNode, vocabulary: Vocabulary): Map<string, TypeView> {
  const views = new Map<string, TypeView>();
  for (const definition of document.definitions) if (isObjectNode(definition)) addDefinition(views, definition, vocabulary, false);
  return views;
}

/** Lays the mapping document over the schema: directives are added, repeated fields must be as they are, nothing else may be new. */
export function applyMapping(views: Map<string, TypeView>, mapping: DocumentNode, vocabulary: Vocabulary, problems: Problems): void {
  for (const definition of mapping.definitions) {
    if (!isObjectNode(definition)) continue;
    const name = definition.name.value;
    const base = views.get(name);
    if (!base && definition.kind === Kind.OBJECT_TYPE_EXTENSION) {
      problems.add('LIVE_MAPPING_INVALID', 'the mapping extends a type that the schema does not have', name);
      continue;
    }
    if (base) checkRepeatedFields(base, definition, problems);
    addDefinition(views, definition, vocabulary, true);
  }
}

function checkRepeatedFields(base: TypeView, definition: ObjectTypeDefinitionNode | ObjectTypeExtensionNode, problems: Problems): void {
  if (base.mappedOnly) return;
  for (const field of definition.fields ?? []) {
    const original = base.fields.get(field.name.value);
    if (!original) {
      problems.add('LIVE_MAPPING_INVALID', 'the mapping has a field that the schema does not have', base.name, field.name.value);
    } else if (print(original.type) !== print(field.type)) {
      const both = `the mapping says ${print(field.type)}, the schema ${print(original.type)}`;
      problems.add('LIVE_MAPPING_INVALID', both, base.name, field.name.value);
    }
  }
}

function addDefinition(
  views: Map<string, TypeView>,
  definition: ObjectTypeDefinitionNode | ObjectTypeExtensionNode,
  vocabulary: Vocabulary,
  mapping: boolean,
): void {
  const name = definition.name.value;
  let view = views.get(name);
  if (!view) views.set(name, (view = { name, fields: new Map(), keys: [], live: null, mappedOnly: mapping }));
  view.live ??= liveDirective(vocabulary, definition.directives, 'live');
  for (const directive of definition.directives ?? []) {
    if (directive.name.value !== vocabulary.key || (mapping && !view.mappedOnly)) continue;
    const fields = directive.arguments?.find((arg) => arg.name.value === 'fields')?.value;
    if (fields?.kind === Kind.STRING) view.keys.push(fields.value);
  }
  for (const field of definition.fields ?? []) addField(view, field, vocabulary);
}

function addField(view: TypeView, node: FieldDefinitionNode, vocabulary: Vocabulary): void {
  const name = node.name.value;
  let field = view.fields.get(name);
  if (!field)
    view.fields.set(
      name,
      (field = { name, type: node.type, takesArguments: (node.arguments?.length ?? 0) > 0, carried: null, filterable: null }),
    );
  field.carried ??= liveDirective(vocabulary, node.directives, 'carried');
  field.filterable ??= liveDirective(vocabulary, node.directives, 'filterable');
}

/** `[Deal!]!` taken apart. `depth` counts the lists. */
export function readType(type: TypeNode): { readonly name: string; readonly depth: number; readonly nonNull: boolean } {
  if (type.kind === Kind.NON_NULL_TYPE) return { ...readType(type.type), nonNull: true };
  if (type.kind === Kind.LIST_TYPE) {
    const inner = readType(type.type);
    return { name: inner.name, depth: inner.depth + 1, nonNull: false };
  }
  return { name: type.name.value, depth: 0, nonNull: false };
}

const BUILT_IN = ['ID', 'String', 'Int', 'Float', 'Boolean'];

/** Kinds of the types that the document defines; composite is everything that needs a selection. */
export function namedKinds(document: DocumentNode): ReadonlyMap<string, NamedKind> {
  const kinds = new Map<string, NamedKind>(BUILT_IN.map((name) => [name, 'scalar']));
  for (const definition of document.definitions) {
    if (definition.kind === Kind.SCALAR_TYPE_DEFINITION) kinds.set(definition.name.value, 'scalar');
    else if (definition.kind === Kind.ENUM_TYPE_DEFINITION) kinds.set(definition.name.value, 'enum');
    else if ('name' in definition && definition.name && definition.kind.endsWith('TypeDefinition'))
      kinds.set(definition.name.value, 'composite');
  }
  return kinds;
}

export function enumValues(documents: readonly DocumentNode[]): ReadonlyMap<string, readonly string[]> {
  const enums = new Map<string, Set<string>>();
  for (const document of documents) {
    for (const definition of document.definitions) {
      if (definition.kind !== Kind.ENUM_TYPE_DEFINITION && definition.kind !== Kind.ENUM_TYPE_EXTENSION) continue;
      const name = definition.name.value;
      const values = enums.get(name) ?? new Set();
      for (const value of definition.values ?? []) values.add(value.name.value);
      enums.set(name, values);
    }
  }
  return new Map([...enums].map(([name, values]) => [name, [...values]]));
}
