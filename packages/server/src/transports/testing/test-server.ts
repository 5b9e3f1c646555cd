import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, systemClock } from '../../kit/clock.ts';
import { silentLogger } from '../../kit/log.ts';
import { Metrics } from '../../kit/metrics.ts';
import { OriginPolicy } from '../../kit/origin-policy.ts';
import { Wheel } from '../../kit/wheel.ts';
import { type ConnectionLimits, CONNECTION_LIMITS, Connections } from '../connections.ts';
import { createGraphqlSse, type GraphqlSseOptions } from '../graphql-sse.ts';
import { createGraphqlWs, type GraphqlWsOptions, type TransportDeps } from '../graphql-ws.ts';
import { createTransportsMetrics } from '../metrics.ts';
import { FakeSessionHost } from './fake-session-host.ts';

export type TestServerOptions = {
  readonly ws?: Partial<GraphqlWsOptions>;
  readonly sse?: Partial<GraphqlSseOptions>;
  readonly limits?: Partial<ConnectionLimits>;
  readonly clock?: Clock;
  readonly allowed?: readonly string[];
};

/** A real HTTP server with both transports over a fake session host. */
export async function startTestServer(options: TestServerOptions = {}) {
  const clock = options.clock ?? systemClock;
  const host = new FakeSessionHost();
  const metrics = new Metrics();
  const transportsMetrics = createTransportsMetrics(metrics);
  const connections = new Connections(transportsMetrics, { ...CONNECTION_LIMITS, ...options.limits });
  const wheel = new Wheel(clock, 10);
  const deps: TransportDeps = {
    host,
    connections,
    origins: new OriginPolicy({ allowed: options.allowed ?? ['https://app.example.com'], loopback: false }),
    wheel,
    clock,
    metrics: transportsMetrics,
    log: silentLogger,
  };
  const ws = createGraphqlWs(deps, options.ws);
  const sse = createGraphqlSse({ ...deps, identify: async (authorization) => userOf(authorization) }, options.sse);
  const server = createServer((req: IncomingMessage, res) => sse.handle(req, res));
  server.on('upgrade', (req, socket, head) => ws.handleUpgrade(req, socket, head));
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    handleUpgrade: ws.handleUpgrade,
    host,
    connections,
    metrics,
    wheel,
    port,
    ws: `ws://127.0.0.1:${port}/graphql`,
    sse: `http://127.0.0.1:${port}/graphql/stream`,
    /** The client hears of a close before the server is done with it. */
    async untilConnections(count: number): Promise<void> {
      while (connections.size !== count) await new Promise(setImmediate);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      wheel.close();
      // Upgraded sockets are no longer the HTTP server's to close, but it waits for them.
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type TestServer = Awaited<ReturnType<typeof startTestServer>>;

/** As the fake host reads tokens. */
function userOf(authorization: string | undefined) {
  const user = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];
  return user === undefined ? { kind: 'anonymous' as const, tenant: null } : { kind: 'user' as const, tenant: 't1', user };
}
