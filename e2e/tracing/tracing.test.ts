import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEALS_SDL, post, subscriptionsAre } from '../deals.ts';
import { Inbox, type Millrace, devToken, pushSchema, startMillrace, temporaryFolder, wsClient } from '../harness.ts';
import { type ReceivedSpan, startCollector } from './collector.ts';

/** Traces as a collector gets them, from a producer's context to the frame, and what happens where the collector or the option is not there. */

const SDL = `
extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried"])
  @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type Query { ping: String }
type Deal @key(fields: "id") @live(topic: "crm.deals", tenant: "company_id") { id: ID! @carried title: String! @carried stage: String }`;

const REPORT = `--import ${new URL('report-modules.ts', import.meta.url).href}`;
const TITLE = 'the-title-is-nobodys-business';

const contextOf = (trace: string, flags = '01'): string => `00-${trace.repeat(32)}-${trace.repeat(16)}-${flags}`;

type Deal = { readonly dealEvent: { readonly id: string; readonly deal: { readonly stage: string } } };

describe('tracing', () => {
  const stack = new AsyncDisposableStack();
  const subgraphHeard = new Inbox<IncomingHttpHeaders>();
  const deals = new Inbox<Deal>();
  let collector: Awaited<ReturnType<typeof startCollector>>;
  let millrace: Millrace;
  let token: string;

  beforeAll(async () => {
    const folder = temporaryFolder();
    stack.defer(() => folder.remove());
    collector = stack.use(await startCollector());
    const subgraph = createServer((req, res) => {
      let body = '';
      req.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      req.on('end', () => {
        subgraphHeard.push(req.headers);
        const { variables } = JSON.parse(body) as { readonly variables?: { readonly representations?: readonly unknown[] } };
        const entities = variables?.representations?.map(() => ({ __typename: 'Deal', stage: 'won' }));
        res
          .setHeader('content-type', 'application/json')
          .end(JSON.stringify({ data: entities ? { _entities: entities } : { ping: 'pong' } }));
      });
    });
    subgraph.listen(0, '127.0.0.1');
    await once(subgraph, 'listening');
    stack.defer(() => {
      subgraph.closeAllConnections();
      subgraph.close();
    });
    const headersFile = join(folder.path, 'headers');
    writeFileSync(headersFile, '# of the collector\nx-collector-token: s3cret\n');
    millrace = await startMillrace({
      data: folder.path,
      env: {
        MILLRACE_TRACING_ENDPOINT: collector.url,
        MILLRACE_TRACING_RATIO: '0',
        MILLRACE_TRACING_HEADERS_FILE: headersFile,
        NODE_OPTIONS: REPORT,
      },
    });
    stack.defer(() => millrace.kill());
    token = await devToken('acme', 'anna');
    const url = `http://127.0.0.1:${(subgraph.address() as AddressInfo).port}/graphql`;
    expect((await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: SDL, url })).status).toBe(200);
    const client = wsClient(millrace.addresses, token);
    stack.defer(() => client.dispose());
    const query = 'subscription { dealEvent { id deal { stage } } }';
    await subscriptionsAre(millrace, 1, () =>
      client.subscribe<Deal>(
        { query },
        { next: ({ data }) => void (data && deals.push(data)), error: () => undefined, complete: () => undefined },
      ),
    );
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  const publish = async (id: string, traceparent: string): Promise<void> => {
    const answer = await post(millrace, token, 'crm.deals', { id, title: TITLE, company_id: 'acme', event_id: id }, { traceparent });
    expect(answer.status).toBe(202);
  };
  const spansOf = async (trace: string, names: readonly string[]): Promise<ReadonlyMap<string, ReceivedSpan>> => {
    const mine = (all: readonly ReceivedSpan[]): readonly ReceivedSpan[] => all.filter(({ traceId }) => traceId === trace.repeat(32));
    const all = await collector.spans.until((items) => names.every((name) => mine(items).some((span) => span.name === name)));
    return new Map(mine(all).map((span) => [span.name, span]));
  };
  const ask = (headers: Record<string, string>): Promise<Response> =>
    fetch(millrace.addresses.graphql, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ query: '{ ping }' }),
    });

  test('an event is one connected trace from its producer to the frame, through the subgraph', async () => {
    await publish('unsampled', contextOf('b', '00'));
    await publish('sampled', contextOf('a'));
    const path = ['ingest.append', 'ingest.map', 'channel.publish', 'live.match', 'group.execute', 'subgraph.request', 'live.deliver'];
    const spans = await spansOf('a', path);
    const parents: Readonly<Record<string, string>> = {
      'ingest.map': 'ingest.append',
      'channel.publish': 'ingest.map',
      'live.match': 'channel.publish',
      'group.execute': 'channel.publish',
      'subgraph.request': 'group.execute',
      'live.deliver': 'channel.publish',
    };
    expect([...spans.keys()].toSorted()).toEqual(path.toSorted());
    expect(spans.get('ingest.append')?.parentSpanId).toBe('a'.repeat(16));
    for (const [child, parent] of Object.entries(parents)) expect(spans.get(child)?.parentSpanId, child).toBe(spans.get(parent)?.spanId);
    const attributes = spans.get('live.deliver')?.attributes ?? [];
    expect(attributes.find(({ key }) => key === 'millrace.deliveries')?.value).toEqual({ intValue: 1 });
    await deals.until((items) => items.length >= 2);
    expect(
      subgraphHeard.items.some(({ traceparent }) => traceparent === `00-${'a'.repeat(32)}-${spans.get('subgraph.request')?.spanId}-01`),
    ).toBe(true);
    expect(collector.spans.items.some(({ traceId }) => traceId === 'b'.repeat(32))).toBe(false);
  });

  test('a query of a signed-in caller continues its trace; one of a stranger cannot begin any', async () => {
    const before = subgraphHeard.items.length;
    expect((await ask({ traceparent: contextOf('c') })).status).toBe(200);
    expect(subgraphHeard.items.at(before)?.['traceparent']).toBe(contextOf('c', '00'));
    expect((await ask({ traceparent: contextOf('d'), authorization: `Bearer ${token}` })).status).toBe(200);
    const spans = await spansOf('d', ['graphql.operation', 'subgraph.request']);
    expect(spans.get('graphql.operation')?.parentSpanId).toBe('d'.repeat(16));
    expect(spans.get('subgraph.request')?.parentSpanId).toBe(spans.get('graphql.operation')?.spanId);
    expect(collector.spans.items.some(({ traceId }) => traceId === 'c'.repeat(32))).toBe(false);
  });

  test('spans hold no token and nothing of an entity, and the collector gets the headers of the file', async () => {
    await collector.spans.until((items) => items.length > 0);
    for (const { headers, body } of collector.requests) {
      expect(headers['x-collector-token']).toBe('s3cret');
      for (const secret of [TITLE, token, 's3cret', 'acme', 'anna']) expect(body).not.toContain(secret);
    }
    expect(millrace.log()).toContain('LOADED @opentelemetry/sdk-trace');
    expect(millrace.log()).not.toContain('s3cret');
  });
});

