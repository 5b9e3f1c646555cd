import { type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One HTTP port. Time-outs bound what a client that sends slowly can hold; answers may take as long as they need (SSE). */
export type Listener = { readonly server: Server; readonly port: number };

/** `reusePort`: with other processes (SO_REUSEPORT). Rejects as node:net does (EADDRINUSE, EACCES); the command line turns that into PORT_TAKEN. */
export function listen(host: string, port: number, handler: RequestListener, reusePort = false): Promise<Listener> {
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 60_000, keepAliveTimeout: 65_000, maxHeaderSize: 32_768, connectionsCheckingInterval: 5_000 },
    handler,
  );
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: 4096, reusePort }, () => {
      server.removeListener('error', reject);
      resolve({ server, port: (server.address() as AddressInfo).port });
    });
  });
}

/** Stops accepting; ends idle connections now and the others with their last answer, or after `graceMs`. */
export function closeListener({ server }: Listener, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), graceMs);
    // Node closes idle connections only: one that is never idle would go on for all of the grace.
    server.prependListener('request', (_req, res) => {
      res.shouldKeepAlive = false;
    });
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}
