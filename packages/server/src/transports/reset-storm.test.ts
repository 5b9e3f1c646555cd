import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { startTestServer } from './testing/test-server.ts';

/**
 * Connections write below Node's streams, to the handle of the socket. A reset may come at any moment: before the handshake is answered, while a
 * write is on its way, while bytes are blocked, after the goodbye. None of them may be written to again once its handle is gone (that ends the
 * process, or worse, writes to whoever has the descriptor next), and nothing of them may stay.
 */
const UPGRADE =
  'GET /graphql HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n';

function masked(text: string): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

const INIT = masked('{"type":"connection_init"}');
const PING = Buffer.from([0x89, 0x80, 0, 0, 0, 0]);

/** How a client ends, by number. */
const ENDS: readonly ((socket: Socket) => void)[] = [
  (socket) => void socket.resetAndDestroy(),
  (socket) => {
    socket.write(INIT, () => socket.resetAndDestroy());
  },
  (socket) => {
    socket.write(Buffer.concat([INIT, PING, PING]));
    socket.once('data', () => socket.resetAndDestroy());
  },
  (socket) => {
    socket.resume().end(INIT);
  },
  // Never reads: the server's bytes are blocked when the reset comes.
  (socket) => {
    socket.pause();
    socket.write(Buffer.concat([INIT, ...Array.from({ length: 64 }, () => PING)]), () => setImmediate(() => socket.resetAndDestroy()));
  },
  // A close frame, and gone before its answer.
  (socket) => {
    socket.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]), () => socket.resetAndDestroy());
  },
];

describe('clients that are reset at any moment', () => {
  it('leave nothing behind, and harm nobody else', async () => {
    await using server = await startTestServer({ limits: { maxPerAddress: 100_000, maxUnauthenticatedPerAddress: 100_000 } });
    const frame = Buffer.from([0x81, 2, 0x7b, 0x7d]);
    let storm = true;
    const writing = (async () => {
      while (storm) {
        for (const session of server.host.sessions) session.transport.write(frame);
        await new Promise(setImmediate);
      }
    })();
    for (let round = 0; round < 40; round += 1) {
      const closed = ENDS.map(async (end) => {
        const socket = connect(server.port, '127.0.0.1');
        socket.on('error', () => undefined);
        await once(socket, 'connect');
        socket.write(UPGRADE);
        // Half of them go before the answer to the handshake has been read.
        if (round % 2 === 0) await once(socket, 'data');
        const gone = once(socket, 'close');
        end(socket);
        await gone;
      });
      await Promise.all(closed);
    }
    await server.untilConnections(0);
    storm = false;
    await writing;
    expect(server.host.sessions.length).toBeGreaterThan(0);
    expect(server.host.sessions.every(({ ended }) => ended > 0)).toBe(true);
  });
});
