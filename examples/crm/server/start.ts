import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BoardOptions, serveBoard } from './board-server.ts';
import { dealsSubgraph } from './deals.ts';
import { DealReader } from './deal-store.ts';
import { startMonolith } from './monolith-process.ts';
import { pipelinesSubgraph } from './pipelines.ts';
import { serveSubgraph } from './subgraph.ts';
import { usersSubgraph } from './users.ts';

export type CrmOptions = {
  /** Where Millrace takes events: `http://127.0.0.1:4000/events`. */
  readonly eventsUrl: string;
  /** Millrace's GraphQL address: `http://127.0.0.1:4000/graphql`. */
  readonly graphqlUrl: string;
  /** Default: `graphqlUrl` with `ws:`. */
  readonly wsUrl?: string;
  /** Shown to `eventsUrl`. */
  readonly token?: string;
  /** Signs the development tokens that the board's sign-in hands out. */
  readonly issueToken: BoardOptions['issueToken'];
  /** Databases live here, and stay. Default: a temporary folder, removed by `stop`. */
  readonly dataDir?: string;
  /** Default: `CRM_PORTS`. 0 takes any free port. */
  readonly ports?: Partial<CrmPorts>;
  /** The built page. Default: `BOARD_DIR`. */
  readonly boardDir?: string;
  /** Ms between two changes of the monolith, about; 0 for none. Default 1,500. */
  readonly everyMs?: number;
  /** Of the made-up data and changes. Default 7. */
  readonly seed?: number;
};

export type CrmPorts = {
  readonly board: number;
  readonly deals: number;
  readonly users: number;
  readonly pipelines: number;
  readonly monolith: number;
};

export const CRM_PORTS: CrmPorts = { board: 4010, deals: 4011, users: 4012, pipelines: 4013, monolith: 4014 };

/** For tests and wherever the usual ports may be taken. */
export const ANY_PORTS: CrmPorts = { board: 0, deals: 0, users: 0, pipelines: 0, monolith: 0 };

export type Crm = {
  readonly subgraphs: readonly { readonly name: string; readonly url: string; readonly sdlFile: string; readonly sdl: string }[];
  /** Open this in a browser. */
  readonly boardUrl: string;
  readonly boardDir: string;
  readonly monolith: { readonly url: string; readonly pid: number };
  /** Everything that was started ends, in reverse order. Idempotent. */
  stop(): Promise<void>;
};

/** What `npm run build -w @millrace/example-crm` makes. */
export const BOARD_DIR: string = fileURLToPath(new URL('../dist', import.meta.url));

/**
 * Starts the example: the monolith (a process of its own), three subgraphs, and the board. Millrace itself and the push of the
 * schemas are the caller's business; the monolith keeps its events until its topic is known. What fails to start takes down
 * what had started before it.
 */
export async function startCrm(options: CrmOptions): Promise<Crm> {
  const cleanups: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (let cleanup = cleanups.pop(); cleanup; cleanup = cleanups.pop()) await cleanup();
  };
  try {
    return { ...(await startParts(options, cleanups)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(options: CrmOptions, cleanups: (() => unknown)[]): Promise<Omit<Crm, 'stop'>> {
  const ports = { ...CRM_PORTS, ...options.ports };
  const data = dataFolder(options.dataDir, cleanups);
  const dataFile = join(data, 'monolith.sqlite');
  const { eventsUrl, token = null, everyMs = 1_500, seed = 7 } = options;
  const monolith = await startMonolith({ dataFile, eventsUrl, eventsToken: token, port: ports.monolith, everyMs, seed });
  cleanups.push(() => monolith.stop());

  const reader = new DealReader(dataFile);
  cleanups.push(() => reader.close());
  const users = usersSubgraph(join(data, 'users.sqlite'));
  cleanups.push(() => users.close());
  const pipelines = pipelinesSubgraph(join(data, 'pipelines.sqlite'));
  cleanups.push(() => pipelines.close());

  const subgraphs: Crm['subgraphs'][number][] = [];
  const parts = [
    ['deals', dealsSubgraph(reader, monolith.commands)],
    ['users', users],
    ['pipelines', pipelines],
  ] as const;
  for (const [name, subgraph] of parts) {
    const running = await serveSubgraph(subgraph, ports[name]);
    cleanups.push(() => running.stop());
    const sdlFile = fileURLToPath(new URL(`../schemas/${name}.graphql`, import.meta.url));
    subgraphs.push({ name, url: running.url, sdlFile, sdl: subgraph.sdl });
  }
  const wsUrl = options.wsUrl ?? options.graphqlUrl.replace(/^http/, 'ws');
  const { graphqlUrl, issueToken, boardDir = BOARD_DIR } = options;
  const board = await serveBoard({ directory: boardDir, port: ports.board, wsUrl, graphqlUrl, issueToken });
  cleanups.push(() => board.stop());
  return { subgraphs, boardUrl: `${board.url}/`, boardDir, monolith: { url: monolith.url, pid: monolith.pid } };
}

function dataFolder(given: string | undefined, cleanups: (() => unknown)[]): string {
  if (given !== undefined) {
    mkdirSync(given, { recursive: true });
    return given;
  }
  const temporary = mkdtempSync(join(tmpdir(), 'millrace-crm-'));
  cleanups.push(() => rmSync(temporary, { recursive: true, force: true }));
  return temporary;
}
