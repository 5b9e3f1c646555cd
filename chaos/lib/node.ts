import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../tools/services/ports.ts';
import { pushDeals } from './schema.ts';
import { Server } from './server.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { owning } from './owning.ts';

/** One Millrace with all roles, an embedded log and a registry of its own, and a network before it. */
export type Node = AsyncDisposable & {
  readonly server: Server;
  /** Between clients and it. Producers do not go through it. */
  readonly network: TcpProxy;
  /** Where clients connect. */
  readonly edge: string;
  readonly events: string;
  /** Ms from the true time. */
  setClock(offset: number): void;
};

export type NodeOptions = {
  readonly name: string;
  readonly folder: string;
  readonly data?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What stands in the configuration file. */
  readonly config?: object;
};

const CLOCK_JUMP = fileURLToPath(new URL('clock-jump.ts', import.meta.url));

/** Resolves when it runs and knows the schema. */
export async function startNode({ name, folder, data = join(folder, `${name}-data`), env = {}, config }: NodeOptions): Promise<Node> {
  await using opening = new AsyncDisposableStack();
  const [port, registryPort, adminPort] = (await freePorts(3)) as [number, number, number];
  const ports = ['--port', port, '--registry-port', registryPort, '--admin-port', adminPort].map(String);
  const clock = join(folder, `${name}-clock`);
  const configFile = join(folder, `${name}.config.json`);
  if (config) writeFileSync(configFile, JSON.stringify(config));
  const server = new Server({
    name,
    folder,
    nodeArgs: ['--import', CLOCK_JUMP],
    args: ['dev', '--json', '--data', data, ...ports, ...(config ? ['--config', configFile] : [])],
    env: { ...env, CHAOS_CLOCK: clock },
  });
  opening.defer(() => server.kill());
  const { registry, ws, events } = await server.start();
  await pushDeals(registry);
  const network = opening.use(await TcpProxy.start(port));
  const edge = new URL(ws);
  edge.port = String(network.port);
  return owning(opening, {
    server,
    network,
    edge: edge.href,
    events,
    setClock(offset: number) {
      writeFileSync(clock, String(offset));
      server.signal('SIGUSR2');
    },
  });
}
