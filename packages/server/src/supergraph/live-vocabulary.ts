import type { DirectiveNode, DocumentNode } from 'graphql';
import {
  LIVE_ARGUMENTS,
  LIVE_DIRECTIVE_NAMES,
  LIVE_SPEC_IDENTITY,
  LIVE_SPEC_URL,
  LIVE_SPEC_VERSION,
  type LiveDirectiveName,
} from './live-directives.ts';
import { type SchemaLink, linkedDirective, schemaLinks } from './link-imports.ts';

const FEDERATION_IDENTITY = 'https://specs.apollo.dev/federation';

/** What one document calls the directives that matter here. */
export type Vocabulary = {
  /** Name as written (without @) to the directive of the live specification. Empty where the document uses none of them. */
  readonly live: ReadonlyMap<string, LiveDirectiveName>;
  readonly liveLink: SchemaLink | null;
  /** Null: the document links no federation specification. */
  readonly federation: SchemaLink | null;
  /** As written: `key`, or an import's other name. */
  readonly key: string;
  readonly shareable: string;
  readonly problems: readonly { readonly code: 'LIVE_VERSION_UNSUPPORTED' | 'LIVE_IMPORT_UNKNOWN'; readonly message: string }[];
};

export function readVocabulary(document: DocumentNode): Vocabulary {
  const links = schemaLinks(document);
  const liveLink = links.find((link) => link.identity === LIVE_SPEC_IDENTITY) ?? null;
  const federation = links.find((link) => link.identity === FEDERATION_IDENTITY) ?? null;
  return {
    live: liveLink ? linkedNames(liveLink) : definesForeignLive(document) ? new Map() : defaultNames(),
    liveLink,
    federation,
    key: federation ? linkedDirective(federation, 'key') : 'key',
    shareable: federation ? linkedDirective(federation, 'shareable') : 'shareable',
    problems: liveLink ? linkProblems(liveLink) : [],
  };
}

/** Imported names, and the namespaced ones, which @link always allows. */
function linkedNames(link: SchemaLink): ReadonlyMap<string, LiveDirectiveName> {
  const names = new Map<string, LiveDirectiveName>();
  for (const name of LIVE_DIRECTIVE_NAMES) {
    names.set(`${link.namespace}__${name}`, name);
    names.set(linkedDirective(link, name), name);
  }
  return names;
}

/** Without a @link the plain names count, so that the first ten lines of a newcomer work. */
function defaultNames(): ReadonlyMap<string, LiveDirectiveName> {
  return new Map(
    LIVE_DIRECTIVE_NAMES.flatMap(
      (name) =>
        [
          [name, name],
          [`live__${name}`, name],
        ] as const,
    ),
  );
}

/** A schema that never heard of Millrace may have a @live of its own; it has no `topic`. */
function definesForeignLive(document: DocumentNode): boolean {
  return document.definitions.some(
    (definition) =>
      definition.kind === 'DirectiveDefinition' &&
      definition.name.value === 'live' &&
      !definition.arguments?.some((arg) => arg.name.value === 'topic'),
  );
}

function linkProblems(link: SchemaLink): Vocabulary['problems'] {
  const problems: { code: 'LIVE_VERSION_UNSUPPORTED' | 'LIVE_IMPORT_UNKNOWN'; message: string }[] = [];
  if (link.version !== LIVE_SPEC_VERSION)
    problems.push({ code: 'LIVE_VERSION_UNSUPPORTED', message: `@link names ${link.url}; this program knows ${LIVE_SPEC_URL}` });
  for (const name of link.imports.keys())
    if (name.startsWith('@') && !LIVE_DIRECTIVE_NAMES.some((known) => `@${known}` === name))
      problems.push({
        code: 'LIVE_IMPORT_UNKNOWN',
        message: `@link imports ${name}; the live specification has @live, @carried and @filterable`,
      });
  return problems;
}

export function liveDirective(
  vocabulary: Vocabulary,
  directives: readonly DirectiveNode[] | undefined,
  name: LiveDirectiveName,
): DirectiveNode | null {
  return directives?.find((directive) => vocabulary.live.get(directive.name.value) === name) ?? null;
}

export function knownArguments(name: LiveDirectiveName): string {
  const names = [...LIVE_ARGUMENTS[name].keys()];
  return names.length ? names.join(', ') : 'none';
}
