import { type Node, startNode } from './node.ts';
import { sendOverHttp } from './producer.ts';
import type { Site, Topology } from './site.ts';
import { tokenOf } from './tokens.ts';

/** One process with everything in it. */
export type OneSite = Site & Node;

export async function startOne(folder: string, data?: string): Promise<OneSite> {
  const node = await startNode({ name: 'millrace', folder, ...(data === undefined ? {} : { data }) });
  return { ...node, edges: () => [node.edge], send: sendOverHttp(() => node.events), token: tokenOf };
}

export const one: Topology<OneSite> = { name: 'one process, embedded log and channels', needs: [], start: (folder) => startOne(folder) };
