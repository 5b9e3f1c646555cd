import { once } from 'node:events';
import { connect } from 'node:net';
import { createClient } from 'graphql-ws';
import { afterEach, describe, expect, it } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import { ManualClock } from '../kit/clock.ts';
import { seededRandom } from '../kit/random.ts';
import { closeReasons } from '../live/close-reasons.ts';
import { startTestServer, type TestServer, type TestServerOptions } from './testing/test-server.ts';

const servers: TestServer[] = [];

async function start(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await startTestServer(options);
  servers.push(server);
  return server;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

/** A raw client that keeps what it hears. */
class RawClient {
  readonly ws: WebSocket;
  readonly heard: Record<string, unknown>[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #waiting: (() => void)[] = [];

  constructor(url: string, protocol: string | string[] = 'graphql-transport-ws', options: ClientOptions = {}) {
    this.ws = new WebSocket(url, protocol, options);
    this.ws.on('message', (data: Buffer) => {
      this.heard.push(JSON.parse(data.toString()) as Record<string, unknown>);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.closed = new Promise((resolve) => this.ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() })));
    this.ws.on('error', () => undefined);
  }

  async opened(): Promise<this> {
    await once(this.ws, 'open');
    return this;
  }

  send(message: unknown): void {
    this.ws.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async message(index: number): Promise<Record<string, unknown>> {
    while (this.heard.length <= index) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.heard[index]!;
  }

  async ready(payload?: unknown): Promise<this> {
    await this.opened();
    this.send({ type: 'connection_init', payload });
    expect(await this.message(0)).toEqual({ type: 'connection_ack' });
    return this;
  }
}

const QUERY = { id: '1', type: 'subscribe', payload: { query: '{ hello }' } };

describe('graphql-transport-ws: close codes', () => {
  it.each([
    ['bad JSON', ['{'], 4400, 'Bad request: the message is not JSON'],
    ['a list', ['[]'], 4400, 'Bad request: the message is not a JSON object'],
    ['an unknown type', ['{"type":"start"}'], 4400, 'Bad request: unknown message type'],
    ['no type', ['{}'], 4400, 'Bad request: the message has no type'],
    ['a type that is only inherited', ['{"__proto__":{"type":"ping"}}'], 4400, 'Bad request: the message has no type'],
    ['subscribe before connection_init', [QUERY], 4401, 'Unauthorized'],
    ['a second connection_init', [{ type: 'connection_init' }, { type: 'connection_init' }], 4429, 'Too many initialisation requests'],
    ['subscribe before the ack', [{ type: 'connection_init' }, QUERY], 4401, 'Unauthorized'],
    [
      'a connection_init whose payload is a list',
      ['{"type":"connection_init","payload":[]}'],
      4400,
      'Bad request: payload of connection_init must be an object',
    ],
    ['a bad token', [{ type: 'connection_init', payload: { authorization: 'nonsense' } }], 4403, 'Forbidden: TOKEN_INVALID'],
    ['an expired token', [{ type: 'connection_init', payload: { authorization: 'Bearer expired' } }], 4403, 'Token expired'],
    ['a limit', [{ type: 'connection_init', payload: { authorization: 'Bearer limited' } }], 1013, 'Try again later: SESSION_LIMIT'],
    ['a fault of the server', [{ type: 'connection_init', payload: { authorization: 'Bearer broken' } }], 1011, 'Internal error'],
    [
      'too many messages before the ack',
      Array<string>(17).fill('{"type":"ping"}'),
      4400,
      'Bad request: too many messages before the connection is acknowledged',
    ],
  ])('%s', async (_name, messages, code, reason) => {
    const server = await start();
    const client = await new RawClient(server.ws).opened();
    for (const message of messages) client.send(message);
    expect(await client.closed).toEqual({ code, reason });
  });

  it.each([
    ['subscribe without an id', { type: 'subscribe', payload: { query: '{ hello }' } }],
    ['an empty id', { ...QUERY, id: '' }],
    ['an id that is a number', { ...QUERY, id: 1 }],
    ['an id of 257 characters', { ...QUERY, id: 'x'.repeat(257) }],
    ['no payload', { id: '1', type: 'subscribe' }],
    ['no query', { id: '1', type: 'subscribe', payload: {} }],
    ['variables as a list', { id: '1', type: 'subscribe', payload: { query: '{ hello }', variables: [] } }],
    ['extensions as a string', { id: '1', type: 'subscribe', payload: { query: '{ hello }', extensions: '' } }],
    ['an operationName that is a number', { id: '1', type: 'subscribe', payload: { query: '{ hello }', operationName: 1 } }],
    ['complete without an id', { type: 'complete' }],
    ['ping with a payload that is a string', { type: 'ping', payload: '' }],
  ])('4400 after the ack: %s', async (_name, message) => {
    const server = await start();
    const client = await new RawClient(server.ws).ready();
    client.send(message);
    expect((await client.closed).code).toBe(4400);
  });

  it('4400 for a binary frame, even if it holds a good message', async () => {
    const server = await start();
    const client = await new RawClient(server.ws).opened();
    client.ws.send(Buffer.from('{"type":"connection_init"}'), { binary: true });
    expect(await client.closed).toEqual({ code: 4400, reason: 'Bad request: binary messages are not part of the protocol' });
  });

  it.each([[[]], [['graphql-ws']], [['soap', 'wamp']]])('4406 for the subprotocols %j', async (protocols) => {
    const server = await start();
    // A client that checks the answer itself gives up before it hears the code, so this one speaks the handshake by hand.
    const socket = connect(server.port, '127.0.0.1');
    const header = protocols.length ? `Sec-WebSocket-Protocol: ${protocols.join(', ')}\r\n` : '';
    socket.write(
      `GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\n${header}\r\n`,
    );
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    while (!Buffer.concat(chunks).includes('acceptable')) await once(socket, 'data');
    const bytes = Buffer.concat(chunks);
    const frame = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);
    expect([frame[0], frame.readUInt16BE(2), frame.subarray(4).toString()]).toEqual([0x88, 4406, 'Subprotocol not acceptable']);
    socket.destroy();
  });

  it('chooses its subprotocol among several', async () => {
    const server = await start();
    const client = await new RawClient(server.ws, ['graphql-ws', 'graphql-transport-ws']).ready();
    expect(client.ws.protocol).toBe('graphql-transport-ws');
  });

  it('4409 with the id in the reason, cut to what a close frame takes', async () => {
    const server = await start();
    for (const [id, reason] of [
      ['a', 'Subscriber for a already exists'],
      ['€'.repeat(200), `Subscriber for ${'€'.repeat(30)}… already exists`],
    ] as const) {
      const client = await new RawClient(server.ws).ready();
      for (let i = 0; i < 2; i++) client.send({ id, type: 'subscribe', payload: { query: 'subscription { never }' } });
      expect(await client.closed).toEqual({ code: 4409, reason });
    }
  });

  it('1009 for a message over the limit, also when it arrives in fragments', async () => {
    const server = await start({ ws: { maxMessageBytes: 1_000 } });
    const whole = await new RawClient(server.ws).opened();
    whole.send('x'.repeat(1_001));
    expect((await whole.closed).code).toBe(1009);
    const parts = await new RawClient(server.ws).opened();
    for (let i = 0; i < 20; i++) parts.ws.send('x'.repeat(100), { fin: false });
    expect((await parts.closed).code).toBe(1009);
    await server.untilConnections(0);
    expect(await server.metrics.text()).toContain('millrace_transports_closed_total{protocol="ws",reason="message_too_big"} 2');
  });

  it('1007 for text that is not UTF-8', async () => {
    const server = await start();
    const client = await new RawClient(server.ws).opened();
    client.ws.send(Buffer.from([0xff, 0xfe]), { binary: false });
    expect((await client.closed).code).toBe(1007);
  });

  it('4408 without connection_init in time, and not for one that came in time', async () => {
    const clock = new ManualClock();
    const server = await start({ clock, ws: { initTimeoutMs: 3_000 } });
    const silent = await new RawClient(server.ws).opened();
    const ready = await new RawClient(server.ws).ready();
    clock.advance(2_900);
    expect(silent.ws.readyState).toBe(WebSocket.OPEN);
    clock.advance(200);
    expect(await silent.closed).toEqual({ code: 4408, reason: 'Connection initialisation timeout' });
    expect(ready.ws.readyState).toBe(WebSocket.OPEN);
  });

  it('1013 where the session cannot be opened in time, and the late session is ended', async () => {
    const clock = new ManualClock();
    const server = await start({ clock });
    const gate = Promise.withResolvers<void>();
    server.host.gate = gate.promise;
    const client = await new RawClient(server.ws).opened();
    client.send({ type: 'connection_init' });
    client.send({ type: 'ping' });
    await client.message(0);
    clock.advance(11_000);
    expect((await client.closed).code).toBe(1013);
    gate.resolve();
    await new Promise(setImmediate);
    expect(server.host.sessions.map((s) => s.ended)).toEqual([1]);
    await server.untilConnections(0);
  });
});

describe('graphql-transport-ws: messages', () => {
  it('answers ping with pong and its payload in every phase, and takes pongs', async () => {
    const server = await start();
    const client = await new RawClient(server.ws).opened();
    client.send({ type: 'ping' });
    expect(await client.message(0)).toEqual({ type: 'pong' });
    client.send({ type: 'ping', payload: { n: 1, deep: ['ü', null] } });
    expect(await client.message(1)).toEqual({ type: 'pong', payload: { n: 1, deep: ['ü', null] } });
    client.send({ type: 'pong', payload: { any: 'thing' } });
    client.send({ type: 'connection_init' });
    expect(await client.message(2)).toEqual({ type: 'connection_ack' });
    client.send({ type: 'ping', payload: null });
    expect(await client.message(3)).toEqual({ type: 'pong' });
  });

  it('runs queries and mutations over the socket: next, then complete', async () => {
    const server = await start();
    const client = await new RawClient(server.ws).ready();
    client.send({
      id: 'q',
      type: 'subscribe',
      payload: { query: 'query A($n: String) { hello(name: $n) }', operationName: 'A', variables: { n: 'you' } },
    });
    expect(await client.message(1)).toEqual({ id: 'q', type: 'next', payload: { data: { hello: 'hello you' } } });
    expect(await client.message(2)).toEqual({ id: 'q', type: 'complete' });
    client.send({ id: 'q', type: 'subscribe', payload: { query: 'mutation { say(word: "again, same id") }' } });
    expect(await client.message(3)).toMatchObject({ id: 'q', type: 'next', payload: { data: { say: 'again, same id' } } });
    expect(await client.message(4)).toEqual({ id: 'q', type: 'complete' });
  });

  it('answers an operation that never runs with error, and no complete; the id is free again', async () => {
    const server = await start();
    const client = await new RawClient(server.ws).ready();
    client.send({ id: '1', type: 'subscribe', payload: { query: '{ nothing }' } });
    expect(await client.message(1)).toMatchObject({ id: '1', type: 'error', payload: [{ message: expect.stringContaining('nothing') }] });
    client.send(QUERY);
    expect(await client.message(2)).toMatchObject({ id: '1', type: 'next' });
  });

  it('stops at the client’s complete: the session is told, nothing more is sent, unknown ids are ignored', async () => {
    const server = await start();
    const client = await new RawClient(server.ws).ready();
    client.send({ id: 's', type: 'subscribe', payload: { query: 'subscription { manual }' } });
    client.send({ id: 'unknown', type: 'complete' });
    client.send({ id: 'constructor', type: 'complete' });
    const session = server.host.sessions[0]!;
    await session.until(() => session.operations === 1);
    client.send({ id: 's', type: 'complete' });
    await session.until(() => session.operations === 0);
    client.send({ id: 's', type: 'subscribe', payload: { query: '{ hello }' } });
    expect(await client.message(1)).toMatchObject({ id: 's', type: 'next' });
    expect(await client.message(2)).toEqual({ id: 's', type: 'complete' });
    expect(client.heard).toHaveLength(3);
  });

  it.each(['__proto__', 'constructor', 'toString', ' ', '"', '💧'])('takes %j as an ordinary id', async (id) => {
    const server = await start();
    const client = await new RawClient(server.ws).ready();
    client.send({ id, type: 'subscribe', payload: { query: '{ hello }' } });
    expect(await client.message(1)).toEqual({ id, type: 'next', payload: { data: { hello: 'hello world' } } });
  });

  it.each([
    ['authorization', { authorization: 'Bearer ann' }, {}],
    ['Authorization', { Authorization: 'Bearer ann' }, {}],
    ['headers.authorization', { headers: { authorization: 'Bearer ann' } }, {}],
    ['headers.Authorization', { headers: { Authorization: 'Bearer ann' } }, {}],
    ['the upgrade header', undefined, { authorization: 'Bearer ann' }],
    ['the payload before the header', { authorization: 'Bearer ann' }, { authorization: 'Bearer bob' }],
  ])('finds the token in %s', async (_name, payload, headers) => {
    const server = await start();
    await new RawClient(server.ws, 'graphql-transport-ws', { headers }).ready(payload);
    expect(server.host.hellos[0]!.authorization).toBe('Bearer ann');
  });

  it('never takes a cookie for authority', async () => {
    const server = await start();
    await new RawClient(server.ws, 'graphql-transport-ws', { headers: { cookie: 'millrace_token=ann' } }).ready();
    expect(server.host.hellos[0]!.authorization).toBeUndefined();
  });

  it('ends the session when the client goes, by close or by a lost connection', async () => {
    const server = await start();
    for (const leave of [(c: RawClient) => c.ws.close(1000), (c: RawClient) => c.ws.terminate()]) {
      const client = await new RawClient(server.ws).ready();
      const session = server.host.sessions.at(-1)!;
      client.send({ id: '1', type: 'subscribe', payload: { query: 'subscription { never }' } });
      await session.until(() => session.operations === 1);
      leave(client);
      await session.until(() => session.ended > 0);
      expect(session.operations).toBe(0);
    }
  });

  it('carries payloads of every header size, whole and in order', async () => {
    const server = await start();
    const client = await new RawClient(server.ws).ready();
    client.send({ id: 'm', type: 'subscribe', payload: { query: 'subscription { manual }' } });
    const session = server.host.sessions[0]!;
    await session.until(() => session.operations === 1);
    const sizes = [0, 60, 125, 126, 200, 65_000, 65_536, 1_000_000];
    for (const size of sizes) session.next('m', { data: { manual: 'ü'.repeat(size) } });
    for (const [i, size] of sizes.entries()) {
      expect(await client.message(i + 1)).toEqual({ id: 'm', type: 'next', payload: { data: { manual: 'ü'.repeat(size) } } });
    }
  });

  it('tells when a client took what was buffered, below and above the high-water mark', async () => {
    const server = await start();
    const client = await new RawClient(server.ws).ready();
    client.send({ id: 'm', type: 'subscribe', payload: { query: 'subscription { manual }' } });
    const session = server.host.sessions[0]!;
    await session.until(() => session.operations === 1);
    for (const size of [10, 8_000_000]) {
      session.next('m', { data: { manual: 'x'.repeat(size) } });
      expect(session.transport.bufferedBytes()).toBeGreaterThan(size);
      await new Promise<void>((resolve) => session.transport.onDrain(resolve));
      expect(session.transport.bufferedBytes()).toBe(0);
    }
  });

  it('compresses only where both sides want it, and the messages are the same', async () => {
    const server = await start({ ws: { compression: true } });
    for (const perMessageDeflate of [true, false]) {
      const client = await new RawClient(server.ws, 'graphql-transport-ws', { perMessageDeflate }).ready();
      expect(client.ws.extensions).toBe(perMessageDeflate ? expect.stringContaining('deflate') && client.ws.extensions : '');
      expect(client.ws.extensions !== '').toBe(perMessageDeflate);
      const name = 'long '.repeat(1_000);
      client.send({ id: '1', type: 'subscribe', payload: { query: `{ hello(name: "${name}") }` } });
      expect(await client.message(1)).toEqual({ id: '1', type: 'next', payload: { data: { hello: `hello ${name}` } } });
      const session = server.host.sessions.at(-1)!;
      await new Promise<void>((resolve) => session.transport.onDrain(resolve));
      expect(session.transport.bufferedBytes()).toBe(0);
    }
  });

  it('bounds a compressed message by its inflated size', async () => {
    const server = await start({ ws: { compression: true, maxMessageBytes: 10_000 } });
    const client = await new RawClient(server.ws, 'graphql-transport-ws', { perMessageDeflate: { threshold: 0 } }).ready();
    client.send({ type: 'ping', payload: { zeros: '0'.repeat(1_000_000) } });
    expect((await client.closed).code).toBe(1009);
  });
});

describe('graphql-transport-ws: before the upgrade', () => {
  async function refusedStatus(url: string, headers: Record<string, string> = {}): Promise<number> {
    const ws = new WebSocket(url, 'graphql-transport-ws', { headers });
    const [, res] = (await once(ws, 'unexpected-response')) as [unknown, { statusCode: number; resume(): void }];
    res.resume();
    return res.statusCode;
  }

  it('refuses pages of other origins with 403, takes allowed and same origins and clients without one', async () => {
    const server = await start();
    for (const origin of ['https://evil.example', 'https://app.example.com.evil.example', 'null', 'http://app.example.com', '%']) {
      expect(await refusedStatus(server.ws, { origin })).toBe(403);
    }
    for (const headers of [{ origin: 'https://app.example.com' }, { origin: `http://127.0.0.1:${server.port}` }, {}]) {
      await new RawClient(server.ws, 'graphql-transport-ws', { headers }).ready();
    }
    expect(await server.metrics.text()).toContain('millrace_transports_refused_total{protocol="ws",code="ORIGIN_NOT_ALLOWED"} 5');
  });

  it('503 when full or not accepting, 429 for too many from one address or too many that stay silent', async () => {
    const full = await start({ limits: { maxConnections: 1 } });
    const first = await new RawClient(full.ws).ready();
    expect(await refusedStatus(full.ws)).toBe(503);
    first.ws.close();
    await first.closed;
    await new RawClient(full.ws).ready();

    const address = await start({ limits: { maxPerAddress: 1 } });
    await new RawClient(address.ws).ready();
    expect(await refusedStatus(address.ws)).toBe(429);

    const silent = await start({ limits: { maxUnauthenticatedPerAddress: 1 } });
    await new RawClient(silent.ws).ready();
    await new RawClient(silent.ws).opened();
    expect(await refusedStatus(silent.ws)).toBe(429);

    silent.host.acceptsNew = false;
    expect(await refusedStatus(silent.ws)).toBe(503);
  });
});

describe('graphql-transport-ws: keep-alive and drain', () => {
  it('pings a silent client, keeps it while it answers, and closes it when it does not', async () => {
    const clock = new ManualClock();
    const server = await start({ clock, ws: { keepAliveMs: 30_000, pongTimeoutMs: 15_000 } });
    const alive = await new RawClient(server.ws).ready();
    const dead = await new RawClient(server.ws, 'graphql-transport-ws', { autoPong: false }).ready();
    const deaf = once(dead.ws, 'ping');
    // The first round passes without a ping because connection_init was heard within it.
    clock.advance(31_000);
    clock.advance(31_000);
    await once(alive.ws, 'ping');
    await deaf;
    // Its pong is on the way; a ping of the client's own proves that it has arrived.
    alive.send({ type: 'ping' });
    await alive.message(1);
    clock.advance(16_000);
    expect(await dead.closed).toEqual({ code: closeReasons.pongTimeout.code, reason: 'Pong timeout' });
    expect(alive.ws.readyState).toBe(WebSocket.OPEN);
  });

  it('destroys the socket of a client that never finishes the close handshake', async () => {
    const clock = new ManualClock();
    const server = await start({ clock });
    const socket = connect(server.port, '127.0.0.1');
    socket.write(
      'GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n`,
    );
    await once(socket, 'data');
    socket.pause();
    clock.advance(4_000);
    expect(server.connections.size).toBe(1);
    clock.advance(6_000);
    socket.resume();
    await once(socket, 'close');
    await server.untilConnections(0);
  });

  it('drains: refuses newcomers, closes all with a hint when to come back, and resolves when they are gone', async () => {
    const server = await start();
    const clients = await Promise.all(Array.from({ length: 5 }, () => new RawClient(server.ws).ready()));
    const drained = server.connections.drain(new ManualClock(), seededRandom(1), { windowMs: 0, graceMs: 1_000 });
    for (const client of clients) {
      const { code, reason } = await client.closed;
      expect(code).toBe(1001);
      expect(reason).toMatch(/^Going away, retry in \d+ ms$/);
    }
    await drained;
    expect(server.connections.size).toBe(0);
    await expect(new RawClient(server.ws).ready()).rejects.toThrow(/503/);
  });
});

describe('graphql-transport-ws: the graphql-ws client', () => {
  it('subscribes, iterates and disposes', async () => {
    const server = await start();
    const client = createClient({ url: server.ws, webSocketImpl: WebSocket, connectionParams: { authorization: 'Bearer ann' } });
    const counted: unknown[] = [];
    for await (const result of client.iterate({ query: 'subscription { count(to: 3) }' })) counted.push(result.data?.['count']);
    expect(counted).toEqual([1, 2, 3]);
    const [error] = await Promise.allSettled([client.iterate({ query: '{ nothing }' }).next()]);
    expect(error).toMatchObject({ status: 'rejected', reason: [{ message: expect.stringContaining('nothing') }] });
    await client.dispose();
  });
});
