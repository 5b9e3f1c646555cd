import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema, graphql } from 'graphql';
import { product, productWithReviews, SHOP_QUERY, SHOP_VARIABLES, user } from '../shop/shop.ts';

/**
 * No gateway at all: `node:http` reads the request whole and answers with ready bytes, those of the shop's query. What a gateway that is
 * built on it cannot fall below, however little it does itself.
 */
const schema = buildSchema(`
type Query { topProducts(first: Int = 5): [Product!]! }
type Product { id: ID! name: String! price: Int! reviews: [Review!]! }
type Review { id: ID! body: String! stars: Int! author: User! }
type User { id: ID! name: String! city: String! }`);

function topProducts({ first }: { readonly first: number }) {
  return Array.from({ length: first }, (_, i) => {
    const { reviews } = productWithReviews(String(i + 1)) as unknown as { reviews: readonly { author: { id: string } }[] };
    return { ...product(String(i + 1)), reviews: reviews.map((review) => ({ ...review, author: user(review.author.id) })) };
  });
}

const answered = await graphql({ schema, source: SHOP_QUERY, rootValue: { topProducts }, variableValues: SHOP_VARIABLES });
if (answered.errors) throw answered.errors[0]!;
const text = JSON.stringify(answered);
const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) };

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => void chunks.push(chunk));
  req.on('end', () => res.writeHead(200, headers).end(text));
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ ready: true, graphql: `http://127.0.0.1:${port}/graphql` })}\n`);
});
process.on('SIGTERM', () => process.exit(0));
