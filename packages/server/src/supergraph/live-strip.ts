import {
  type ConstDirectiveNode,
  type DefinitionNode,
  type DocumentNode,
  type FieldDefinitionNode,
  Kind,
  type ObjectTypeDefinitionNode,
  type ObjectTypeExtensionNode,
  parse,
} from 'graphql';
import type { LiveType } from '../events/live-type.ts';
import { LIVE_TYPE_PREFIX } from './live-directives.ts';
import { isSchemaNode } from './link-imports.ts';
import type { Vocabulary } from './live-vocabulary.ts';
import { type TypeView, isObjectNode } from './type-view.ts';

const FEDERATION_URL = 'https://specs.apollo.dev/federation/v2.6';

/** Directives of federation 2 that a schema without a federation @link may use once we add the link. */
const FEDERATION_DIRECTIVES = [
  'key',
  'requires',
  'provides',
  'external',
  'shareable',
  'extends',
  'override',
  'inaccessible',
  'tag',
  'interfaceObject',
  'composeDirective',
  'authenticated',
  'requiresScopes',
  'policy',
] as const;

const FEDERATION_1 = new Set(['key', 'requires', 'provides', 'external', 'extends', 'tag']);

/**
 * The service's schema as federation composes it: Millrace's directives, definitions and @link are gone, and every field that the live
 * subgraph resolves too is @shareable, so that teams need not write it.
 *
 * A schema that links no specification at all is federation 1, where every field is shareable by itself; it stays that. One that links ours,
 * or uses a directive that only federation 2 has, gets the federation link.
 */
export function federationDocument(
  document: DocumentNode,
  vocabulary: Vocabulary,
  liveTypes: readonly LiveType[],
  views: ReadonlyMap<string, TypeView>,
): DocumentNode {
  const used = usedDirectives(document);
  const addLink =
    !vocabulary.federation &&
    (vocabulary.liveLink !== null || FEDERATION_DIRECTIVES.some((name) => !FEDERATION_1.has(name) && used.has(name)));
  const federation2 = addLink || (vocabulary.federation?.version.startsWith('v2') ?? false);
  const shared = federation2 ? sharedFields(liveTypes, views) : new Map<string, ReadonlySet<string>>();
  const definitions: DefinitionNode[] = addLink ? [federationLink(used)] : [];
  for (const definition of document.definitions) {
    const kept = strip(definition, vocabulary, shared);
    if (kept) definitions.push(kept);
  }
  return { ...document, definitions };
}

function sharedFields(liveTypes: readonly LiveType[], views: ReadonlyMap<string, TypeView>): Map<string, ReadonlySet<string>> {
  const shared = new Map<string, ReadonlySet<string>>();
  for (const type of liveTypes) {
    if (views.get(type.name)?.mappedOnly) continue;
    const keys = new Set(type.key.map((key) => key.field));
    shared.set(type.name, new Set(type.carried.map((field) => field.field).filter((field) => !keys.has(field))));
  }
  return shared;
}

function usedDirectives(document: DocumentNode): ReadonlySet<string> {
  const used = new Set<string>();
  for (const definition of document.definitions) {
    if (!('directives' in definition)) continue;
    for (const directive of definition.directives ?? []) used.add(directive.name.value);
    if (!('fields' in definition)) continue;
    for (const field of definition.fields ?? []) {
      for (const directive of field.directives ?? []) used.add(directive.name.value);
      if ('arguments' in field)
        for (const arg of field.arguments ?? []) for (const directive of arg.directives ?? []) used.add(directive.name.value);
    }
  }
  return used;
}

function federationLink(used: ReadonlySet<string>): DefinitionNode {
  const names = FEDERATION_DIRECTIVES.filter((name) => name === 'key' || name === 'shareable' || used.has(name));
  const definition = parse(`extend schema @link(url: "${FEDERATION_URL}", import: [${names.map((name) => `"@${name}"`).join(', ')}])`)
    .definitions[0];
  if (!definition) throw new Error('the federation link did not parse');
  return definition;
}

function strip(
  definition: DefinitionNode,
  vocabulary: Vocabulary,
  shared: ReadonlyMap<string, ReadonlySet<string>>,
): DefinitionNode | null {
  if (isSchemaNode(definition)) {
    const directives = definition.directives?.filter((directive) => directive !== vocabulary.liveLink?.node) ?? [];
    if (definition.kind === Kind.SCHEMA_EXTENSION && directives.length === 0 && !definition.operationTypes?.length) return null;
    return { ...definition, directives };
  }
  if (vocabulary.live.size === 0) return definition;
  if (definition.kind === Kind.DIRECTIVE_DEFINITION) return vocabulary.live.has(definition.name.value) ? null : definition;
  if ('name' in definition && definition.name?.value.startsWith(LIVE_TYPE_PREFIX)) return null;
  return isObjectNode(definition) ? stripObject(definition, vocabulary, shared.get(definition.name.value)) : definition;
}

function stripObject(
  definition: ObjectTypeDefinitionNode | ObjectTypeExtensionNode,
  vocabulary: Vocabulary,
  shared: ReadonlySet<string> | undefined,
): DefinitionNode | null {
  const directives = definition.directives?.filter((directive) => !vocabulary.live.has(directive.name.value)) ?? [];
  const wholeType = directives.some((directive) => directive.name.value === vocabulary.shareable);
  const fields =
    definition.fields?.map((field) => stripField(field, vocabulary, !wholeType && (shared?.has(field.name.value) ?? false))) ?? [];
  const extension = definition.kind === Kind.OBJECT_TYPE_EXTENSION;
  if (extension && directives.length === 0 && fields.length === 0 && !definition.interfaces?.length) return null;
  return { ...definition, directives, fields };
}

function stripField(field: FieldDefinitionNode, vocabulary: Vocabulary, share: boolean): FieldDefinitionNode {
  const directives: ConstDirectiveNode[] = field.directives?.filter((directive) => !vocabulary.live.has(directive.name.value)) ?? [];
  const already = directives.some((directive) => directive.name.value === vocabulary.shareable);
  if (share && !already) directives.push({ kind: Kind.DIRECTIVE, name: { kind: Kind.NAME, value: vocabulary.shareable } });
  return { ...field, directives };
}
