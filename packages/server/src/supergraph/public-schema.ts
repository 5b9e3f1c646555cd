import {
  type DefinitionNode,
  type GraphQLSchema,
  Kind,
  buildASTSchema,
  isSpecifiedScalarType,
  parse,
  specifiedDirectives,
  specifiedScalarTypes,
} from 'graphql';

const SCALARS = new Set(specifiedScalarTypes.filter(isSpecifiedScalarType).map((type) => type.name));
const DIRECTIVES = new Set(specifiedDirectives.map((directive) => directive.name));

/**
 * The planner prints the schema of clients with the introspection system written out; graphql-js brings its own, and `__schema` as an
 * ordinary field of Query would show up in clients' tools and fail their validation.
 */
export function publicSchema(consumerSchema: string): GraphQLSchema {
  const document = parse(consumerSchema, { noLocation: true });
  const known = new Set(
    document.definitions.flatMap((definition) => ('name' in definition && definition.name ? [definition.name.value] : [])),
  );
  const definitions = document.definitions.flatMap((definition): DefinitionNode[] => {
    if (definition.kind === Kind.DIRECTIVE_DEFINITION && DIRECTIVES.has(definition.name.value)) return [];
    if (definition.kind === Kind.SCALAR_TYPE_DEFINITION && SCALARS.has(definition.name.value)) return [];
    if ('name' in definition && definition.name?.value.startsWith('__')) return [];
    // A hidden type is gone, but still named by the unions and types that had it.
    if (definition.kind === Kind.UNION_TYPE_DEFINITION)
      return [{ ...definition, types: definition.types?.filter((type) => known.has(type.name.value)) ?? [] }];
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION && definition.kind !== Kind.INTERFACE_TYPE_DEFINITION) return [definition];
    const interfaces = definition.interfaces?.filter((type) => known.has(type.name.value)) ?? [];
    return [{ ...definition, interfaces, fields: definition.fields?.filter((field) => !field.name.value.startsWith('__')) ?? [] }];
  });
  return buildASTSchema({ kind: Kind.DOCUMENT, definitions }, { assumeValid: true, assumeValidSDL: true });
}
