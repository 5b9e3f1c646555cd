/** The work of the gateway rows: three subgraphs, and a query that needs all three of them one after the other. */
const FEDERATION = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key"])\n';

export const SHOP_SDL: Readonly<Record<string, string>> = {
  products: `${FEDERATION}
type Query { topProducts(first: Int = 5): [Product!]! }
type Product @key(fields: "id") { id: ID! name: String! price: Int! }`,
  reviews: `${FEDERATION}
type Product @key(fields: "id") { id: ID! reviews: [Review!]! }
type Review { id: ID! body: String! stars: Int! author: User! }
type User @key(fields: "id") { id: ID! }`,
  users: `${FEDERATION}
type User @key(fields: "id") { id: ID! name: String! city: String! }`,
};

/** Five products, two reviews each, five authors: about 1.2 KB of answer. */
export const SHOP_QUERY =
  'query Shop($first: Int) { topProducts(first: $first) { id name price reviews { id body stars author { id name city } } } }';

export const SHOP_VARIABLES = { first: 5 };

type Entity = { readonly __typename: string; readonly id: string } & Readonly<Record<string, unknown>>;

export const product = (id: string): Entity => ({
  __typename: 'Product',
  id,
  name: `Product ${id} of the catalogue`,
  price: 100 * Number(id),
});

export const productWithReviews = (id: string): Entity => ({ __typename: 'Product', id, reviews: [review(id, 1), review(id, 2)] });

export const user = (id: string): Entity => ({ __typename: 'User', id, name: `Reviewer ${id}`, city: 'Göteborg' });

/** For the enrichment rows: what no event of a deal carries. */
export const SCORES_SDL = `${FEDERATION}
type Query { scores: Int }
type Deal @key(fields: "id") { id: ID! score: Int! }`;

export const dealScore = (id: string): Entity => ({ __typename: 'Deal', id, score: Number(id) % 100 });

function review(productId: string, nth: number): Entity {
  const author = { __typename: 'User', id: String((Number(productId) + nth) % 5) };
  return { __typename: 'Review', id: `${productId}-${nth}`, body: 'It does what it says on the tin.', stars: nth + 3, author };
}
