import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GraphQLInt, GraphQLObjectType, GraphQLSchema } from 'graphql';
import { createHandler } from 'graphql-sse/lib/use/http';
import { useServer } from 'graphql-ws/use/ws';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { systemClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { Metrics } from '../kit/metrics.ts';
import type { SubgraphAnswer, SubgraphRequest } from './generation.ts';
import { createSupergraphMetrics } from './metrics.ts';
import { createSubgraphClient } from './subgraph-client.ts';
import { SseParser } from './upstream-sse.ts';
import type { UpstreamOptions } from './upstreams.ts';

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** `ticks(n)` counts to n; without n it gives one and waits until it is ended. */
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: 'Query', fields: { q: { type: GraphQLInt } } }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: {
      ticks: {
        type: GraphQLInt,
        args: { n: { type: GraphQLInt } },
        subscribe: async function* (_source: unknown, { n }: { n?: number }) {
          for (let tick = 1; tick <= (n ?? 1); tick++) yield { ticks: tick };
          if (n === undefined) await new Promise((resolve) => cleanups.push(() => void resolve(null)));
        },
      },
    },
  }),
});

async function listen(listener?: RequestListener): Promise<{ server: Server; port: number }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { server, port: (server.address() as AddressInfo).port };
}

async function wsServer(): Promise<{ url: string; sockets: WebSocketServer; payloads: unknown[] }> {
  const { server, port } = await listen();
  const sockets = new WebSocketServer({ server, path: '/graphql' });
  const payloads: unknown[] = [];
  const disposable = useServer({ schema, onConnect: (context) => void payloads.push(context.connectionParams) }, sockets);
  cleanups.push(() => disposable.dispose());
  return { url: `ws://127.0.0.1:${port}/graphql`, sockets, payloads };
}

async function sseServer(): Promise<{ url: string; server: Server }> {
  const { server, port } = await listen(createHandler({ schema }));
  return { url: `http://127.0.0.1:${port}/`, server };
}

const registry = new Metrics();
const metrics = createSupergraphMetrics(registry);

function clientOf(subscriptionUrl: string | null, upstream: UpstreamOptions = {}, url = '') {
  const client = createSubgraphClient({ targets: new Map([['t', { name: 't', url, subscriptionUrl }]]), upstream, metrics });
  cleanups.push(() => client.close());
  return client;
}

function request(variables = '{"n":3}', signal: AbortSignal | null = null): SubgraphRequest {
  const query = 'subscription($n: Int) { ticks(n: $n) }';
  return {
    operation: {
      subgraph: 't',
      query,
      operationName: null,
      type: 'subscription',
      bodyPrefix: `{"query":${JSON.stringify(query)},"variables":`,
    },
    variables,
    headers: { authorization: 'Bearer x' },
    signal,
    deadline: systemClock.monotonic() + 10_000,
  };
}

async function all(stream: AsyncIterable<SubgraphAnswer>): Promise<unknown[]> {
  const results: unknown[] = [];
  try {
    for await (const answer of stream) results.push(answer);
  } catch (error) {
    results.push(error instanceof MillraceError ? error.code : error);
  }
  return results;
}

const THREE = [1, 2, 3].map((ticks) => ({ data: { ticks } }));

