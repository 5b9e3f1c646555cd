import { composeServices } from '@theguild/federation-composition';
import { type DocumentNode, type GraphQLError, Kind, parse } from 'graphql';
import { Problems, type SchemaProblem } from './live-problem.ts';
import { type ExtractedLive, extractLive, queryTypeName } from './live-schema.ts';
import { LIVE_SUBGRAPH, type LiveSource, type LiveSubgraphInput, generateLiveSubgraph } from './live-subgraph.ts';
import { type Release, releaseDigest, type SubgraphTarget } from './release.ts';
import { confirmUnsatisfiable, isUnsatisfiable } from './satisfiability.ts';
import { repairSupergraph } from './supergraph-repair.ts';
import { isObjectNode } from './type-view.ts';

export type ServiceInput = {
  readonly name: string;
  readonly sdl: string;
  /** A document of type extensions with @live beside a schema that cannot be touched. */
  readonly mappingSdl?: string | null;
  readonly url: string;
  readonly subscriptionUrl?: string | null;
};

export type ComposeOptions = {
  /** Proves that every field can be reached. Its time grows steeply, so by default only up to `satisfiabilityServicesMax` services. */
  readonly satisfiability?: boolean;
};

export const SATISFIABILITY_SERVICES_MAX = 25;

export type Composition =
  | { readonly ok: Release; /** The generated subgraph, for people to read. Null without live types. */ readonly liveSdl: string | null }
  | { readonly errors: readonly SchemaProblem[] };

type Part = ServiceInput & { readonly extracted: ExtractedLive };

/**
 * Composes services into a release. Never throws; the same services in any order give the same digest. An empty set does not
 * compose: the caller decides what an empty registry serves.
 */
export function composeRelease(services: readonly ServiceInput[], options: ComposeOptions = {}): Composition {
  const errors: SchemaProblem[] = checkNames(services);
  const parts = [...services]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((service): Part => ({ ...service, extracted: extractLive(service.name, service.sdl, service.mappingSdl ?? null) }));
  for (const part of parts) errors.push(...part.extracted.errors);
  if (errors.length > 0) return { errors };
  const sources = liveSources(parts);
  const liveSdl = generateLiveSubgraph({ sources, ...surroundings(parts) });
  for (const source of sources) errors.push(...source.problems.found);
  if (errors.length > 0) return { errors: distinct(errors) };
  return composeParts(parts, liveSdl, options.satisfiability ?? services.length <= SATISFIABILITY_SERVICES_MAX);
}

function checkNames(services: readonly ServiceInput[]): SchemaProblem[] {
  const problems: SchemaProblem[] = [];
  const seen = new Set<string>();
  for (const { name } of services) {
    const report = new Problems(name);
    if (name === LIVE_SUBGRAPH)
      report.add('SERVICE_NAME_RESERVED', `the name "${LIVE_SUBGRAPH}" is reserved for the generated subgraph; push it under another name`);
    if (seen.has(name)) report.add('SERVICE_NAME_DUPLICATE', 'the name is given twice');
    seen.add(name);
    problems.push(...report.found);
  }
  return problems;
}

function liveSources(parts: readonly Part[]): readonly LiveSource[] {
  return parts.flatMap((part) => {
    const problems = new Problems(part.name);
    return part.extracted.liveTypes.flatMap((type): LiveSource[] => {
      const view = part.extracted.views.get(type.name);
      return view ? [{ type, view, problems }] : [];
    });
  });
}

function surroundings(parts: readonly Part[]): Omit<LiveSubgraphInput, 'sources'> {
  const enums = new Map<string, { values: readonly string[]; agreed: boolean }>();
  const takenTypes = new Set<string>();
  const takenSubscriptionFields = new Set<string>();
  let queries = 0;
  for (const { extracted } of parts) {
    for (const [name, values] of extracted.enums) mergeEnum(enums, name, values);
    for (const definition of extracted.document.definitions)
      if ('name' in definition && definition.name && definition.kind !== Kind.SCALAR_TYPE_DEFINITION) takenTypes.add(definition.name.value);
    for (const field of rootFields(extracted.document, 'subscription')) takenSubscriptionFields.add(field);
    queries += rootFields(extracted.document, 'query').length;
  }
  return { enums, takenTypes, takenSubscriptionFields, needsQuery: queries === 0 };
}

function mergeEnum(enums: Map<string, { values: readonly string[]; agreed: boolean }>, name: string, values: readonly string[]): void {
  const known = enums.get(name);
  if (!known) {
    enums.set(name, { values, agreed: true });
    return;
  }
  const union = [...new Set([...known.values, ...values])];
  enums.set(name, { values: union, agreed: known.agreed && union.length === known.values.length && union.length === values.length });
}

