import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock, systemClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import type { SubgraphOperation } from './fetch-task.ts';
import type { SubgraphRequest } from './generation.ts';
import { type SubgraphClientOptions, createSubgraphClient } from './subgraph-client.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function serve(handler: (request: IncomingMessage, response: ServerResponse, body: string) => void): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => handler(request, response, Buffer.concat(chunks).toString()));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql?a=1`;
}

function clientOf(url: string, options: Partial<SubgraphClientOptions> = {}) {
  return createSubgraphClient({ targets: new Map([['deals', { name: 'deals', url, subscriptionUrl: null }]]), ...options });
}

function operation(type: SubgraphOperation['type'] = 'query'): SubgraphOperation {
  return {
    subgraph: 'deals',
    query: '{ a "q" }',
    operationName: null,
    type,
    bodyPrefix: `{"query":${JSON.stringify('{ a "q" }')},"variables":`,
  };
}

function request(part: Partial<SubgraphRequest> = {}): SubgraphRequest {
  return {
    operation: operation(),
    variables: '{"x":1}',
    headers: { 'x-request-id': 'r1' },
    signal: null,
    deadline: systemClock.monotonic() + 10_000,
    ...part,
  };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const outcome = await promise.then(
    (value) => `answered ${JSON.stringify(value)}`,
    (error: unknown) => error,
  );
  return outcome instanceof MillraceError ? outcome.code : String(outcome);
}

const json = (response: ServerResponse, body: string, status = 200, type = 'application/json'): void =>
  void response.writeHead(status, { 'content-type': type }).end(body);

describe('the client of a subgraph', () => {
  it('posts the operation with its variables and headers, and gives the answer', async () => {
    let seen: unknown;
    const client = clientOf(
      await serve((incoming, response, body) => {
        seen = { url: incoming.url, id: incoming.headers['x-request-id'], body: JSON.parse(body) as unknown };
        json(response, '{"data":{"a":1}}');
      }),
    );
    expect(await client.execute(request())).toEqual({ data: { a: 1 } });
    expect(seen).toEqual({ url: '/graphql?a=1', id: 'r1', body: { query: '{ a "q" }', variables: { x: 1 } } });
    await client.close();
  });

  it('takes GraphQL errors of a 400 or 500 as an answer', async () => {
    const client = clientOf(
      await serve((_in, response) => json(response, '{"errors":[{"message":"no"}]}', 500, 'application/graphql-response+json')),
    );
    expect(await client.execute(request())).toEqual({ data: null, errors: [{ message: 'no' }] });
    await client.close();
  });

  it.each([
    ['html', 'text/html', '<p>'],
    ['broken JSON', 'application/json', '{"data":'],
    ['a JSON list', 'application/json', '[]'],
    ['an object that is no result', 'application/json', '{"ok":true}'],
    ['data of the wrong kind', 'application/json', '{"data":[1]}'],
    ['null data without errors', 'application/json', '{"data":null}'],
  ])('refuses %s', async (_name, type, body) => {
    const client = clientOf(await serve((_in, response) => json(response, body, 200, type)));
    expect(await codeOf(client.execute(request()))).toBe('SUBGRAPH_BAD_ANSWER');
    await client.close();
  });

  it('stops reading an answer that is larger than allowed', async () => {
    const client = clientOf(await serve((_in, response) => json(response, `{"data":{"a":"${'x'.repeat(5000)}"}}`)), {
      responseBytesMax: 1000,
    });
    expect(await codeOf(client.execute(request()))).toBe('SUBGRAPH_BAD_ANSWER');
    await client.close();
  });

  it('gives up at the deadline and when the caller goes away, and closes the request', async () => {
    const clock = new ManualClock();
    let arrived = (): void => {};
    let closed: Promise<unknown> = Promise.resolve();
    const client = clientOf(
      await serve((incoming) => {
        closed = new Promise((resolve) => incoming.socket.once('close', resolve));
        arrived();
      }),
      { clock },
    );
    let here = new Promise<void>((resolve) => (arrived = resolve));
    const late = codeOf(client.execute(request({ deadline: clock.monotonic() + 50 })));
    await here;
    clock.advance(51);
    expect(await late).toBe('SUBGRAPH_TIMEOUT');
    await closed;
    here = new Promise((resolve) => (arrived = resolve));
    const control = new AbortController();
    const gone = codeOf(client.execute(request({ deadline: clock.monotonic() + 50, signal: control.signal })));
    await here;
    control.abort();
    expect(await gone).toBe('REQUEST_CANCELLED');
    await closed;
    await client.close();
  });

  it('sends a query again once when the connection breaks, a mutation never', async () => {
    let calls = 0;
    const url = await serve((incoming, response) => {
      if (++calls % 2 === 1) incoming.socket.destroy();
      else json(response, '{"data":{"a":1}}');
    });
    const client = clientOf(url);
    expect(await client.execute(request())).toEqual({ data: { a: 1 } });
    expect(calls).toBe(2);
    expect(await codeOf(client.execute(request({ operation: operation('mutation') })))).toBe('SUBGRAPH_UNREACHABLE');
    expect(calls).toBe(3);
    await client.close();
  });

  it('never names the address in an error', async () => {
    const client = clientOf('http://127.0.0.1:1/secret-path');
    const error: unknown = await client.execute(request()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MillraceError);
    expect((error as MillraceError).code).toBe('SUBGRAPH_UNREACHABLE');
    expect((error as MillraceError).message).not.toMatch(/127|secret/);
    await client.close();
  });

  it('leaves a failing subgraph alone, probes it once, and takes it back', async () => {
    const clock = new ManualClock();
    let healthy = false;
    let calls = 0;
    const client = clientOf(
      await serve((_in, response) => {
        calls++;
        if (healthy) json(response, '{"data":{"a":1}}');
        else json(response, 'no', 503, 'text/plain');
      }),
      { clock, circuit: { threshold: 3, openMs: 1000 } },
    );
    const ask = (): Promise<string> => codeOf(client.execute(request({ deadline: clock.monotonic() + 10_000 })));
    for (let i = 0; i < 3; i++) expect(await ask()).toBe('SUBGRAPH_BAD_ANSWER');
    expect(await ask()).toBe('SUBGRAPH_OPEN_CIRCUIT');
    expect(calls).toBe(3);
    clock.advance(1000);
    expect(await ask()).toBe('SUBGRAPH_BAD_ANSWER');
    expect(await ask()).toBe('SUBGRAPH_OPEN_CIRCUIT');
    clock.advance(1000);
    healthy = true;
    expect(await ask()).toBe('answered {"data":{"a":1}}');
    expect(await ask()).toBe('answered {"data":{"a":1}}');
    await client.close();
  });

  it('bounds the requests under way', async () => {
    let release = (): void => {};
    const client = clientOf(await serve((_in, response) => void (release = () => json(response, '{"data":{}}'))), { inFlightMax: 1 });
    const first = client.execute(request());
    expect(await codeOf(client.execute(request()))).toBe('SUBGRAPH_OVERLOADED');
    await expect.poll(() => release.toString()).toContain('json');
    release();
    await first;
    await client.close();
  });
});
