import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import type { Context } from '../lib/context.ts';
import { type Millrace, startMillrace } from '../lib/millrace.ts';
import { ServerProcess } from '../lib/server-process.ts';
import { token } from '../lib/token.ts';
import { HttpLoad, Subgraphs } from './load.ts';
import { SHOP_SDL } from './shop.ts';

/** One gateway before the shop's subgraphs, and the load generator that asks it. */
export type GatewaySubject = AsyncDisposable & {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Null: there is no gateway, the subgraph is asked itself. */
  readonly server: ServerProcess | null;
  readonly subgraphs: Subgraphs;
  readonly load: HttpLoad;
  /** Of one run. Slow subjects would take most of the time of the bench, and their figures are steady with fewer. */
  readonly requests: number;
};

const BARE_HTTP = fileURLToPath(new URL('../peers/bare-http.ts', import.meta.url));
const HIVE = fileURLToPath(new URL('../peers/hive-gateway.ts', import.meta.url));

/** Names of subjects, in the order of the table. */
export const GATEWAYS = ['millrace', 'hive-gateway, stitching', 'hive-gateway, rust planner', 'subgraph alone'] as const;

/** For orientation where little else is left: the HTTP server that all of them stand on, with ready bytes behind it. */
export const NODE_HTTP = 'node:http alone';

/** `shared`: identical queries in flight share one execution, as far as the subject knows such a thing. */
export async function openGateway(subject: string, shared: boolean, context: Context): Promise<GatewaySubject> {
  await using opening = new AsyncDisposableStack();
  const subgraphs = opening.use(await Subgraphs.start());
  const load = opening.use(new HttpLoad());
  const headers = { Authorization: `Bearer ${token('shopper')}`, Accept: 'application/json' };
  const made = await start(subject, shared, subgraphs.url, context, opening);
  const closing = opening.move();
  const requests = context.scale(subject.startsWith('hive') ? 3_000 : 15_000, 1_000);
  return { ...made, headers, subgraphs, load, requests, [Symbol.asyncDispose]: () => closing.disposeAsync() };
}

async function start(
  subject: string,
  shared: boolean,
  subgraphs: string,
  context: Context,
  opening: AsyncDisposableStack,
): Promise<Pick<GatewaySubject, 'url' | 'server'>> {
  if (subject === 'subgraph alone') return { url: `${subgraphs}/products`, server: null };
  if (subject === 'millrace') {
    const services = Object.entries(SHOP_SDL).map(([name, sdl]) => ({ name, sdl, url: `${subgraphs}/${name}` }));
    const millrace: Millrace = opening.use(await startMillrace(context, { services, args: shared ? ['--gateway-share-queries'] : [] }));
    return { url: millrace.addresses.graphql, server: millrace.server };
  }
  if (subject === NODE_HTTP) {
    const server = opening.use(await ServerProcess.start({ args: [BARE_HTTP] }));
    return { url: String(server.ready['graphql']), server };
  }
  const folder = mkdtempSync(join(tmpdir(), 'bench-hive-'));
  opening.defer(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'supergraph.graphql');
  writeFileSync(file, supergraph(subgraphs));
  const server = await ServerProcess.start({
    args: [HIVE, file, subject.includes('rust') ? 'rust' : 'stitching', shared ? 'share' : 'alone'],
  });
  opening.use(server);
  return { url: String(server.ready['graphql']), server };
}

function supergraph(subgraphs: string): string {
  const services = Object.entries(SHOP_SDL).map(([name, sdl]) => ({ name, typeDefs: parse(sdl), url: `${subgraphs}/${name}` }));
  const composed = composeServices(services);
  if (composed.supergraphSdl === undefined) throw new Error('the shop does not compose');
  return composed.supergraphSdl;
}
