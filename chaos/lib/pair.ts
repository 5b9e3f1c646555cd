import { randomBytes } from 'node:crypto';
import { type Chance, oneOf } from './chance.ts';
import { type Node, startNode } from './node.ts';
import { pause } from './pause.ts';
import { sendOverHttp } from './producer.ts';
import type { Send } from './producer.ts';
import type { Site } from './site.ts';
import { tokenOf } from './tokens.ts';
import { owning } from './owning.ts';

/** Two processes that share their channels; every tenant's users are on both, and its producer posts to one of them. */
export type PairSite = Site & { readonly nodes: readonly [Node, Node] };

/** Where events come from, if not by `POST /events`. */
export type Feed = { readonly send: Send; readonly config: (node: string) => object };

/** `redis`: the options of `channels.redis` as environment variables, without their common beginning. */
export async function startPair(folder: string, redis: Readonly<Record<string, string>>, feed: Feed | null = null): Promise<PairSite> {
  await using opening = new AsyncDisposableStack();
  const env = {
    MILLRACE_CHANNELS_KIND: 'redis',
    MILLRACE_CURSOR_KEY: randomBytes(32).toString('hex'),
    // Few, so that what happens to one of them happens to somebody.
    MILLRACE_CHANNELS_REDIS_PARTITIONS: '2',
    ...Object.fromEntries(Object.entries(redis).map(([name, value]) => [`MILLRACE_CHANNELS_REDIS_${name}`, value])),
  };
  const start = async (name: string): Promise<Node> =>
    opening.use(await startNode({ name, folder, env, ...(feed ? { config: feed.config(name) } : {}) }));
  const nodes = [await start('one'), await start('two')] as const;
  return owning(opening, {
    nodes,
    edges: () => nodes.map(({ edge }) => edge),
    // One for each tenant: the order of a key is the order of one log.
    send: feed?.send ?? sendOverHttp((tenant) => nodes[tenant.endsWith('0') ? 0 : 1].events),
    token: tokenOf,
  });
}

/** kill -9 of one of the two, and after a while a start on the same data. */
export async function restartOne({ nodes }: PairSite, chance: Chance): Promise<void> {
  const { server } = oneOf(chance, nodes);
  await server.kill();
  await pause(chance, 0, 500);
  await server.start();
}
