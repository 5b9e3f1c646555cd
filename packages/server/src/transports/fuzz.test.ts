import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from './testing/test-server.ts';

/** Codes by which a connection may end whatever a client sends: RFC 6455's for broken frames, the protocol's for broken messages. */
const ALLOWED = new Set([1000, 1002, 1005, 1006, 1007, 1009, 1013, 4400, 4401, 4403, 4409, 4429]);

const HANDSHAKE =
  'GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`;

/** A client frame, masked with zeros; every bit of the header may be wrong. */
const frame = fc
  .record({
    fin: fc.boolean(),
    reserved: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.nat(7)),
    opcode: fc.oneof({ weight: 6, arbitrary: fc.constant(1) }, fc.nat(15)),
    masked: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.boolean()),
    payload: fc.oneof(
      fc
        .constantFrom(
          '{"type":"connection_init"}',
          '{"type":"ping"}',
          '{"id":"1","type":"subscribe","payload":{"query":"subscription{never}"}}',
          '{"id":"1","type":"complete"}',
        )
        .map((text) => Buffer.from(text)),
      fc.json().map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    ),
  })
  .map(({ fin, reserved, opcode, masked, payload }) => {
    const length = payload.length < 126 ? Buffer.from([payload.length]) : Buffer.from([126, payload.length >> 8, payload.length & 255]);
    length[0] = length[0]! | (masked ? 0x80 : 0);
    return Buffer.concat([
      Buffer.from([(fin ? 0x80 : 0) | (reserved << 4) | opcode]),
      length,
      masked ? Buffer.alloc(4) : Buffer.alloc(0),
      payload,
    ]);
  });

/** The close code of the last close frame the server sent, 1006 where it sent none. */
function closeCode(received: Buffer): number {
  let at = received.indexOf('\r\n\r\n') + 4;
  let code = 1006;
  while (at + 2 <= received.length) {
    const short = received[at + 1]! & 127;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length = short < 126 ? short : short === 126 ? received.readUInt16BE(at + 2) : Number(received.readBigUInt64BE(at + 2));
    if (received[at] === 0x88) code = length >= 2 ? received.readUInt16BE(at + head) : 1005;
    at += head + length;
  }
  return code;
}

describe('graphql-transport-ws: fuzz', () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startTestServer({ ws: { maxMessageBytes: 4_096, closeTimeoutMs: 20 } });
  });

  afterAll(() => server[Symbol.asyncDispose]());

  it('ends any sequence of frames with a code of the specification, and leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 12 }), fc.boolean(), async (frames, abrupt) => {
        const socket = connect(server.port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.write(HANDSHAKE);
        const chunks: Buffer[] = [];
        socket.on('data', (chunk: Buffer) => chunks.push(chunk));
        await once(socket, 'data');
        for (const bytes of frames) socket.write(bytes);
        if (abrupt) socket.destroy();
        // A close frame of the client ends whatever the frames before have left open.
        else socket.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
        if (!socket.closed) await once(socket, 'close');
        expect(ALLOWED).toContain(closeCode(Buffer.concat(chunks)));
      }),
      { numRuns: 150 },
    );
    await server.untilConnections(0);
    for (const session of server.host.sessions) {
      expect(session.ended).toBeGreaterThan(0);
      expect(session.operations).toBe(0);
    }
  });

  it('bounds what a client that never reads can make the server keep, and closes it', async () => {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(HANDSHAKE);
    await once(socket, 'data');
    socket.pause();
    const payload = JSON.stringify({ type: 'ping', payload: { x: 'y'.repeat(3_000) } });
    const ping = Buffer.concat([Buffer.from([0x81, 0xfe, payload.length >> 8, payload.length & 255, 0, 0, 0, 0]), Buffer.from(payload)]);
    const init = Buffer.from('{"type":"connection_init"}');
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | init.length, 0, 0, 0, 0]), init]));
    const before = server.host.sessions.length;
    while (server.host.sessions.length === before) await new Promise(setImmediate);
    const session = server.host.sessions.at(-1)!;
    let most = 0;
    while (session.ended === 0) {
      socket.write(ping);
      most = Math.max(most, session.transport.bufferedBytes());
      await new Promise(setImmediate);
    }
    // What the kernel's buffers took is not ours; of our own there is the backlog limit and one message.
    expect(most).toBeLessThan(256 * 1024 + 8_192);
    socket.destroy();
    await server.untilConnections(0);
    expect(await server.metrics.text()).toContain('reason="too_slow"');
  });
});
