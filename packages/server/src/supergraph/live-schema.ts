import { type DocumentNode, GraphQLError, Kind, parse } from 'graphql';
import type { LiveType } from '../events/live-type.ts';
import { buildLiveType } from './live-mapping.ts';
import { Problems, type SchemaProblem } from './live-problem.ts';
import { type Vocabulary, readVocabulary } from './live-vocabulary.ts';
import { federationDocument } from './live-strip.ts';
import { type TypeView, applyMapping, enumValues, namedKinds, viewTypes } from './type-view.ts';

export type ExtractedLive = {
  readonly liveTypes: readonly LiveType[];
  /** The service's schema as composition sees it: without Millrace's directives, carried fields @shareable. */
  readonly document: DocumentNode;
  /** The types named by `liveTypes`, for the live subgraph's stubs. */
  readonly views: ReadonlyMap<string, TypeView>;
  /** Values of every enum of the service. */
  readonly enums: ReadonlyMap<string, readonly string[]>;
  readonly errors: readonly SchemaProblem[];
};

const EMPTY_DOCUMENT: DocumentNode = { kind: Kind.DOCUMENT, definitions: [] };

/** Bytes of one SDL or mapping document. */
export const SDL_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Reads what a service says with @live, @carried and @filterable, in its own SDL or in a mapping document beside it, and takes it out
 * of what federation composes. Never throws: whatever is wrong is in `errors`, each naming service, type and field. Normative: spec/live-schema.md.
 */
export function extractLive(service: string, sdl: string, mappingSdl: string | null = null): ExtractedLive {
  const problems = new Problems(service);
  const document = parseSdl(sdl, 'the schema', problems);
  const mapping = mappingSdl === null || mappingSdl.trim() === '' ? null : parseSdl(mappingSdl, 'the mapping document', problems);
  if (!document || (mappingSdl !== null && mappingSdl.trim() !== '' && !mapping))
    return { liveTypes: [], document: EMPTY_DOCUMENT, views: new Map(), enums: new Map(), errors: problems.found };
  const vocabulary = readVocabulary(document);
  const views = viewTypes(document, vocabulary);
  for (const problem of vocabulary.problems) problems.add(problem.code, problem.message);
  if (mapping) readMapping(views, mapping, vocabulary, problems);
  checkPlaces(document, vocabulary, views, problems);
  const documents = mapping ? [document, mapping] : [document];
  const kinds = new Map(documents.flatMap((part) => [...namedKinds(part)]));
  const queryFields = new Set(views.get(queryTypeName(document))?.fields.keys());
  const liveTypes: LiveType[] = [];
  for (const view of views.values()) {
    const liveType = buildLiveType(view, kinds, queryFields, problems);
    if (liveType) liveTypes.push(liveType);
  }
  return {
    liveTypes,
    document: federationDocument(document, vocabulary, liveTypes, views),
    views,
    enums: enumValues(documents),
    errors: problems.found,
  };
}

/** The mapping document may bring its own @link; the names of the schema's @key stay those of the schema. */
function readMapping(views: Map<string, TypeView>, mapping: DocumentNode, base: Vocabulary, problems: Problems): void {
  const own = readVocabulary(mapping);
  for (const problem of own.problems) problems.add(problem.code, problem.message);
  applyMapping(views, mapping, { ...base, live: own.live }, problems);
}

function parseSdl(sdl: string, what: string, problems: Problems): DocumentNode | null {
  if (Buffer.byteLength(sdl) > SDL_BYTES_MAX) {
    problems.add('SDL_INVALID', `${what} is larger than ${SDL_BYTES_MAX} bytes`);
    return null;
  }
  try {
    const document = parse(sdl);
    const operation = document.definitions.find(
      (definition) => definition.kind === 'OperationDefinition' || definition.kind === 'FragmentDefinition',
    );
    if (!operation) return document;
    problems.add('SDL_INVALID', `${what} holds a query or fragment; SDL holds type definitions only`);
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    const at = error.locations?.[0];
    problems.add('SDL_INVALID', `${what} does not parse${at ? ` at line ${at.line}, column ${at.column}` : ''}: ${error.message}`);
  }
  return null;
}

export function queryTypeName(document: DocumentNode): string {
  for (const definition of document.definitions) {
    if (definition.kind !== 'SchemaDefinition' && definition.kind !== 'SchemaExtension') continue;
    const query = definition.operationTypes?.find((operation) => operation.operation === 'query');
    if (query) return query.type.name.value;
  }
  return 'Query';
}

/** A directive in the wrong place would otherwise be dropped in silence. */
function checkPlaces(document: DocumentNode, vocabulary: Vocabulary, views: ReadonlyMap<string, TypeView>, problems: Problems): void {
  for (const view of views.values()) {
    if (view.live) continue;
    for (const field of view.fields.values())
      if (field.carried || field.filterable)
        problems.add('LIVE_PLACE_INVALID', '@carried and @filterable need @live on the type', view.name, field.name);
  }
  for (const definition of document.definitions) {
    if (definition.kind === 'ObjectTypeDefinition' || definition.kind === 'ObjectTypeExtension' || !('directives' in definition)) continue;
    const name = 'name' in definition && definition.name ? definition.name.value : 'schema';
    for (const directive of definition.directives ?? [])
      if (vocabulary.live.has(directive.name.value))
        problems.add('LIVE_PLACE_INVALID', `@${directive.name.value} belongs on an object type, one of its fields respectively`, name);
    if (!('fields' in definition)) continue;
    for (const field of definition.fields ?? [])
      for (const directive of field.directives ?? [])
        if (vocabulary.live.has(directive.name.value))
          problems.add('LIVE_PLACE_INVALID', `@${directive.name.value} belongs on a field of an object type`, name, field.name.value);
  }
}
