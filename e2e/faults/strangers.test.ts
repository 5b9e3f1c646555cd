import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Millrace, devToken, startMillrace, temporaryFolder } from '../harness.ts';

/** What somebody without a token may do to a program that runs on a developer's machine or stands in the open: nothing. */
describe('strangers', () => {
  const folder = temporaryFolder();
  let millrace: Millrace;
  let ports: readonly number[];

  beforeAll(async () => {
    millrace = await startMillrace({ data: folder.path });
    const { graphql, registry, admin } = millrace.addresses;
    ports = [graphql, registry, admin].map((address) => Number(new URL(address).port));
  });

  afterAll(async () => {
    await millrace?.stop();
    folder.remove();
  });

  /** Sends bytes and gives what came back until the connection closed. */
  function raw(port: number, text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = '';
      const socket = connect(port, '127.0.0.1', () => void socket.write(text));
      socket
        .on('data', (chunk) => (answer += chunk.toString()))
        .on('error', reject)
        .on('close', () => resolve(answer));
    });
  }

  const statusOf = (answer: string): number => Number(answer.split(' ', 2)[1]);

  /** A connection that asks for an upgrade and is reset before the answer can be written. */
  function resetAfter(port: number, text: string): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(text, () => socket.resetAndDestroy()));
      socket.on('error', () => undefined).on('close', () => resolve());
    });
  }

  const lives = async (): Promise<void> =>
    expect((await fetch(new URL('/health', millrace.addresses.admin))).status, millrace.log()).toBe(200);

  test('a target that is no URL is answered: `GET //` at the admin port ended the program', async () => {
    for (const port of ports) {
      for (const target of ['//', '//[', '/%', '/dead-letters/%E0', '*', 'http://[', '///x?y']) {
        expect(
          statusOf(await raw(port, `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)),
          `${port} ${target}`,
        ).toBeLessThan(500);
      }
    }
    const token = await devToken('acme', 'anna');
    const broken = await fetch(new URL('/dead-letters/%E0', millrace.addresses.admin), { headers: { authorization: `Bearer ${token}` } });
    expect(broken.status).toBe(404);
    await lives();
  });

  test('upgrades that are reset before they are refused do not end the program: the socket had nobody who listened for its error', async () => {
    const upgrade = (path: string, more = ''): string =>
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${more}\r\n`;
    for (let round = 0; round < 20; round++) {
      const resets = [upgrade('/'), upgrade('/events'), upgrade('/graphql'), upgrade('/graphql', 'Origin: http://evil.example\r\n')];
      await Promise.all(resets.flatMap((text) => ports.flatMap((port) => [resetAfter(port, text), resetAfter(port, text)])));
    }
    await lives();
  });

  test('a page of another name that leads to 127.0.0.1 gets nothing: dev tokens are known to everybody, so its requests would be a developer’s', async () => {
    const token = await devToken('acme', 'anna');
    for (const port of ports) {
      for (const path of ['/graphql?query=%7B__typename%7D', '/schema/latest', '/config', '/metrics']) {
        const answer = await raw(
          port,
          `GET ${path} HTTP/1.1\r\nHost: evil.example:${port}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
        );
        expect([statusOf(answer), answer.includes('HOST_NOT_SERVED')], `${port} ${path}`).toEqual([421, true]);
      }
      for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, `app.localhost:${port}`]) {
        const answer = await raw(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
        expect(statusOf(answer), host).not.toBe(421);
      }
    }
    const socket = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n`;
    const main = ports[0]!;
    expect(
      statusOf(
        await raw(main, `GET /graphql HTTP/1.1\r\nHost: evil.example:${main}\r\nOrigin: http://evil.example:${main}\r\n${socket}\r\n`),
      ),
    ).toBe(421);
  });
});
