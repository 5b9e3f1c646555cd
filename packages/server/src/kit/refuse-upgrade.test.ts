import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { refuseUpgrade } from './http-message.ts';

test('a peer that resets while it is refused is no uncaught exception: from `upgrade` on nobody else listens to the socket', () => {
  const socket = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('write ECONNRESET'), { code: 'ECONNRESET' })),
  });
  refuseUpgrade(socket, 404, 'text/plain', 'no');
  expect(() => socket.emit('error', new Error('read ECONNRESET'))).not.toThrow();
  expect(socket.destroyed).toBe(true);
});

test('a peer that never closes its half does not keep the socket: refused connections are in no count and had no end', async () => {
  const server = createServer();
  const closed = new Promise<void>((resolve) => {
    server.on('upgrade', (_req, socket) => {
      socket.once('close', () => resolve());
      refuseUpgrade(socket, 403, 'text/plain; charset=utf-8', 'not you', { 'retry-after': '5' });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  let answer = '';
  client.on('data', (chunk) => (answer += chunk.toString())).on('error', () => undefined);
  client.write('GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await closed;
  await new Promise<void>((resolve) => client.once('end', resolve));
  expect(answer).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n[^]*content-length: 7\r\n[^]*retry-after: 5\r\n\r\nnot you$/);
  client.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
