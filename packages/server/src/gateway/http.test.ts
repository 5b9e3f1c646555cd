import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeGenerations } from './testing/fake-generation.ts';
import { startGateway } from './testing/gateway-server.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const MODERN = { accept: 'application/graphql-response+json' };
const HTML = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

type Gateway = Awaited<ReturnType<typeof startGateway>>;

describe('GraphQL over HTTP', () => {
  let gateway: Gateway;
  const generations = new FakeGenerations();

  beforeAll(async () => {
    gateway = await startGateway(generations, { maxBodyBytes: 10_000, maxUrlBytes: 2_000 });
  });
  afterAll(() => gateway[Symbol.asyncDispose]());

  const post = (body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(gateway.url, {
      method: 'POST',
      headers: { ...JSON_TYPE, ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  async function codeOf(response: Response): Promise<unknown> {
    return ((await response.json()) as { errors: { extensions: { code: string } }[] }).errors[0]!.extensions.code;
  }

  it.each([
    ['parse', { query: '{' }, {}, 200, 'GRAPHQL_PARSE_FAILED'],
    ['parse, modern', { query: '{' }, MODERN, 400, 'GRAPHQL_PARSE_FAILED'],
    ['variables, modern', { query: 'query($n: String!) { hello(name: $n) }' }, MODERN, 400, 'BAD_USER_INPUT'],
    ['a list', [{ query: '{ hello }' }], {}, 400, 'BATCHING_NOT_SUPPORTED'],
    ['no query', {}, {}, 400, 'BAD_REQUEST'],
    ['a bad token', { query: '{ hello }' }, { authorization: 'Bearer bad' }, 401, 'TOKEN_INVALID'],
    ['a subscription', { query: 'subscription { dealEvent }' }, { authorization: 'Bearer ann' }, 406, 'SUBSCRIPTION_NEEDS_STREAM'],
    ['nothing acceptable', { query: '{ hello }' }, { accept: 'image/png' }, 406, 'NOT_ACCEPTABLE'],
    ['another type', 'query=x', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['text/plain with JSON in it', { query: '{ hello }' }, { 'content-type': 'text/plain' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['another charset', { query: '{ hello }' }, { 'content-type': 'application/json; charset=utf-16' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['a body over the limit', { query: `{ hello } ${'#'.repeat(10_000)}` }, {}, 413, 'BODY_TOO_LARGE'],
  ])('%s', async (_name, body, headers, status, code) => {
    const response = await post(body, headers);
    expect([response.status, await codeOf(response)]).toEqual([status, code]);
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f]{12}-[0-9a-z]+$/);
  });

  it('stops reading a chunked body at the limit', async () => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 20; i++) socket.write(`400\r\n${' '.repeat(1_024)}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 413 /);
    socket.destroy();
  });

  it('asks who it is before it reads a body: a stranger would otherwise make it keep a megabyte for each of many slow connections', async () => {
    const socket = connect(gateway.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer bad\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{',
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 401 [^]*connection: close/i);
    socket.destroy();
  });

  it('refuses bytes that are not UTF-8', async () => {
    const response = await fetch(gateway.url, { method: 'POST', headers: JSON_TYPE, body: Buffer.from([0x7b, 0xff, 0x7d]) });
    expect([response.status, await codeOf(response)]).toEqual([400, 'BAD_REQUEST']);
  });

  it('takes queries by GET, mutations not, and no URL without end', async () => {
    const get = (params: Record<string, string>): Promise<Response> => fetch(`${gateway.url}?${new URLSearchParams(params).toString()}`);
    expect(await (await get({ query: 'query A { hello } mutation B { say(word: "x") }', operationName: 'A' })).json()).toEqual({
      data: { hello: 'hello world' },
    });
    const mutation = await get({ query: 'query A { hello } mutation B { say(word: "x") }', operationName: 'B' });
    expect([mutation.status, mutation.headers.get('allow'), await codeOf(mutation)]).toEqual([405, 'POST', 'METHOD_NOT_ALLOWED']);
    expect((await get({ query: `{ hello } ${'#'.repeat(3_000)}` })).status).toBe(413);
    expect((await get({ query: '{ hello }', variables: '{' })).status).toBe(400);
    const put = await fetch(gateway.url, { method: 'PUT' });
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, POST']);
  });

  it('keeps a request id that is one, and makes one otherwise', async () => {
    expect((await post({ query: '{ hello }' }, { 'x-request-id': 'my-id.1' })).headers.get('x-request-id')).toBe('my-id.1');
    expect(generations.calls.at(-1)!.headers['x-request-id']).toBe('my-id.1');
    expect((await post({ query: '{ hello }' }, { 'x-request-id': 'has space' })).headers.get('x-request-id')).toMatch(
      /^[0-9a-f]{12}-[0-9a-z]+$/,
    );
  });

  it('never passes on headers by which a client claims to be somebody', async () => {
    await post(
      { query: '{ hello }' },
      { authorization: 'Bearer ann', 'millrace-tenant': 'other', 'millrace-user': 'root', 'millrace-roles': 'admin', 'x-other': '1' },
    );
    expect(generations.calls.at(-1)!.headers).toEqual({
      authorization: 'Bearer token-of-ann',
      'millrace-tenant': 't1',
      'millrace-user': 'ann',
      'millrace-roles': '',
      'x-request-id': expect.any(String),
    });
  });

  it('gives CORS headers to allowed origins only', async () => {
    const allowed = await post({ query: '{ hello }' }, { origin: 'https://app.example.com' });
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
    expect(allowed.headers.get('access-control-allow-credentials')).toBeNull();
    const evil = await post({ query: '{ hello }' }, { origin: 'https://evil.example' });
    expect(evil.headers.get('access-control-allow-origin')).toBeNull();
    const preflight = await fetch(gateway.url, { method: 'OPTIONS', headers: { origin: 'https://app.example.com' } });
    expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([
      204,
      expect.stringContaining('authorization'),
    ]);
  });

  it('hands requests for event streams on', async () => {
    const response = await post({ query: 'subscription { dealEvent }' }, { accept: 'text/event-stream' });
    expect([response.headers.get('content-type'), gateway.state.streamed]).toEqual(['text/event-stream', 1]);
  });

  it('aborts the work of a client that leaves', async () => {
    const hanging = Promise.withResolvers<AbortSignal>();
    const gone = new FakeGenerations();
    const operation = gone.lease.bind(gone);
    gone.lease = () => {
      const lease = operation();
      const prepare = lease.generation.prepare.bind(lease.generation);
      const slow = async (request: Parameters<typeof prepare>[0]): ReturnType<typeof prepare> => {
        const prepared = await prepare(request);
        if (prepared.kind === 'invalid') return prepared;
        return {
          kind: 'operation',
          operation: { ...prepared.operation, execute: (call) => new Promise(() => hanging.resolve(call.signal!)) },
        };
      };
      return { generation: { ...lease.generation, prepare: slow }, release: lease.release };
    };
    await using other = await startGateway(gone);
    const abort = new AbortController();
    const asked = fetch(other.url, { method: 'POST', headers: JSON_TYPE, body: '{"query":"{ hello }"}', signal: abort.signal });
    const signal = await hanging.promise;
    abort.abort();
    await expect(asked).rejects.toThrow();
    if (!signal.aborted) await once(signal, 'abort');
    expect(signal.aborted).toBe(true);
  });

  it('answers 503 while draining', async () => {
    gateway.state.accepting = false;
    const response = await post({ query: '{ hello }' });
    gateway.state.accepting = true;
    expect([response.status, response.headers.get('retry-after'), await codeOf(response)]).toEqual([503, '1', 'SHUTTING_DOWN']);
  });
});

describe('GraphiQL: the page and its files', () => {
  const root = mkdtempSync(join(tmpdir(), 'graphiql-'));
  const dist = join(root, 'dist');
  afterAll(() => rmSync(root, { recursive: true }));

  it('says how to build it where it is not built', async () => {
    await using gateway = await startGateway(new FakeGenerations(), { dist });
    const response = await fetch(gateway.url, { headers: HTML });
    expect([response.status, await response.text()]).toEqual([503, expect.stringContaining('npm run build --workspace @millrace/console')]);
  });

  it('serves the page with a CSP and the files for ever, and nothing outside', async () => {
    mkdirSync(join(dist, 'assets'), { recursive: true });
    writeFileSync(join(root, 'secret.js'), 'secret');
    writeFileSync(join(dist, 'secret.js'), 'secret');
    writeFileSync(join(dist, 'index.html'), '<!doctype html>page');
    for (const name of ['index-a1.js', 'font.ttf', 'style.css', 'odd.exe', '.hidden.js'])
      writeFileSync(join(dist, 'assets', name), `content of ${name}`);
    await using gateway = await startGateway(new FakeGenerations(), { dist });

    const page = await fetch(gateway.url, { headers: HTML });
    expect([page.status, await page.text()]).toEqual([200, '<!doctype html>page']);
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self';");
    expect(page.headers.get('cache-control')).toBe('no-cache');

    for (const [name, type] of [
      ['index-a1.js', 'text/javascript; charset=utf-8'],
      ['font.ttf', 'font/ttf'],
      ['style.css', 'text/css; charset=utf-8'],
    ]) {
      const file = await fetch(`${gateway.url}/assets/${name}`);
      expect([file.status, file.headers.get('content-type'), file.headers.get('x-content-type-options'), await file.text()]).toEqual([
        200,
        type,
        'nosniff',
        `content of ${name}`,
      ]);
      expect(file.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    }
    const head = await fetch(`${gateway.url}/assets/style.css`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '20']);

    // fetch would resolve the dots itself, so these go by hand.
    const climbs = [
      '../secret.js',
      '%2e%2e/secret.js',
      '..%2fsecret.js',
      '..\\secret.js',
      '../../secret.js',
      'x/../../secret.js',
      '',
      '.',
      '..',
      'odd.exe',
      '.hidden.js',
      'none.js',
      'a\0.js',
      '%',
    ];
    for (const name of climbs) {
      const socket = connect(gateway.port, '127.0.0.1');
      socket.write(`GET /graphql/assets/${name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect([name, answer.toString().slice(9, 12)]).toEqual([name, name.includes('\0') ? '400' : '404']);
      expect(answer.toString()).not.toContain('secret');
      socket.destroy();
    }
  });

  it('leaves queries to the GraphQL handler', async () => {
    await using gateway = await startGateway(new FakeGenerations(), { dist });
    const response = await fetch(`${gateway.url}?query=%7Bhello%7D`, { headers: { accept: '*/*' } });
    expect(await response.json()).toEqual({ data: { hello: 'hello world' } });
  });
});
