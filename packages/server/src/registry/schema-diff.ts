import type { Change } from '@graphql-inspector/core';
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
  // Loaded when first needed: both cost a start 100 ms and some megabytes, and most processes never compare.
  const [{ diff }, { transformSupergraphToPublicSchema }] = await Promise.all([
    import('@graphql-inspector/core'),
    import('@theguild/federation-composition'),
  ]);
  /** No join directives, nothing @inaccessible. */
  const publicSchema = (release: Release): GraphQLSchema =>
    buildASTSchema(transformSupergraphToPublicSchema(parse(release.supergraphSdl)), { assumeValid: true });
  const changes = await diff(before ? publicSchema(before) : null, publicSchema(after));
  return changes.map(toDiffChange);
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
