import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Deal } from '../lib/deals.ts';

/** `POST /events` in the least that a peer needs: a JSON event or a list of them. Answers when all have been handed on. */
export function eventsDoor(publish: (deal: Deal) => void): (req: IncomingMessage, res: ServerResponse) => void {
  return requestsDoor((deals) => {
    for (const deal of deals) publish(deal);
  });
}

/** The same with all events of a request at once. */
export function requestsDoor(publish: (deals: readonly Deal[]) => void): (req: IncomingMessage, res: ServerResponse) => void {
  return (req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => void chunks.push(chunk));
    req.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Deal | readonly Deal[];
      publish(Array.isArray(body) ? (body as readonly Deal[]) : [body as Deal]);
      res.writeHead(202, { 'content-length': 0 }).end();
    });
  };
}

/** Says on standard output where it listens, as the harness expects. */
export function announce(server: Pick<Server, 'address'>, scheme: 'ws' | 'net' = 'ws', clients: Pick<Server, 'address'> = server): void {
  const port = (clients.address() as AddressInfo).port;
  const events = (server.address() as AddressInfo).port;
  process.stdout.write(`${JSON.stringify({ ws: `${scheme}://127.0.0.1:${port}/graphql`, events: `http://127.0.0.1:${events}/events` })}\n`);
}

/** All connections come at once. */
export const LISTEN = { port: 0, host: '127.0.0.1', backlog: 4_096 };
