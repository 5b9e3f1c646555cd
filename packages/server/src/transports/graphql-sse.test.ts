import { once } from 'node:events';
import { connect } from 'node:net';
import { EventSource } from 'eventsource';
import { createClient } from 'graphql-sse';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
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

const SSE = { accept: 'text/event-stream' };
const JSON_BODY = { 'content-type': 'application/json' };

function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { ...JSON_BODY, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

function graphqlUrl(base: string, params: Record<string, string>): string {
  return `${base}?${new URLSearchParams(params).toString()}`;
}

async function codeOf(response: Response): Promise<unknown> {
  const body = (await response.json()) as { errors: { extensions: { code: string } }[] };
  return body.errors[0]!.extensions.code;
}

/** Reads a response until its text holds `marker`, and leaves it open. */
async function readUntil(response: Response, marker: string): Promise<string> {
  let text = '';
  const reader = response.body!.getReader();
  while (!text.includes(marker)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += Buffer.from(value as Uint8Array).toString();
  }
  reader.releaseLock();
  return text;
}

describe('graphql-sse: distinct connections', () => {
  it('streams a POST: next events with cursors as ids, then complete, then the end', async () => {
    const server = await start();
    const response = await post(server.sse, { query: 'subscription { count(to: 2) }' }, SSE);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(await response.text()).toBe(
      ':\n\nretry: 2000\n\n' +
        'event: next\nid: cursor-1\ndata: {"data":{"count":1}}\n\n' +
        'event: next\nid: cursor-2\ndata: {"data":{"count":2}}\n\n' +
        'event: complete\ndata: {}\n\n',
    );
    await server.untilConnections(0);
    expect(server.host.sessions[0]!.ended).toBeGreaterThan(0);
  });

  it('runs queries and mutations by POST, and queries by GET, with variables', async () => {
    const server = await start();
    const query = await fetch(graphqlUrl(server.sse, { query: 'query($n: String) { hello(name: $n) }', variables: '{"n":"url"}' }), {
      headers: SSE,
    });
    expect(await query.text()).toContain('data: {"data":{"hello":"hello url"}}');
    const mutation = await post(server.sse, { query: 'mutation { say(word: "hi") }' }, SSE);
    expect(await mutation.text()).toContain('data: {"data":{"say":"hi"}}');
  });

  it('answers an operation that never runs as next with errors and complete', async () => {
    const server = await start();
    const response = await post(server.sse, { query: '{ nothing }' }, SSE);
    expect(response.status).toBe(200);
    expect(await response.text()).toMatch(
      /event: next\ndata: \{"errors":\[\{"message":".*nothing.*\}\]\}\n\nevent: complete\ndata: \{\}\n\n$/s,
    );
  });

  it.each([
    [
      'a mutation by GET',
      (url: string) => fetch(graphqlUrl(url, { query: 'mutation { say(word: "x") }' }), { headers: SSE }),
      405,
      'STREAM_METHOD',
    ],
    ['another method', (url: string) => fetch(url, { method: 'PATCH' }), 405, 'STREAM_METHOD'],
    [
      'a client that takes no events',
      (url: string) => post(url, { query: '{ hello }' }, { accept: 'application/json' }),
      406,
      'STREAM_NOT_ACCEPTABLE',
    ],
    ['no query', (url: string) => fetch(url, { headers: SSE }), 400, 'STREAM_BAD_REQUEST'],
    ['a body that is not JSON', (url: string) => post(url, '{', SSE), 400, 'STREAM_BAD_REQUEST'],
    ['a list', (url: string) => post(url, [], SSE), 400, 'STREAM_BAD_REQUEST'],
    [
      'text/plain, which needs no preflight',
      (url: string) => post(url, '{}', { ...SSE, 'content-type': 'text/plain' }),
      415,
      'STREAM_CONTENT_TYPE',
    ],
    [
      'another charset',
      (url: string) => post(url, '{}', { ...SSE, 'content-type': 'application/json; charset=latin1' }),
      415,
      'STREAM_CONTENT_TYPE',
    ],
    ['a body over the limit', (url: string) => post(url, { query: ' '.repeat(300_000) }, SSE), 413, 'STREAM_BODY_TOO_LARGE'],
    ['a bad token', (url: string) => post(url, { query: '{ hello }' }, { ...SSE, authorization: 'nonsense' }), 401, 'TOKEN_INVALID'],
    [
      'a limit of the session host',
      (url: string) => post(url, { query: '{ hello }' }, { ...SSE, authorization: 'Bearer limited' }),
      429,
      'SESSION_LIMIT',
    ],
    ['a fault', (url: string) => post(url, { query: '{ hello }' }, { ...SSE, authorization: 'Bearer broken' }), 500, 'INTERNAL'],
  ])('refuses %s', async (_name, ask, status, code) => {
    const server = await start();
    const response = await ask(server.sse);
    expect([response.status, await codeOf(response)]).toEqual([status, code]);
    await server.untilConnections(0);
  });

  it('ends the session when the client goes', async () => {
    const server = await start();
    const abort = new AbortController();
    await fetch(graphqlUrl(server.sse, { query: 'subscription { never }' }), { headers: SSE, signal: abort.signal });
    const session = server.host.sessions[0]!;
    abort.abort();
    await session.until(() => session.ended > 0);
    await server.untilConnections(0);
  });

  it('answers 503 where the session cannot be opened in time, and ends one that comes for a client that left', async () => {
    const clock = new ManualClock();
    const server = await start({ clock });
    const gate = Promise.withResolvers<void>();
    server.host.gate = gate.promise;
    const late = fetch(graphqlUrl(server.sse, { query: '{ hello }' }), { headers: SSE });
    const abort = new AbortController();
    const left = fetch(graphqlUrl(server.sse, { query: '{ hello }' }), { headers: SSE, signal: abort.signal });
    while (server.host.hellos.length < 2) await new Promise(setImmediate);
    abort.abort();
    await expect(left).rejects.toThrow();
    clock.advance(11_000);
    gate.resolve();
    const response = await late;
    expect([response.status, await codeOf(response)]).toEqual([503, 'CONNECTION_LIMIT']);
    await server.untilConnections(0);
    expect(server.host.sessions.map((session) => session.ended)).toEqual([1, 1]);
  });

  it('takes Last-Event-ID from the header, else from the URL, and not one that is too long', async () => {
    const server = await start();
    const params = { query: 'subscription { count(to: 3) }' };
    const byHeader = await fetch(graphqlUrl(server.sse, params), { headers: { ...SSE, 'last-event-id': 'cursor-2' } });
    expect(await byHeader.text()).toContain('retry: 2000\n\nevent: next\nid: cursor-3');
    const byUrl = await fetch(graphqlUrl(server.sse, { ...params, lastEventId: 'cursor-1' }), { headers: SSE });
    expect(await byUrl.text()).toContain('retry: 2000\n\nevent: next\nid: cursor-2');
    const tooLong = await fetch(graphqlUrl(server.sse, { ...params, lastEventId: 'x'.repeat(2_000) }), { headers: SSE });
    expect(await tooLong.text()).toContain('retry: 2000\n\nevent: next\nid: cursor-1');
  });

  it('keeps data on one line whatever white space a payload has', async () => {
    const server = await start();
    const response = await fetch(graphqlUrl(server.sse, { query: 'subscription { manual }' }), { headers: SSE });
    const session = server.host.sessions[0]!;
    await session.until(() => session.operations === 1);
    session.transport.write(session.transport.codec.next('', Buffer.from('{"data":\r\n  {"manual":"a\\nb"}\n}'), null));
    expect(await readUntil(response, 'manual')).toContain('event: next\ndata: {"data":    {"manual":"a\\nb"} }\n\n');
  });

  it('says hello to silent clients, and nothing where there was traffic', async () => {
    const clock = new ManualClock();
    const server = await start({ clock, sse: { keepAliveMs: 12_000 } });
    const response = await fetch(graphqlUrl(server.sse, { query: 'subscription { manual }' }), { headers: SSE });
    const session = server.host.sessions[0]!;
    await session.until(() => session.operations === 1);
    clock.advance(13_000);
    session.next('', { data: { manual: 'x' } });
    clock.advance(12_000);
    session.next('', { data: { manual: 'y' } });
    expect(await readUntil(response, '"y"')).toBe(
      ':\n\nretry: 2000\n\n:\n\nevent: next\ndata: {"data":{"manual":"x"}}\n\nevent: next\ndata: {"data":{"manual":"y"}}\n\n',
    );
  });

  it('tells when a client took what was buffered', async () => {
    const server = await start();
    const response = await fetch(graphqlUrl(server.sse, { query: 'subscription { manual }' }), { headers: SSE });
    const session = server.host.sessions[0]!;
    await session.until(() => session.operations === 1);
    session.next('', { data: { manual: 'x'.repeat(8_000_000) } });
    expect(session.transport.bufferedBytes()).toBeGreaterThan(8_000_000);
    const drained = new Promise<void>((resolve) => session.transport.onDrain(resolve));
    await readUntil(response, '"}}\n\n');
    await drained;
    expect(session.transport.bufferedBytes()).toBe(0);
  });

  it('ends with a comment where the client should come back, with errors and complete where it should not', async () => {
    const server = await start();
    const endings: string[] = [];
    for (const reason of [closeReasons.goingAway, closeReasons.tooSlow, closeReasons.revoked]) {
      const response = await fetch(graphqlUrl(server.sse, { query: 'subscription { never }' }), { headers: SSE });
      const session = server.host.sessions.at(-1)!;
      await session.until(() => session.operations === 1);
      session.transport.close(reason);
      endings.push((await response.text()).replace(':\n\nretry: 2000\n\n', ''));
    }
    expect(endings).toEqual([
      ': closed 1001 Going away\nretry: 2000\n\n',
      ': closed 1013 Connection takes no data\nretry: 10000\n\n',
      'event: next\ndata: {"errors":[{"message":"Session revoked","extensions":{"code":"REVOKED"}}]}\n\nevent: complete\ndata: {}\n\n: closed 4403 Session revoked\nretry: 2000\n\n',
    ]);
  });

  it('destroys a stream whose client does not take its end', async () => {
    const clock = new ManualClock();
    const server = await start({ clock });
    const socket = connect(server.port, '127.0.0.1');
    socket.write('GET /graphql/stream?query=subscription{manual} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n');
    await once(socket, 'data');
    socket.pause();
    const session = server.host.sessions[0]!;
    await session.until(() => session.operations === 1);
    session.next('', { data: { manual: 'x'.repeat(20_000_000) } });
    session.transport.close(closeReasons.goingAway);
    clock.advance(6_000);
    socket.resume();
    await once(socket, 'close');
    await server.untilConnections(0);
  });
});

describe('graphql-sse: single connection', () => {
  async function reserve(server: TestServer, headers: Record<string, string> = {}): Promise<string> {
    const response = await fetch(server.sse, { method: 'PUT', headers });
    expect(response.status).toBe(201);
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    return response.text();
  }

  function operation(
    server: TestServer,
    token: string,
    id: unknown,
    query: string,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return post(server.sse, { query, extensions: { operationId: id } }, { 'x-graphql-event-stream-token': token, ...headers });
  }

  it('reserves, opens, runs several operations on one stream, stops one', async () => {
    const server = await start();
    const token = await reserve(server);
    const stream = await fetch(`${server.sse}?token=${token}`, { headers: SSE });
    expect((await operation(server, token, 'q', '{ hello }')).status).toBe(202);
    expect((await operation(server, token, 's', 'subscription { manual }')).status).toBe(202);
    const session = server.host.sessions[0]!;
    expect(session.started.at(-1)!.request.lastCursor).toBeNull();
    session.next('s', { data: { manual: '1' } }, 'cursor-1');
    expect(await readUntil(stream, 'cursor-1')).toContain(
      'event: next\ndata: {"id":"q","payload":{"data":{"hello":"hello world"}}}\n\nevent: complete\ndata: {"id":"q"}\n\nevent: next\nid: cursor-1\n',
    );
    const stopped = await fetch(`${server.sse}?operationId=s`, { method: 'DELETE', headers: { 'x-graphql-event-stream-token': token } });
    expect(stopped.status).toBe(200);
    expect(session.operations).toBe(0);
    const again = await fetch(`${server.sse}?operationId=s&token=${token}`, { method: 'DELETE' });
    expect(again.status).toBe(200);
    expect((await operation(server, token, 's', '{ hello }')).status).toBe(202);
  });

  it('keeps what is written before the stream is opened', async () => {
    const server = await start();
    const token = await reserve(server);
    expect((await operation(server, token, 'q', '{ hello }')).status).toBe(202);
    const stream = await fetch(`${server.sse}?token=${token}`, { headers: SSE });
    expect(await readUntil(stream, 'complete')).toContain('"id":"q","payload":{"data":{"hello":"hello world"}}');
  });

  it('answers operations that never run in the request itself', async () => {
    const server = await start();
    const token = await reserve(server);
    const response = await operation(server, token, 'q', '{ nothing }');
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ errors: [{ message: expect.stringContaining('nothing') }] });
    expect((await operation(server, token, 'q', '{ hello }')).status).toBe(202);
  });

  it('refuses wrong tokens, ids taken or missing, and a second opening', async () => {
    const server = await start();
    const token = await reserve(server);
    const ask = async (response: Promise<Response>): Promise<unknown[]> => {
      const r = await response;
      return [r.status, await codeOf(r)];
    };
    for (const wrong of ['x', '__proto__', 'constructor', `${token}0`]) {
      expect(await ask(operation(server, wrong, 'a', '{ hello }'))).toEqual([404, 'STREAM_NOT_FOUND']);
      expect(await ask(fetch(`${server.sse}?token=${wrong}`, { headers: SSE }))).toEqual([404, 'STREAM_NOT_FOUND']);
      expect(await ask(fetch(`${server.sse}?token=${wrong}&operationId=a`, { method: 'DELETE' }))).toEqual([404, 'STREAM_NOT_FOUND']);
    }
    expect(await ask(fetch(server.sse, { method: 'DELETE' }))).toEqual([404, 'STREAM_NOT_FOUND']);
    expect(await ask(fetch(`${server.sse}?token=${token}`, { method: 'DELETE' }))).toEqual([400, 'OPERATION_ID_MISSING']);
    for (const id of [undefined, '', 1, null, 'x'.repeat(257)]) {
      expect(await ask(operation(server, token, id, '{ hello }'))).toEqual([400, 'OPERATION_ID_MISSING']);
    }
    expect((await operation(server, token, 'n', 'subscription { never }')).status).toBe(202);
    expect(await ask(operation(server, token, 'n', '{ hello }'))).toEqual([409, 'OPERATION_EXISTS']);
    await fetch(`${server.sse}?token=${token}`, { headers: SSE });
    expect(await ask(fetch(`${server.sse}?token=${token}`, { headers: SSE }))).toEqual([409, 'STREAM_OPEN']);
  });

  it('ties a token to whoever reserved it; EventSource may open without authorization, but nobody with another’s', async () => {
    const server = await start();
    const ann = { authorization: 'Bearer ann' };
    const token = await reserve(server, ann);
    for (const headers of [{ authorization: 'Bearer bob' }, {}]) {
      const response = await operation(server, token, 'a', '{ hello }', headers);
      expect([response.status, await codeOf(response)]).toEqual([403, 'STREAM_FOREIGN']);
      const stop = await fetch(`${server.sse}?token=${token}&operationId=a`, { method: 'DELETE', headers });
      expect(stop.status).toBe(403);
    }
    expect((await fetch(`${server.sse}?token=${token}`, { headers: { ...SSE, authorization: 'Bearer bob' } })).status).toBe(403);
    expect((await fetch(`${server.sse}?token=${token}`, { headers: SSE })).status).toBe(200);
    // Another token of the same user: the scheme in other letters stands for one.
    expect((await operation(server, token, 'a', '{ hello }', { authorization: 'bearer ann' })).status).toBe(202);
  });

  it('forgets a reservation that is not opened in time, or that is written to without being read', async () => {
    const clock = new ManualClock();
    const server = await start({ clock, sse: { reservationMs: 10_000, maxBytesBeforeOpen: 1_000 } });
    const late = await reserve(server);
    clock.advance(11_000);
    expect((await fetch(`${server.sse}?token=${late}`, { headers: SSE })).status).toBe(404);
    const flooded = await reserve(server);
    await operation(server, flooded, 'm', 'subscription { manual }');
    server.host.sessions[1]!.next('m', { data: { manual: 'x'.repeat(2_000) } });
    expect((await fetch(`${server.sse}?token=${flooded}`, { headers: SSE })).status).toBe(404);
    expect(server.host.sessions.map((session) => session.ended > 0)).toEqual([true, true]);
    expect(server.connections.size).toBe(0);
    expect(await server.metrics.text()).toContain('millrace_transports_sse_reservations 0');
  });

  it('bounds reservations, and frees their places by opening and by refusal', async () => {
    const server = await start({ sse: { maxReservations: 1 } });
    expect((await fetch(server.sse, { method: 'PUT', headers: { authorization: 'nonsense' } })).status).toBe(401);
    const token = await reserve(server);
    const full = await fetch(server.sse, { method: 'PUT' });
    expect([full.status, full.headers.get('retry-after'), await codeOf(full)]).toEqual([503, '5', 'STREAM_LIMIT']);
    await fetch(`${server.sse}?token=${token}`, { headers: SSE });
    await reserve(server);
  });

  it('bounds the reservations of one user: whoever reserved all places again and again kept everybody else out', async () => {
    const server = await start({ sse: { maxReservationsPerCaller: 2 } });
    const put = (user: string): Promise<Response> => fetch(server.sse, { method: 'PUT', headers: { authorization: `Bearer ${user}` } });
    const statuses = (await Promise.all([put('ann'), put('ann'), put('ann')])).map(({ status }) => status);
    expect(statuses.toSorted((a, b) => a - b)).toEqual([201, 201, 503]);
    const bob = await put('bob');
    expect(bob.status).toBe(201);
    expect(server.connections.size).toBe(3);
    for (const session of server.host.sessions) session.transport.close(closeReasons.goingAway);
    expect((await put('ann')).status).toBe(201);
  });

  it('answers an operation that waits when its stream closes', async () => {
    const server = await start();
    const token = await reserve(server);
    const session = server.host.sessions[0]!;
    session.start = (id, request) => void session.started.push({ id, request, stopped: false });
    const asked = operation(server, token, 'never-decided', '{ hello }');
    while (session.started.length === 0) await new Promise(setImmediate);
    session.transport.close(closeReasons.goingAway);
    expect((await asked).status).toBe(202);
  });

  it('ends every operation and the token when the stream closes', async () => {
    const server = await start();
    const token = await reserve(server);
    const abort = new AbortController();
    await fetch(`${server.sse}?token=${token}`, { headers: SSE, signal: abort.signal });
    await operation(server, token, 'n', 'subscription { never }');
    abort.abort();
    await server.untilConnections(0);
    expect(server.host.sessions[0]!.operations).toBe(0);
    expect((await operation(server, token, 'n', '{ hello }')).status).toBe(404);
  });
});

describe('graphql-sse: who may ask', () => {
  const EVIL = { origin: 'https://evil.example' };
  const APP = { origin: 'https://app.example.com' };
  const COOKIE = { cookie: 'a=b; millrace_token=ann; c=d' };

  it('refuses other origins for every method and takes allowed ones with CORS headers', async () => {
    const server = await start();
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const response = await fetch(server.sse, { method, headers: EVIL });
      expect(response.status).toBe(403);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
    }
    const preflight = await fetch(server.sse, { method: 'OPTIONS', headers: { ...APP, 'access-control-request-method': 'PUT' } });
    expect(preflight.status).toBe(204);
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': 'https://app.example.com',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET, POST, PUT, DELETE',
      vary: 'Origin',
    });
    const allowed = await fetch(graphqlUrl(server.sse, { query: '{ hello }' }), { headers: { ...SSE, ...APP } });
    expect([allowed.status, allowed.headers.get('access-control-allow-origin')]).toEqual([200, 'https://app.example.com']);
  });

  it('takes the cookie from an allowed origin or a same-origin fetch, never alone; the header wins', async () => {
    const server = await start();
    const url = graphqlUrl(server.sse, { query: '{ hello }' });
    const alone = await fetch(url, { headers: { ...SSE, ...COOKIE } });
    expect([alone.status, await codeOf(alone)]).toEqual([403, 'COOKIE_WITHOUT_ORIGIN']);
    // fetch forbids setting sec-fetch-site, so these go by hand.
    for (const [site, status] of [
      ['same-origin', 200],
      ['same-site', 403],
      ['cross-site', 403],
      ['none', 403],
    ] as const) {
      const socket = connect(server.port, '127.0.0.1');
      socket.write(
        `GET /graphql/stream?query=%7Bhello%7D HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nCookie: millrace_token=ann\r\nSec-Fetch-Site: ${site}\r\nConnection: close\r\n\r\n`,
      );
      const [first] = (await once(socket, 'data')) as [Buffer];
      expect(first.toString().slice(9, 12)).toBe(String(status));
      socket.destroy();
    }
    expect((await fetch(url, { headers: { ...SSE, ...APP, ...COOKIE } })).status).toBe(200);
    expect((await fetch(url, { headers: { ...SSE, ...COOKIE, authorization: 'Bearer bob' } })).status).toBe(200);
    expect(server.host.hellos.map((hello) => hello.authorization)).toEqual(['Bearer ann', 'Bearer ann', 'Bearer bob']);
  });

  it('refuses when full or draining', async () => {
    const server = await start({ limits: { maxConnections: 1 } });
    await fetch(graphqlUrl(server.sse, { query: 'subscription { never }' }), { headers: SSE });
    const full = await fetch(graphqlUrl(server.sse, { query: '{ hello }' }), { headers: SSE });
    expect([full.status, await codeOf(full)]).toEqual([503, 'CONNECTION_LIMIT']);
    server.host.acceptsNew = false;
    expect((await fetch(server.sse, { method: 'PUT' })).status).toBe(503);
  });
});

