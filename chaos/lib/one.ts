import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../tools/services/ports.ts';
import { sendOverHttp } from './producer.ts';
import { pushDeals } from './schema.ts';
import { Server } from './server.ts';
import type { Site, Topology } from './site.ts';
import { TcpProxy } from './tcp-proxy.ts';
import { tokenOf } from './tokens.ts';

/** One process with everything in it, and a network before it. */
export type OneSite = Site & {
  readonly server: Server;
  readonly network: TcpProxy;
  /** Ms from the true time. */
  setClock(offset: number): void;
};

const CLOCK_JUMP = fileURLToPath(new URL('clock-jump.ts', import.meta.url));

export async function startOne(folder: string, data = join(folder, 'data')): Promise<OneSite> {
  await using opening = new AsyncDisposableStack();
  const [port, registryPort, adminPort] = (await freePorts(3)) as [number, number, number];
  const ports = ['--port', port, '--registry-port', registryPort, '--admin-port', adminPort].map(String);
  const clock = join(folder, 'clock');
  const server = new Server({
    name: 'millrace',
    folder,
    nodeArgs: ['--import', CLOCK_JUMP],
    args: ['dev', '--json', '--data', data, ...ports],
    env: { CHAOS_CLOCK: clock },
  });
  opening.defer(() => server.kill());
  const { registry, ws, events } = await server.start();
  await pushDeals(registry);
  const network = opening.use(await TcpProxy.start(port));
  const edge = new URL(ws);
  edge.port = String(network.port);
  const closing = opening.move();
  return {
    server,
    network,
    edges: () => [edge.href],
    send: sendOverHttp(
      () => [events],
      (tenant) => tokenOf(tenant, 'producer'),
    ),
    token: tokenOf,
    setClock(offset) {
      writeFileSync(clock, String(offset));
      server.signal('SIGUSR2');
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

export const one: Topology<OneSite> = { name: 'one process, embedded log and channels', needs: [], start: (folder) => startOne(folder) };
