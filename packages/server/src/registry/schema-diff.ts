import type { Change } from '@graphql-inspector/core';
import { transformSupergraphToPublicSchema } from '@theguild/federation-composition';
import { buildASTSchema, type GraphQLSchema, parse } from 'graphql';
import type { Release } from '../supergraph/release.ts';

export type DiffChange = {
  readonly criticality: { readonly level: string; readonly reason?: string };
  readonly type: string;
  readonly message: string;
  readonly path: string | null;
};

/** What clients would see change from one release to the next; `before` is null where there is none. */
export async function diffReleases(before: Release | null, after: Release): Promise<readonly DiffChange[]> {
  // Loaded when first needed: it costs a start 80 ms, and most processes never compare.
  const { diff } = await import('@graphql-inspector/core');
  const changes = await diff(before ? publicSchema(before) : null, publicSchema(after));
  return changes.map(toDiffChange);
}

/** No join directives, nothing @inaccessible. */
function publicSchema(release: Release): GraphQLSchema {
  return buildASTSchema(transformSupergraphToPublicSchema(parse(release.supergraphSdl)), { assumeValid: true });
}

function toDiffChange(change: Change): DiffChange {
  const { level, reason } = change.criticality;
  return {
    criticality: { level, ...(reason === undefined ? {} : { reason }) },
    type: String(change.type),
    message: change.message,
    path: change.path ?? null,
  };
}
