import { type Socket, createServer } from 'node:net';
import { type GraphQLSchema, buildSchema, graphql } from 'graphql';
import { dealScore, product, productWithReviews, user } from './shop.ts';

/**
 * The subgraphs of the gateway rows in one process, as cheap as Node can answer: raw sockets, and an answer that is made by executing the
 * request the first time and is ready bytes ever after. So the rows measure the gateway, and every gateway may send its own documents.
 */
const ENTITIES = 'scalar _Any\n';

type Reference = { readonly __typename: string; readonly id: string };
type Subgraph = { readonly schema: GraphQLSchema; readonly root: Readonly<Record<string, unknown>> };

const entities = (make: (id: string) => unknown) => ({
  _entities: ({ representations }: { representations: readonly Reference[] }) => representations.map(({ id }) => make(id)),
});

const SUBGRAPHS: Readonly<Record<string, Subgraph>> = {
  '/products': {
    schema: buildSchema(`${ENTITIES} union _Entity = Product
      type Query { topProducts(first: Int = 5): [Product!]! _entities(representations: [_Any!]!): [_Entity]! }
      type Product { id: ID! name: String! price: Int! }`),
    root: {
      topProducts: ({ first }: { first: number }) => Array.from({ length: first }, (_, i) => product(String(i + 1))),
      ...entities(product),
    },
  },
  '/reviews': {
    schema: buildSchema(`${ENTITIES} union _Entity = Product
      type Query { _entities(representations: [_Any!]!): [_Entity]! }
      type Product { id: ID! reviews: [Review!]! }
      type Review { id: ID! body: String! stars: Int! author: User! }
      type User { id: ID! }`),
    root: entities(productWithReviews),
  },
  '/scores': {
    schema: buildSchema(`${ENTITIES} union _Entity = Deal
      type Query { _entities(representations: [_Any!]!): [_Entity]! }
      type Deal { id: ID! score: Int! }`),
    root: entities(dealScore),
  },
  '/users': {
    schema: buildSchema(`${ENTITIES} union _Entity = User
      type Query { _entities(representations: [_Any!]!): [_Entity]! }
      type User { id: ID! name: String! city: String! }`),
    root: entities(user),
  },
};

/** By path and body. A run has a handful of different ones. */
const ready = new Map<string, Buffer>();
const KEPT = 10_000;
let requests = 0;

async function answer(path: string, body: string): Promise<Buffer> {
  const subgraph = SUBGRAPHS[path];
  if (!subgraph) return http(404, '{"errors":[{"message":"no such subgraph"}]}');
  const { query, variables, operationName } = JSON.parse(body) as {
    query: string;
    variables?: Record<string, unknown>;
    operationName?: string;
  };
  const result = await graphql({
    schema: subgraph.schema,
    source: query,
    rootValue: subgraph.root,
    variableValues: variables ?? {},
    operationName: operationName ?? null,
  });
  return http(200, JSON.stringify(result));
}

function http(status: number, text: string): Buffer {
  return Buffer.from(
    `HTTP/1.1 ${status} OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}

/** One request at a time on a connection, as HTTP/1.1 clients without pipelining send them. */
function serve(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  let waiting = '';
  socket.on('data', (chunk) => {
    waiting = waiting === '' ? chunk.toString('latin1') : waiting + chunk.toString('latin1');
    const request = read(waiting);
    if (request === null) return;
    waiting = '';
    requests += 1;
    const { path, body } = request;
    if (path === '/count') return void socket.write(http(200, String(requests)));
    const key = path + body;
    const known = ready.get(key);
    if (known) return void socket.write(known);
    void answer(path, Buffer.from(body, 'latin1').toString()).then((made) => {
      if (ready.size < KEPT) ready.set(key, made);
      socket.write(made);
    });
  });
}

const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;

type Request = { readonly path: string; readonly body: string };

/** Null until it is whole. */
function read(text: string): Request | null {
  const head = text.indexOf('\r\n\r\n');
  if (head < 0) return null;
  const headers = text.slice(0, head);
  const path = text.slice(text.indexOf(' ') + 1, text.indexOf(' ', 6));
  const length = LENGTH.exec(headers);
  if (!length && CHUNKED.test(headers)) return text.endsWith('\r\n0\r\n\r\n') ? { path, body: unchunked(text, head + 4) } : null;
  const end = head + 4 + Number(length?.[1] ?? 0);
  return text.length < end ? null : { path, body: text.slice(head + 4, end) };
}

function unchunked(text: string, start: number): string {
  let body = '';
  for (let at = start; ;) {
    const line = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, line), 16);
    if (!(size > 0)) return body;
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}

const server = createServer(serve);
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
