import { IncomingMessage } from 'node:http';
import { connect, Socket } from 'node:net';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { startTestServer } from './testing/test-server.ts';

/**
 * Pongs that a client does not take were bounded by their bytes. An empty pong has two of them, and a buffer object and a link of about 160 beside: behind the
 * bound of 256 KiB stood 21 MB of heap for each connection that sends pings and does not read. The bound now counts what a waiting pong takes; what a reading
 * client takes at once does not count, however many pings come in one piece.
 */
const PING = Buffer.from([0x89, 0x80, 0, 0, 0, 0]);
const HEADERS = {
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
  'sec-websocket-protocol': 'graphql-transport-ws',
};

/** Takes not one byte, like a peer whose window is closed. */
class Blocked extends Duplex {
  override _read(): void {}
  override _write(): void {}
}

it.each([
  [1_500, 'client'],
  [1_800, 'too_slow'],
])('%i pings of a client that takes nothing end as %s', async (pings, reason) => {
  await using server = await startTestServer();
  const socket = new Blocked();
  const req = new IncomingMessage(new Socket());
  req.method = 'GET';
  Object.assign(req.headers, HEADERS);
  server.handleUpgrade(req, socket, Buffer.alloc(0));
  for (let nth = 0; nth < pings; nth += 1) {
    socket.push(PING);
    if (nth % 100 === 0) await new Promise(setImmediate);
  }
  await new Promise(setImmediate);
  socket.destroy();
  await server.untilConnections(0);
  expect(await server.metrics.text()).toMatch(new RegExp(`transports_closed_total\\{[^}]*reason="${reason}"[^}]*\\} 1`));
});

it('20,000 pings in one piece of a client that reads are all answered', async () => {
  await using server = await startTestServer();
  const socket = connect(server.port, '127.0.0.1');
  const lines = Object.entries(HEADERS).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET /graphql HTTP/1.1\r\nhost: a\r\n${lines.join('')}\r\n`);
  await once(socket, 'data');
  let received = 0;
  const answered = new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received >= 20_000 * 2) resolve();
    });
    socket.on('close', () => reject(new Error(`closed after ${received} bytes`)));
  });
  socket.write(Buffer.alloc(PING.length * 20_000, PING));
  await answered;
  expect(received).toBe(40_000);
  socket.destroy();
});
