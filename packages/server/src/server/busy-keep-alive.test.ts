/**
 * The fault: a listener that closes ended idle connections at once and left busy ones to themselves. A producer that sends request after request on
 * one kept-alive connection is never idle, so a draining server went on taking its events for the whole grace time, long after all subscribers had been sent
 * away; what came in that time could be more than history keeps, and they found a GAP when they returned. From the beginning of the
 * end every answer says that it is the connection's last.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { closeListener, listen } from './listen.ts';

describe('a listener that closes', () => {
  it('ends a busy kept-alive connection with its next answer', async () => {
    const waiting: ServerResponse[] = [];
    const listener = await listen('127.0.0.1', 0, (_req, res) => void waiting.push(res));
    const socket = connect(listener.port, '127.0.0.1');
    const answers = createInterface({ input: socket })[Symbol.asyncIterator]();
    const ask = async (): Promise<void> => {
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await once(listener.server, 'request');
    };
    const answered = async (): Promise<string[]> => {
      waiting.shift()!.writeHead(204).end();
      const head: string[] = [];
      for (let line = await answers.next(); !line.done && line.value !== ''; line = await answers.next())
        head.push(line.value.toLowerCase());
      return head;
    };
    await ask();
    const closed = closeListener(listener, 60_000);
    await answered();
    await ask();
    expect(await answered()).toContain('connection: close');
    await closed;
  });
});
