import type { Release, SupergraphSource } from '../supergraph/release.ts';
import type { Registry } from './registry.ts';

/** The registry of this process as the source of releases for gateway and edge. */
export function registrySource(registry: Registry): SupergraphSource {
  return {
    current: async (): Promise<Release | null> => registry.release(),
    watch: (onRelease) => registry.onRelease(onRelease),
  };
}
