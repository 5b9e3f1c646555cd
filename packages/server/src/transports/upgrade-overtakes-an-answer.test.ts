import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { startTestServer } from './testing/test-server.ts';

/**
 * Node tells of an upgrade that a client has pipelined behind a request whose answer is still on its way. The 101 then came before that answer, and the answer
 * in the midst of the frames; where the answer was blocked, frames written below the stream even overtook their own 101. HTTP wants answers in the
 * order of the requests (RFC 9112 section 9.3.2). Such a connection is now closed; one whose answers are out upgrades as ever.
 */
const UPGRADE =
  'GET /graphql HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n';

async function start(upgrades: Awaited<ReturnType<typeof startTestServer>>) {
  const waiting: ServerResponse[] = [];
  const server = createServer((req, res) => {
    if (req.url === '/now') res.end('done');
    else if (req.url === '/large') res.end(Buffer.alloc(30_000_000));
    else waiting.push(res);
  });
  server.on('upgrade', (req, socket, head) => {
    upgrades.handleUpgrade(req, socket, head);
    for (const res of waiting.splice(0)) res.end('late');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  return { socket, end: () => new Promise((resolve) => server.close(resolve)) };
}

it.each(['/later', '/large'])('an upgrade behind an unanswered %s gets nothing', async (path) => {
  await using upgrades = await startTestServer();
  const { socket, end } = await start(upgrades);
  const chunks: Buffer[] = [];
  socket.on('error', () => undefined).on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = once(socket, 'close');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n${UPGRADE}`);
  await closed;
  expect(Buffer.concat(chunks).includes('101 Switching')).toBe(false);
  expect(upgrades.connections.size).toBe(0);
  await end();
});

it('an upgrade after an answer on the same connection is served', async () => {
  await using upgrades = await startTestServer();
  const { socket, end } = await start(upgrades);
  socket.write('GET /now HTTP/1.1\r\nHost: a\r\n\r\n');
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  while (!text.endsWith('done')) await once(socket, 'data');
  socket.write(UPGRADE);
  while (!text.includes('101 Switching')) await once(socket, 'data');
  const closed = once(socket, 'close');
  socket.end(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
  await closed;
  await upgrades.untilConnections(0);
  await end();
});