describe('without what tracing needs', () => {
  async function startWith(env: Record<string, string>) {
    const folder = temporaryFolder();
    const millrace = await startMillrace({ data: folder.path, env });
    const token = await devToken('acme', 'anna');
    const inbox = new Inbox<unknown>();
    await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: DEALS_SDL });
    const client = wsClient(millrace.addresses, token);
    await subscriptionsAre(millrace, 1, () =>
      client.subscribe(
        { query: 'subscription { dealEvent { id } }' },
        { next: (value) => inbox.push(value), error: () => undefined, complete: () => undefined },
      ),
    );
    const deliver = async (id: string): Promise<void> => {
      const headers = { traceparent: contextOf('e') };
      expect((await post(millrace, token, 'crm.deals', { id, title: 't', company_id: 'acme', event_id: id }, headers)).status).toBe(202);
      await inbox.until((items) => items.length > 0);
    };
    const dispose = async (): Promise<void> => {
      await client.dispose();
      await millrace.kill();
      folder.remove();
    };
    return { millrace, deliver, [Symbol.asyncDispose]: dispose };
  }

  test('an endpoint, nothing of OpenTelemetry is loaded', async () => {
    await using running = await startWith({ NODE_OPTIONS: REPORT });
    await running.deliver('one');
    expect(running.millrace.log()).not.toContain('LOADED');
  });

  test('a collector that answers, events flow and the program ends well', async () => {
    await using collector = await startCollector(true);
    await using running = await startWith({ MILLRACE_TRACING_ENDPOINT: collector.url });
    await running.deliver('one');
    await collector.asked.until((items) => items.length > 0);
    await running.deliver('two');
    expect(await running.millrace.stop()).toBe(0);
    expect(collector.asked.items[0]).toBe('/v1/traces');
  });

  test('a collector at all, events flow and the program ends well', async () => {
    await using running = await startWith({ MILLRACE_TRACING_ENDPOINT: 'http://127.0.0.1:9/v1/traces' });
    await running.deliver('one');
    expect(await running.millrace.stop()).toBe(0);
  });
});
