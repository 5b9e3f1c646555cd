import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type GraphQLSchema, GraphQLObjectType, GraphQLString, GraphQLNonNull, buildSchema, execute, parse } from 'graphql';
import { createHandler as createSseHandler } from 'graphql-sse/lib/use/http';
import { useServer } from 'graphql-ws/use/ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { Inbox, type Millrace, devToken, startMillrace, temporaryFolder, wsClient } from '../harness.ts';

/**
 * Subscriptions that a subgraph serves itself keep working: Millrace passes them through, from graphql-transport-ws or from SSE upstream, and
 * fetches what other subgraphs know. The upstream servers are the real libraries.
 */

const CLOCK_SDL = `
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type Query { clock: String }
type Subscription { ticks(upTo: Int!): Tick! }
type Tick { n: Int! room: Room! }
type Room @key(fields: "id") { id: ID! }`;
const ROOMS_SDL = `
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type Query { rooms: String }
type Room @key(fields: "id") { id: ID! name: String! }`;

/** What the clock serves: n ticks, one after the other, then the end. */
function clockSchema(): GraphQLSchema {
  const schema = buildSchema(
    'type Query { clock: String } type Subscription { ticks(upTo: Int!): Tick! } type Tick { n: Int! room: Room! } type Room { id: ID! }',
  );
  schema.getSubscriptionType()!.getFields()['ticks']!.subscribe = async function* (_: unknown, { upTo }: { upTo: number }) {
    for (let n = 1; n <= upTo; n += 1) yield { ticks: { n, room: { id: `room-${n}` } } };
  };
  return schema;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
}

/** Entities of `Room`, by hand. */
function roomsServer(): Server {
  const room = new GraphQLObjectType({
    name: 'Room',
    fields: { id: { type: GraphQLString }, name: { type: new GraphQLNonNull(GraphQLString) } },
  });
  return createServer((req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => void (body += chunk.toString()));
    req.on('end', () => {
      const { variables } = JSON.parse(body) as { variables: { representations: readonly { id: string }[] } };
      const entities = variables.representations.map(({ id }) => ({ __typename: room.name, name: `the ${id}` }));
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ data: { _entities: entities } }));
    });
  });
}

describe.each(['ws', 'sse'] as const)('a hand-written subscription over %s upstream', (upstream) => {
  const folder = temporaryFolder();
  const rooms = roomsServer();
  let clock: Server;
  let millrace: Millrace;

  beforeAll(async () => {
    const schema = clockSchema();
    const sse = createSseHandler({ schema });
    clock = createServer((req, res) => {
      if (req.url?.startsWith('/stream')) return void sse(req, res);
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(execute({ schema, document: parse('{ clock }') })));
    });
    useServer({ schema }, new WebSocketServer({ server: clock, path: '/graphql' }));
    const [clockPort, roomsPort] = [await listen(clock), await listen(rooms)];
    millrace = await startMillrace({ data: folder.path });
    const token = await devToken('acme', 'anna');
    const response = await fetch(new URL('/schema/push-all', millrace.addresses.registry), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({
        services: [
          {
            name: 'clock',
            version: '1',
            type_defs: CLOCK_SDL,
            url: `http://127.0.0.1:${clockPort}/graphql`,
            subscription_url: upstream === 'ws' ? `ws://127.0.0.1:${clockPort}/graphql` : `http://127.0.0.1:${clockPort}/stream`,
          },
          { name: 'rooms', version: '1', type_defs: ROOMS_SDL, url: `http://127.0.0.1:${roomsPort}/graphql` },
        ],
      }),
    });
    expect(response.status, await response.clone().text()).toBe(200);
  });

  afterAll(async () => {
    await millrace?.stop();
    for (const server of [clock, rooms]) {
      server.closeAllConnections();
      server.close();
    }
    folder.remove();
  });

  test('every upstream event arrives in order, with what the other subgraph knows, and then the end', async () => {
    const inbox = new Inbox<unknown>();
    const client = wsClient(millrace.addresses, await devToken('acme', 'anna'));
    client.subscribe(
      { query: 'subscription($upTo: Int!) { ticks(upTo: $upTo) { n room { name } } }', variables: { upTo: 5 } },
      { next: (r) => inbox.push(r), error: (e) => inbox.push({ error: e }), complete: () => inbox.push('complete') },
    );
    await inbox.until((items) => items.at(-1) === 'complete');
    expect(inbox.items).toEqual([...[1, 2, 3, 4, 5].map((n) => ({ data: { ticks: { n, room: { name: `the room-${n}` } } } })), 'complete']);
    await client.dispose();
  });

  test('an upstream that goes away is an error of this subscription alone', async () => {
    const inbox = new Inbox<unknown>();
    const client = wsClient(millrace.addresses, await devToken('acme', 'anna'));
    clock.closeAllConnections();
    await new Promise<void>((resolve) => {
      clock.close(() => resolve());
      clock.closeAllConnections();
    });
    client.subscribe(
      { query: 'subscription { ticks(upTo: 1) { n } }' },
      { next: (r) => inbox.push(r), error: (e) => inbox.push({ error: e }), complete: () => inbox.push('complete') },
    );
    await inbox.until((items) => items.length > 0);
    expect(JSON.stringify(inbox.items[0])).toMatch(/"code":"[A-Z_]+"/);
    expect(JSON.stringify(inbox.items[0])).not.toContain('127.0.0.1');
    expect((await fetch(new URL('/health', millrace.addresses.admin))).status).toBe(200);
    await client.dispose();
  });
});
