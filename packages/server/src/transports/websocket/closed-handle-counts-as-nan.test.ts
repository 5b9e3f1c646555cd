import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { outletOf } from './socket-port.ts';

/**
 * A handle that is gone gives no queue size but undefined. A connection that was blocked when its socket closed then had NaN bytes buffered, and every bound that is
 * compared with NaN holds.
 */
it('a closed socket holds nothing', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  const [own] = (await accepted) as [Socket];
  const { port, target } = outletOf(own);
  const failed = new Promise<void>((onPortFailed) => {
    const user = { onPortFree: () => undefined, onPortFailed };
    while (port.write(target, Buffer.alloc(1_000_000), user));
  });
  expect(port.held(target)).toBeGreaterThan(0);
  const closed = once(own, 'close');
  own.destroy();
  await Promise.all([closed, failed]);
  expect(port.held(target)).toBe(0);
  peer.destroy();
  await new Promise((resolve) => server.close(resolve));
});
