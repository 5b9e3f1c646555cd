import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Certificate, makeCertificate } from '../../../../tools/services/certificate.ts';
import { startTestServer } from './testing/test-server.ts';

let folder: string;
let certificate: Certificate;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-wss-'));
  certificate = await makeCertificate(folder);
});
afterAll(() => rm(folder, { recursive: true }));

/** Bytes written to the handle below a TLS socket would leave without encryption. */
it('a connection over TLS is served by way of its stream, and large answers come whole', async () => {
  await using upgrades = await startTestServer();
  const server = createServer({ cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) });
  server.on('upgrade', (req, socket, head) => upgrades.handleUpgrade(req, socket, head)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `wss://localhost:${(server.address() as AddressInfo).port}/graphql`;
  const ws = new WebSocket(url, 'graphql-transport-ws', { ca: certificate.ca });
  await once(ws, 'open');
  const heard: string[] = [];
  ws.on('message', (data: Buffer) => heard.push(data.toString()));
  const texts = [1, 1_000, 200_000].map((length) => 'x'.repeat(length));
  for (const text of texts) ws.send(JSON.stringify({ type: 'ping', payload: { text } }));
  ws.send('{"type":"connection_init"}');
  while (heard.length < 4) await once(ws, 'message');
  expect(heard).toEqual([...texts.map((text) => JSON.stringify({ type: 'pong', payload: { text } })), '{"type":"connection_ack"}']);
  ws.close();
  await once(ws, 'close');
  await upgrades.untilConnections(0);
  await new Promise((resolve) => server.close(resolve));
});