function rootFields(document: DocumentNode, operation: 'query' | 'subscription'): readonly string[] {
  const root = operation === 'query' ? queryTypeName(document) : subscriptionTypeName(document);
  return document.definitions.flatMap((definition) =>
    isObjectNode(definition) && definition.name.value === root ? (definition.fields ?? []).map((field) => field.name.value) : [],
  );
}

function subscriptionTypeName(document: DocumentNode): string {
  for (const definition of document.definitions)
    if (definition.kind === Kind.SCHEMA_DEFINITION || definition.kind === Kind.SCHEMA_EXTENSION)
      for (const operation of definition.operationTypes ?? []) if (operation.operation === 'subscription') return operation.type.name.value;
  return 'Subscription';
}

function composeParts(parts: readonly Part[], liveSdl: string | null, satisfiability: boolean): Composition {
  const definitions = parts.map((part) => ({ name: part.name, url: part.url, typeDefs: part.extracted.document }));
  if (liveSdl !== null) definitions.push({ name: LIVE_SUBGRAPH, url: '', typeDefs: parse(liveSdl) });
  const names = definitions.map((definition) => definition.name);
  let supergraphSdl: string;
  try {
    const result = composeDefinitions(definitions, satisfiability);
    if ('errors' in result) return { errors: distinct(result.errors.map((error) => explain(error, names))) };
    supergraphSdl = repairSupergraph(
      result.supergraphSdl,
      definitions.map((definition) => ({ name: definition.name, document: definition.typeDefs })),
    );
  } catch (error) {
    // The composition library throws on some malformed input instead of reporting it; a push must get an answer all the same.
    return { errors: [{ code: 'COMPOSITION_FAILED', message: error instanceof Error ? error.message : 'composition failed' }] };
  }
  const liveTypes = parts.flatMap((part) => part.extracted.liveTypes);
  const subgraphs = new Map(
    parts.map((part): [string, SubgraphTarget] => [
      part.name,
      { name: part.name, url: part.url, subscriptionUrl: part.subscriptionUrl ?? null },
    ]),
  );
  if (liveSdl !== null) subgraphs.set(LIVE_SUBGRAPH, { name: LIVE_SUBGRAPH, url: '', subscriptionUrl: null });
  return { ok: { digest: releaseDigest(supergraphSdl, liveTypes, subgraphs), supergraphSdl, liveTypes, subgraphs }, liveSdl };
}

type Definition = { readonly name: string; readonly url: string; readonly typeDefs: DocumentNode };

function composeDefinitions(
  definitions: Definition[],
  satisfiability: boolean,
): { readonly supergraphSdl: string } | { readonly errors: readonly GraphQLError[] } {
  const unchecked = (): ReturnType<typeof composeServices> =>
    composeServices(definitions, { disableValidationRules: ['SatisfiabilityRule'] });
  const result = satisfiability ? composeServices(definitions) : unchecked();
  if (result.supergraphSdl !== undefined) return { supergraphSdl: result.supergraphSdl };
  if (!result.errors.every(isUnsatisfiable)) return { errors: result.errors };
  const { supergraphSdl } = unchecked();
  if (supergraphSdl === undefined) return { errors: result.errors };
  const errors = confirmUnsatisfiable(result.errors, supergraphSdl);
  return errors.length > 0 ? { errors } : { supergraphSdl };
}

/** Composition says `[deals] Field "Deal.title" …`, or names services further on in the text. */
function explain(error: GraphQLError, services: readonly string[]): SchemaProblem {
  const message = error.message;
  const bracketed = /^\[([^\]]+)\]/.exec(message)?.[1];
  const quoted = services.find((name) => name !== LIVE_SUBGRAPH && (message.includes(`"${name}"`) || message.includes(`'${name}'`)));
  const service = bracketed !== undefined && services.includes(bracketed) ? bracketed : quoted;
  const place = /["'`]([A-Za-z_]\w*)(?:\.(\w+))?(?:\([^)]*\))?["'`]/.exec(
    message.replace(/^\[[^\]]+\]/, '').replaceAll(/subgraphs? "[^"]*"/g, ''),
  );
  const composed = typeof error.extensions['code'] === 'string' ? `${error.extensions['code']}: ` : '';
  return {
    code: 'COMPOSITION_FAILED',
    message: composed + message,
    ...(service === undefined ? {} : { service }),
    ...(place?.[1] === undefined || services.includes(place[1]) ? {} : { type: place[1] }),
    ...(place?.[2] === undefined ? {} : { field: place[2] }),
  };
}

function distinct(errors: readonly SchemaProblem[]): readonly SchemaProblem[] {
  return [...new Map(errors.map((error) => [`${error.code} ${error.message}`, error])).values()];
}