describe('a subscription at a subgraph over graphql-transport-ws', () => {
  it('gives every result and ends; the identity goes along', async () => {
    const { url, payloads } = await wsServer();
    expect(await all(clientOf(url).subscribe(request()))).toEqual(THREE);
    expect(payloads).toEqual([{ authorization: 'Bearer x' }]);
  });

  it('is found at the query address where no other is given', async () => {
    const { url } = await wsServer();
    expect(await all(clientOf(null, {}, url.replace('ws:', 'http:')).subscribe(request()))).toEqual(THREE);
  });

  it('is ended at the subgraph when its reader stops', async () => {
    const { url, sockets } = await wsServer();
    let closed: Promise<unknown> = Promise.resolve();
    for await (const answer of clientOf(url).subscribe(request('{}'))) {
      expect(answer).toEqual({ data: { ticks: 1 } });
      const [socket] = sockets.clients;
      closed = new Promise((resolve) => socket?.once('close', resolve));
      break;
    }
    await closed;
  });

  it('says so when the connection is lost', async () => {
    const { url, sockets } = await wsServer();
    const results: unknown[] = [];
    const stream = clientOf(url).subscribe(request('{}'))[Symbol.asyncIterator]();
    results.push((await stream.next()).value);
    for (const socket of sockets.clients) socket.terminate();
    await expect(stream.next()).rejects.toMatchObject({ spec: { code: 'SUBGRAPH_STREAM_LOST' } });
    expect(results).toEqual([{ data: { ticks: 1 } }]);
  });

  it('gives the errors of a refused operation as a result', async () => {
    const { url } = await wsServer();
    expect(await all(clientOf(url).subscribe(request('{"n":"no"}')))).toMatchObject([
      { errors: [{ message: expect.stringContaining('$n') as string }] },
    ]);
  });

  it('ends quietly when the caller goes away', async () => {
    const { url } = await wsServer();
    const control = new AbortController();
    const stream = clientOf(url).subscribe(request('{}', control.signal))[Symbol.asyncIterator]();
    await stream.next();
    control.abort();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('is refused beyond the bound, and where nobody listens', async () => {
    const { url } = await wsServer();
    const client = clientOf(url, { subscriptionsMax: 1 });
    const stream = client.subscribe(request('{}'))[Symbol.asyncIterator]();
    await stream.next();
    expect(await all(client.subscribe(request()))).toEqual(['SUBGRAPH_OVERLOADED']);
    await stream.return?.();
    expect(await all(client.subscribe(request()))).toEqual(THREE);
    expect(await all(clientOf('ws://127.0.0.1:1/').subscribe(request()))).toEqual(['SUBGRAPH_STREAM_LOST']);
    expect(await all(clientOf('nonsense').subscribe(request()))).toEqual(['SUBGRAPH_UNREACHABLE']);
    for (const code of ['SUBGRAPH_OVERLOADED', 'SUBGRAPH_STREAM_LOST', 'SUBGRAPH_UNREACHABLE'])
      expect(await registry.text()).toContain(`millrace_supergraph_subgraph_failures_total{subgraph="t",code="${code}"}`);
  });
});

describe('a subscription at a subgraph over graphql-sse', () => {
  it('gives every result and ends', async () => {
    expect(await all(clientOf((await sseServer()).url).subscribe(request()))).toEqual(THREE);
  });

  it('says so when the connection is lost', async () => {
    const { url, server } = await sseServer();
    const stream = clientOf(url).subscribe(request('{}'))[Symbol.asyncIterator]();
    expect((await stream.next()).value).toEqual({ data: { ticks: 1 } });
    server.closeAllConnections();
    await expect(stream.next()).rejects.toMatchObject({ spec: { code: 'SUBGRAPH_STREAM_LOST' } });
  });

  it('refuses what is no event stream', async () => {
    const { port } = await listen((_request, response) => void response.end('hello'));
    expect(await all(clientOf(`http://127.0.0.1:${port}/`).subscribe(request()))).toEqual(['SUBGRAPH_STREAM_LOST']);
  });

  it('reads events however they are cut into chunks', () => {
    const stream = 'event: next\r\ndata: {"a":1}\r\n\r\n:comment\n\nevent: next\ndata: x\ndata: y\n\nevent: complete\ndata\n\n';
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: stream.length - 1 }), { maxLength: 12 }), (cuts) => {
        const parser = new SseParser(1000);
        const points = [0, ...new Set([...cuts].sort((a, b) => a - b)), stream.length];
        const events = points.slice(1).flatMap((end, i) => parser.add(stream.slice(points[i], end)) ?? []);
        expect(events).toEqual([
          { type: 'next', data: '{"a":1}' },
          { type: 'next', data: 'x\ny' },
          { type: 'complete', data: '' },
        ]);
      }),
    );
  });
});
