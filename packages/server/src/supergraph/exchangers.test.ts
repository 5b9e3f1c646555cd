import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../kit/clock.ts';
import type { Exchange, ExchangeRequest, Exchanger } from './http-exchange.ts';
import { KeepAlivePool } from './keep-alive-pool.ts';
import { UndiciExchanger } from './undici-exchanger.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server on bare sockets: `answer` gets each request's text, and the number of its connection. */
async function serve(answer: (socket: Socket, request: string, connection: number) => void): Promise<string> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer((socket) => {
    const number = ++connections;
    sockets.add(socket);
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString();
      const length = Number(/content-length: (\d+)/.exec(text)?.[1] ?? Number.NaN);
      const head = text.indexOf('\r\n\r\n');
      if (head < 0 || Buffer.byteLength(text.slice(head + 4)) < length) return;
      const request = text;
      text = '';
      answer(socket, request, number);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const ok = (text: string, head = ''): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;

function post(exchanger: Exchanger, part: Partial<ExchangeRequest> = {}): Promise<Exchange> {
  const request = {
    path: '/graphql',
    headers: { 'x-request-id': 'r1' },
    body: '{"query":"ö"}',
    signal: null,
    timeoutMs: 10_000,
    responseBytesMax: 1_000_000,
    fresh: false,
    ...part,
  };
  return new Promise((resolve) => exchanger.post(request, resolve));
}

describe.each([
  ['the keep-alive pool', KeepAlivePool],
  ['undici', UndiciExchanger],
])('an exchanger: %s', (_name, Kind) => {
  const open = (origin: string, connections = 4): Exchanger => {
    const exchanger = new Kind(origin, connections, systemClock);
    cleanups.push(() => exchanger.close());
    return exchanger;
  };

  it('uses one connection for requests one after the other, and sends what it is given', async () => {
    const seen: string[] = [];
    const exchanger = open(
      await serve((socket, request, connection) => {
        seen.push(request);
        socket.write(ok(`{"connection":${connection}}`));
      }),
    );
    const answers: Exchange[] = [];
    for (let i = 0; i < 5; i++) answers.push(await post(exchanger));
    expect(answers[0]).toEqual({ kind: 'answer', status: 200, contentType: 'application/json', text: '{"connection":1}' });
    // undici puts a connection back a turn late, and opens a second one meanwhile.
    for (const answer of answers)
      expect(answer.kind === 'answer' && Number(/\d/.exec(answer.text)?.[0])).toBeLessThanOrEqual(Kind === KeepAlivePool ? 1 : 2);
    expect(seen[0]).toMatch(/^POST \/graphql HTTP\/1\.1\r\n/);
    expect(seen[0]).toMatch(/x-request-id: r1\r\n[^]*content-length: 14\r\n[^{]*\{"query":"ö"\}$/);
  });

  it('opens no more connections than allowed; what finds none waits in order', async () => {
    const waiting: (() => void)[] = [];
    let most = 0;
    const exchanger = open(
      await serve((socket, _request, connection) => {
        most = Math.max(most, connection);
        waiting.push(() => void socket.write(ok('{}')));
      }),
      2,
    );
    const order: number[] = [];
    const all = Promise.all([0, 1, 2, 3, 4].map(async (n) => (await post(exchanger), order.push(n))));
    for (let answered = 0; answered < 5; answered++) {
      await expect.poll(() => waiting.length).toBeGreaterThan(0);
      waiting.shift()?.();
    }
    await all;
    expect(most).toBe(2);
    expect(order.slice(-1)).toEqual([4]);
  });

  it('reads a large answer that comes in many pieces', async () => {
    const large = `{"a":"${'ö'.repeat(150_000)}"}`;
    const exchanger = open(await serve((socket) => void socket.write(ok(large))));
    expect(await post(exchanger)).toMatchObject({ kind: 'answer', text: large });
  });

  it('never gives one request the answer of another that was cancelled', async () => {
    const late: (() => void)[] = [];
    const exchanger = open(
      await serve((socket, request) => {
        if (request.includes('slow')) late.push(() => void socket.write(ok('{"slow":true}')));
        else socket.write(ok('{"slow":false}'));
      }),
      1,
    );
    const control = new AbortController();
    const slow = post(exchanger, { body: 'slow', signal: control.signal });
    await expect.poll(() => late.length).toBe(1);
    control.abort();
    expect(await slow).toEqual({ kind: 'cancelled' });
    late[0]?.();
    expect(await post(exchanger)).toMatchObject({ kind: 'answer', text: '{"slow":false}' });
  });

  it('ends what is under way when it is closed, and takes nothing more', async () => {
    let arrived = 0;
    const exchanger = open(await serve(() => void arrived++), 1);
    const both = [post(exchanger), post(exchanger)];
    await expect.poll(() => arrived).toBe(1);
    await exchanger.close();
    for (const result of await Promise.all(both)) expect(result.kind).toBe('broken');
    expect((await post(exchanger)).kind).toBe('broken');
  });

  it('tells a connection that breaks in the middle from one that never answered', async () => {
    let half = false;
    const exchanger = open(
      await serve((socket) => {
        if (half) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n123', () => socket.end());
        else socket.end();
      }),
    );
    expect(await post(exchanger)).toMatchObject({ kind: 'broken', beforeAnswer: true });
    half = true;
    expect(await post(exchanger)).toMatchObject({ kind: 'broken', beforeAnswer: false });
  });

  it('sends no header that would break out of its line', async () => {
    const seen: string[] = [];
    const exchanger = open(
      await serve((socket, request) => {
        seen.push(request);
        socket.write(ok('{}'));
      }),
    );
    expect((await post(exchanger, { headers: { a: 'b\r\nx: 1' } })).kind).toBe('broken');
    expect((await post(exchanger)).kind).toBe('answer');
    expect(seen).toHaveLength(1);
  });
});

describe('the keep-alive pool', () => {
  it('takes a fresh connection where it is told that the last one was dead, even with all of them open', async () => {
    const pool = new KeepAlivePool(
      await serve((socket, _request, connection) => void socket.write(ok(String(connection)))),
      1,
      systemClock,
    );
    cleanups.push(() => pool.close());
    expect(await post(pool)).toMatchObject({ text: '1' });
    expect(await post(pool, { fresh: true })).toMatchObject({ text: '2' });
    expect(await post(pool)).toMatchObject({ text: '2' });
  });

  it('leaves a connection on which bytes come that nobody asked for', async () => {
    const pool = new KeepAlivePool(
      await serve(
        (socket, _request, connection) => void socket.write(`${ok(String(connection))}HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad`),
      ),
      4,
      systemClock,
    );
    cleanups.push(() => pool.close());
    expect(await post(pool)).toMatchObject({ text: '1' });
    expect(await post(pool)).toMatchObject({ text: '2' });
  });
});
