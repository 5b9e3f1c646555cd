import { createHash } from 'node:crypto';
import { GraphQLError, parse, print } from 'graphql';
import { MillraceError } from '../kit/errors.ts';
import { schemaErrors } from '../supergraph/errors.ts';
import type { SchemaRow } from './store.ts';

/**
 * The identity of a schema: SHA-256 of its documents as printed, so that white space and comments do not make another schema.
 * Throws SDL_INVALID with service, line and column where one does not parse.
 */
export function schemaDigest(service: string, typeDefs: string, mappingDefs: string | null): string {
  const hash = createHash('sha256').update(printed(service, 'type_defs', typeDefs));
  if (mappingDefs !== null) hash.update('\0').update(printed(service, 'mapping_defs', mappingDefs));
  return hash.digest('hex');
}

function printed(service: string, key: string, sdl: string): string {
  try {
    return print(parse(sdl, { noLocation: true }));
  } catch (thrown) {
    throw sdlInvalid(service, key, thrown);
  }
}

export function sdlInvalid(service: string, key: string, thrown: unknown): MillraceError {
  const reason = thrown instanceof GraphQLError ? thrown.message : 'the document is nested too deeply';
  const at = thrown instanceof GraphQLError ? thrown.locations?.[0] : undefined;
  const place = at ? ` (line ${at.line}, column ${at.column})` : '';
  const message = `service "${service}": ${key} does not parse: ${reason}${place}`;
  const problem = { code: schemaErrors.SDL_INVALID.code, message, service, ...(at ? { line: at.line, column: at.column } : {}) };
  return new MillraceError(schemaErrors.SDL_INVALID, message, { problems: [problem] }, thrown);
}

/** Equal for sets that compose into the same release: names, documents and addresses, whatever their versions are called. */
export function setFingerprint(rows: readonly SchemaRow[]): string {
  const hash = createHash('sha256');
  const parts = rows.map((row) => JSON.stringify([row.service, row.digest, row.url, row.subscriptionUrl])).toSorted();
  for (const part of parts) hash.update(part).update('\n');
  return hash.digest('hex');
}
