import { createHash } from 'node:crypto';
import type { LiveType } from '../events/live-type.ts';

/**
 * One composed state of the whole graph: what the registry hands out and a generation is built from.
 * Identified by the digest of its content, the same on every machine.
 */
export type Release = {
  /** sha256 of the supergraph SDL, the live mappings and the subgraphs' addresses, hex: a change to any of them is another release. */
  readonly digest: string;
  readonly supergraphSdl: string;
  readonly liveTypes: readonly LiveType[];
  /** By subgraph name, as in `@join__graph`. */
  readonly subgraphs: ReadonlyMap<string, SubgraphTarget>;
};

export type SubgraphTarget = {
  readonly name: string;
  /** HTTP address for queries and mutations. Empty for the generated live subgraph. */
  readonly url: string;
  /** Address for subscriptions that the subgraph serves itself; http(s) means SSE, ws(s) graphql-transport-ws. Null: derived from `url`. */
  readonly subscriptionUrl: string | null;
};

/** A mapping or a subscription address may change while the supergraph's text stays: both belong to the identity of a release. */
export function releaseDigest(
  supergraphSdl: string,
  liveTypes: readonly LiveType[],
  subgraphs: ReadonlyMap<string, SubgraphTarget>,
): string {
  const hash = createHash('sha256').update(supergraphSdl);
  for (const type of liveTypes) hash.update(JSON.stringify({ ...type, actions: [...type.actions] }));
  for (const target of subgraphs.values()) hash.update(JSON.stringify([target.name, target.url, target.subscriptionUrl]));
  return hash.digest('hex');
}

/** PORT. Where releases come from: the registry in the same process, or over the network. */
export interface SupergraphSource {
  /** The last good release; null before the first push. */
  current(): Promise<Release | null>;
  /**
   * Called with each new release, never with one that did not compose. A promise that the listener returns says when the release is in
   * service there; whoever pushed it is answered after that, within a bound. Returns a stop function.
   */
  watch(onRelease: (release: Release) => void | Promise<void>): () => void;
}
