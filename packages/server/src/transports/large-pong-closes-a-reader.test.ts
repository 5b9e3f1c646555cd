import { expect, it } from 'vitest';
import { clientFrame, RawPeer } from './testing/raw-peer.ts';
import { startTestServer } from './testing/test-server.ts';

/**
 * The pong of a `ping` message is as long as its payload. One near the size limit was above the bound for waiting pongs all by itself, and a client that read everything
 * was closed with 1013 `Connection takes no data`. A pong that nothing waits before is now sent, whatever its length: its message's limit bounds it.
 */
it('a pong longer than the bound is sent where nothing waits before it', async () => {
  await using server = await startTestServer({ ws: { maxPongBacklogBytes: 1_000 } });
  const peer = await RawPeer.upgrade(server.port);
  const payload = JSON.stringify({ x: 'y'.repeat(50_000) });
  await peer.say(clientFrame(0x81, `{"type":"ping","payload":${payload}}`));
  const [pong] = await peer.heard(1);
  expect(pong!.payload.toString()).toBe(`{"type":"pong","payload":${payload}}`);
  await peer.say(clientFrame(0x88, Buffer.from([3, 0xe8])));
  expect((await peer.toTheEnd()).map(({ first }) => first)).toEqual([0x81, 0x88]);
  await peer.closed;
});
