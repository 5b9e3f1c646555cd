import { randomBytes } from 'node:crypto';
import { connect } from 'node:http2';
import { request } from 'node:https';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMillraceProxy } from '../../tools/services/millrace-proxy.ts';
import { available, service } from '../../tools/services/shared.ts';
import { DEALS_SDL, metric } from '../deals.ts';
import { devToken, Inbox, type Millrace, pushSchema, startMillrace, temporaryFolder } from '../harness.ts';

/** `deploy/nginx/millrace.conf` in a real nginx before two whole processes that share their channels. */

const here = available('nginx') && available('redis');
const stack = new AsyncDisposableStack();
let nodes: readonly [Millrace, Millrace];
let origin: string;
let ca: string;
let token: string;

type Deal = { readonly dealEvent: { readonly id: string } };

beforeAll(async () => {
  if (!here) return;
  const { url } = await service('redis');
  token = await devToken('acme', 'anna');
  const env = {
    MILLRACE_CHANNELS_KIND: 'redis',
    MILLRACE_CHANNELS_REDIS_URLS: url,
    MILLRACE_CHANNELS_REDIS_KEY_PREFIX: `proxy-${randomBytes(6).toString('hex')}`,
    MILLRACE_CURSOR_KEY: randomBytes(32).toString('hex'),
    MILLRACE_TRANSPORTS_TRUSTED_PROXIES: '127.0.0.1',
  };
  const start = async (): Promise<Millrace> => {
    const folder = temporaryFolder();
    stack.defer(() => folder.remove());
    const millrace = await startMillrace({ data: folder.path, env });
    stack.defer(() => millrace.kill());
    expect((await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: DEALS_SDL })).status).toBe(200);
    return millrace;
  };
  nodes = [await start(), await start()];
  const ports = nodes.map(({ addresses }) => Number(new URL(addresses.ws).port));
  const proxy = await startMillraceProxy({ edges: ports, gateways: ports, ingest: ports });
  stack.use(proxy.nginx);
  ca = proxy.ca;
  origin = `https://localhost:${proxy.nginx.port}`;
}, 60_000);
afterAll(() => stack.disposeAsync());

type Answer = { readonly status: number; readonly version: string; readonly body: string };

function ask(method: string, path: string, body: string | null, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, origin), {
      ca,
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    });
    asked.once('error', reject);
    asked.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, version: response.httpVersion, body: text }));
    });
    asked.end(body ?? undefined);
  });
}

let published = 0;
async function publish(): Promise<string> {
  const id = `deal-${(published += 1)}`;
  const answer = await ask('POST', '/events?topic=crm.deals', JSON.stringify({ id, event_id: id, title: 't', company_id: 'acme' }));
  expect(answer.status, answer.body).toBe(202);
  return id;
}

/** Channels with a listener, over both processes. */
async function listeners(): Promise<number> {
  return (await Promise.all(nodes.map((node) => metric(node, 'millrace_live_subscriptions')))).reduce((sum, count) => sum + count, 0);
}

async function untilListeners(count: number): Promise<void> {
  const end = Date.now() + 20_000;
  while ((await listeners()) !== count) expect(Date.now()).toBeLessThan(end);
}

const STREAM = `/graphql/stream?query=${encodeURIComponent('subscription { dealEvent { id } }')}`;

describe.skipIf(!here)('behind nginx', () => {
  test('queries are answered over HTTP/1.1 and HTTP/2, and events are taken in', async () => {
    const query = JSON.stringify({ query: '{ __typename }' });
    expect(await ask('POST', '/graphql', query)).toMatchObject({ status: 200, version: '1.1', body: '{"data":{"__typename":"Query"}}' });
    const session = connect(origin, { ca });
    const stream = session.request({
      ':method': 'POST',
      ':path': '/graphql',
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
    });
    let body = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    stream.end(query);
    await new Promise((resolve) => stream.once('end', resolve));
    session.close();
    expect(body).toBe('{"data":{"__typename":"Query"}}');
    await publish();
    expect((await ask('GET', '/metrics', null)).status).toBe(404);
  });

  test('subscriptions over WSS reach both edges, round robin, and hear what was posted to either', async () => {
    const inboxes = Array.from({ length: 4 }, () => new Inbox<Deal>());
    class Trusting extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols, { ca });
      }
    }
    const clients = inboxes.map((inbox) => {
      const client = createClient({
        url: `${origin.replace('https', 'wss')}/graphql`,
        webSocketImpl: Trusting,
        connectionParams: { authorization: `Bearer ${token}` },
        retryAttempts: 0,
      });
      client.subscribe<Deal>(
        { query: 'subscription { dealEvent { id } }' },
        { next: ({ data }) => void (data && inbox.push(data)), error: (error) => expect(error).toBeNull(), complete: () => undefined },
      );
      return client;
    });
    await untilListeners(4);
    for (const node of nodes) expect(await metric(node, 'millrace_live_subscriptions')).toBe(2);
    const ids = [await publish(), await publish()];
    for (const inbox of inboxes) {
      await inbox.until((items) => items.length >= 2);
      expect(inbox.items.map(({ dealEvent }) => dealEvent.id).toSorted()).toEqual(ids.toSorted());
    }
    for (const client of clients) await client.dispose();
    await untilListeners(0);
  });

  test('server-sent events come at once over HTTP/1.1 and HTTP/2, unbuffered', async () => {
    const inbox = new Inbox<string>();
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${token}` };
    const first = request(new URL(STREAM, origin), { ca, headers });
    first.once('response', (response) => response.setEncoding('utf8').on('data', (chunk: string) => inbox.push(`1 ${chunk}`)));
    first.on('error', () => undefined).end();
    const session = connect(origin, { ca });
    // `/graphql` too, where the client asks for an event stream.
    const second = session.request({ ':path': STREAM.replace('/stream', ''), ...headers });
    second.setEncoding('utf8').on('data', (chunk: string) => inbox.push(`2 ${chunk}`));
    await untilListeners(2);
    const id = await publish();
    await inbox.until((items) =>
      ['1', '2'].every((stream) => items.some((item) => item.startsWith(stream) && item.includes(`"id":"${id}"`))),
    );
    first.destroy();
    session.destroy();
    await untilListeners(0);
  });

  test('a forwarded header that names no address does no harm', async () => {
    const answer = await ask('POST', '/graphql', JSON.stringify({ query: '{ __typename }' }), { 'x-forwarded-for': 'nonsense' });
    expect(answer.status).toBe(200);
  });
});