describe('graphql-sse: real clients', () => {
  it.each([false, true])('the graphql-sse client, single connection %s', async (singleConnection) => {
    const server = await start();
    const client = createClient({
      url: server.sse,
      singleConnection: singleConnection as false,
      headers: { authorization: 'Bearer ann' },
      retryAttempts: 0,
    });
    const counted: unknown[] = [];
    for await (const result of client.iterate({ query: 'subscription { count(to: 3) }' })) counted.push(result.data?.['count']);
    expect(counted).toEqual([1, 2, 3]);
    const hello = await client.iterate({ query: '{ hello }' }).next();
    expect(hello.value).toEqual({ data: { hello: 'hello world' } });
    client.dispose();
    await server.untilConnections(0);
  });

  it('the graphql-sse client ends a subscription by leaving it', async () => {
    const server = await start();
    const client = createClient({ url: server.sse, singleConnection: true, retryAttempts: 0 });
    const iterator = client.iterate({ query: 'subscription { manual }' });
    const first = iterator.next();
    await readyOperation(server);
    server.host.sessions[0]!.next(server.host.sessions[0]!.started[0]!.id, { data: { manual: 'x' } });
    expect((await first).value).toEqual({ data: { manual: 'x' } });
    await iterator.return?.();
    const session = server.host.sessions[0]!;
    await session.until(() => session.operations === 0);
    client.dispose();
  });

  it('a bare EventSource resumes after a lost connection by itself, without a gap', async () => {
    const server = await start({ sse: { retryMs: 10 } });
    const source = new EventSource(graphqlUrl(server.sse, { query: 'subscription { manual }' }));
    const heard: unknown[] = [];
    const completed = new Promise<void>((resolve) => source.addEventListener('complete', () => resolve()));
    const next = (): Promise<MessageEvent> => new Promise((resolve) => source.addEventListener('next', resolve, { once: true }));
    let message = next();
    await readyOperation(server);
    const first = server.host.sessions[0]!;
    first.next('', { data: { manual: '1' } }, 'cursor-1');
    heard.push(JSON.parse((await message).data as string));
    message = next();
    first.transport.close(closeReasons.goingAway);
    await readyOperation(server, 2);
    const second = server.host.sessions[1]!;
    expect(second.started[0]!.request.lastCursor).toBe('cursor-1');
    second.next('', { data: { manual: '2' } }, 'cursor-2');
    heard.push(JSON.parse((await message).data as string));
    expect(heard).toEqual([{ data: { manual: '1' } }, { data: { manual: '2' } }]);
    second.transport.write(second.transport.codec.complete(''));
    await completed;
    source.close();
  });
});

async function readyOperation(server: TestServer, sessions = 1): Promise<void> {
  while (server.host.sessions.length < sessions) await new Promise(setImmediate);
  const session = server.host.sessions[sessions - 1]!;
  await session.until(() => session.operations === 1);
}
