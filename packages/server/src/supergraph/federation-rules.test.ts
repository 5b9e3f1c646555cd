import { afterEach, describe, expect, it } from 'vitest';
import { type TestGraph, type TestSubgraph, federated, testGraph } from './fixture.ts';

/** One graph for each rule of federation that an executor can get wrong although the plan is right. */
let graph: TestGraph | null = null;
afterEach(async () => {
  await graph?.close();
  graph = null;
});

async function answers(subgraphs: Readonly<Record<string, TestSubgraph>>, query: string, variables = {}): Promise<unknown> {
  graph = await testGraph(subgraphs);
  return graph.query(query, variables);
}

type Id = { readonly id: string };

describe('required fields', () => {
  const shop = {
    catalogue: {
      sdl: federated(
        'type Query { products: [Product!]! } type Product @key(fields: "id") { id: ID! price(currency: String!): Int weight: Int }',
      ),
      resolvers: {
        Query: { products: () => [{ id: 'p1' }, { id: 'p2' }] },
        Product: {
          price: ({ id }: Id, { currency }: { currency: string }) => (id === 'p1' ? 100 : 200) * (currency === 'EUR' ? 1 : 2),
          weight: ({ id }: Id) => (id === 'p1' ? 3 : null),
        },
      },
    },
    shipping: {
      sdl: federated(`type Query { s: Int } type Product @key(fields: "id") {
        id: ID! price(currency: String!): Int @external weight: Int @external
        estimate: Int @requires(fields: "price(currency: \\"EUR\\") weight")
        estimateUsd: Int @requires(fields: "price(currency: \\"USD\\") weight") }`),
      resolvers: {
        Product: {
          __resolveReference: (representation: object) => representation,
          estimate: (product: { price?: number; weight?: number }) => (product.price ?? 0) + (product.weight ?? 0),
          estimateUsd: (product: { price?: number; weight?: number }) => (product.price ?? 0) + (product.weight ?? 0),
        },
      },
    },
  };

  it('are sent under the name that the subgraph knows, though conflicting arguments alias them in the response', async () => {
    expect(await answers(shop, '{ products { estimate price(currency: "GBP") estimateUsd } }')).toEqual({
      data: {
        products: [
          { estimate: 103, price: 200, estimateUsd: 203 },
          { estimate: 200, price: 400, estimateUsd: 400 },
        ],
      },
    });
  });

  it('may stand under an alias of the client', async () => {
    expect(await answers(shop, '{ products { weight: estimate w: weight } }')).toEqual({
      data: {
        products: [
          { weight: 103, w: 3 },
          { weight: 200, w: null },
        ],
      },
    });
  });
});

describe('keys', () => {
  const books = {
    library: {
      sdl: federated(
        'type Query { shelves: [Shelf!]! } type Shelf { book: Book } type Book @key(fields: "upc", resolvable: false) { upc: ID! }',
      ),
      resolvers: { Query: { shelves: () => [{ book: { upc: 'b1' } }, { book: null }, { book: { upc: 'b3' } }, { book: { upc: 'b1' } }] } },
    },
    bridge: {
      sdl: federated('type Query { x: Int } type Book @key(fields: "upc") @key(fields: "id") { upc: ID! id: ID }'),
      resolvers: { Book: { __resolveReference: ({ upc }: { upc: string }) => ({ upc, id: upc === 'b3' ? null : `id-${upc}` }) } },
    },
    authors: {
      sdl: federated('type Query { y: Int } type Book @key(fields: "id") { id: ID author: String }'),
      resolvers: { Book: { __resolveReference: ({ id }: Id) => ({ id, author: `author of ${id}` }) } },
    },
  };

  it('that are null are not asked for, and an entity that stands in several places is asked for once', async () => {
    expect(await answers(books, '{ shelves { book { upc author } } }')).toEqual({
      data: {
        shelves: [
          { book: { upc: 'b1', author: 'author of id-b1' } },
          { book: null },
          { book: { upc: 'b3', author: null } },
          { book: { upc: 'b1', author: 'author of id-b1' } },
        ],
      },
    });
    const asked = graph?.client.requests
      .filter((request) => request.operation.subgraph === 'authors')
      .map((request) => JSON.parse(request.variables) as object);
    expect(asked).toEqual([{ representations: [{ __typename: 'Book', id: 'id-b1' }] }]);
  });

  it('may be composite and nested', async () => {
    const subgraphs = {
      a: {
        sdl: federated(
          'type Query { seat: Seat } type Seat @key(fields: "row hall { id }") { row: Int! hall: Hall! } type Hall { id: ID! @shareable }',
        ),
        resolvers: { Query: { seat: () => ({ row: 7, hall: { id: 'h1' } }) } },
      },
      b: {
        sdl: federated(
          'type Query { b: Int } type Seat @key(fields: "row hall { id }") { row: Int! hall: Hall! price: Int } type Hall { id: ID! @shareable }',
        ),
        resolvers: {
          Seat: { __resolveReference: (seat: { row: number; hall: Id }) => ({ ...seat, price: seat.row * 10 + seat.hall.id.length }) },
        },
      },
    };
    expect(await answers(subgraphs, '{ seat { price } }')).toEqual({ data: { seat: { price: 72 } } });
  });
});

describe('abstract types', () => {
  const media = {
    a: {
      sdl: federated(
        'type Query { media: [Media!]! one: Media } union Media = Book | Song type Book @key(fields: "id") { id: ID! title: String } type Song @key(fields: "id") { id: ID! }',
      ),
      resolvers: {
        Query: {
          media: () => [
            { __typename: 'Book', id: 'b1', title: 'Emma' },
            { __typename: 'Song', id: 's1' },
          ],
          one: () => ({ __typename: 'Song', id: 's1' }),
        },
      },
    },
    b: {
      sdl: federated(
        'type Query { b: Int } type Song @key(fields: "id") { id: ID! length: Int } type Book @key(fields: "id") { id: ID! pages: Int }',
      ),
      resolvers: {
        Song: { __resolveReference: ({ id }: Id) => ({ id, length: 3 }) },
        Book: { __resolveReference: ({ id }: Id) => ({ id, pages: 300 }) },
      },
    },
  };

  it('give the fields of the fragments that fit', async () => {
    expect(
      await answers(media, '{ media { __typename ... on Song { length } ... on Book { title pages } } one { ... on Book { title } } }'),
    ).toEqual({
      data: {
        media: [
          { __typename: 'Book', title: 'Emma', pages: 300 },
          { __typename: 'Song', length: 3 },
        ],
        one: {},
      },
    });
  });

  it('leave out types that clients may not see, without a word', async () => {
    const hidden = {
      a: {
        sdl: federated(
          'type Query { media: [Media] } union Media = Book | Draft type Book { title: String } type Draft @inaccessible { secret: String }',
        ),
        resolvers: {
          Query: {
            media: () => [
              { __typename: 'Draft', secret: 'x' },
              { __typename: 'Book', title: 'Emma' },
            ],
          },
        },
      },
    };
    expect(await answers(hidden, '{ media { ... on Book { title } } }')).toEqual({ data: { media: [null, { title: 'Emma' }] } });
  });

  it('take an @interfaceObject, which knows only the interface’s name', async () => {
    const nodes = {
      a: {
        sdl: federated(
          'type Query { users: [Named!]! } interface Named @key(fields: "id") { id: ID! name: String! } type User implements Named @key(fields: "id") { id: ID! name: String! age: Int }',
        ),
        resolvers: {
          Query: { users: () => [{ __typename: 'User', id: 'u1', name: 'Ada', age: 36 }] },
          User: { __resolveReference: ({ id }: Id) => ({ id, name: 'Ada', age: 36 }) },
        },
      },
      b: {
        sdl: federated('type Query { others: [Named!]! } type Named @key(fields: "id") @interfaceObject { id: ID! handle: String! }'),
        resolvers: {
          Query: { others: () => [{ id: 'u1', handle: 'ada' }] },
          Named: { __resolveReference: ({ id }: Id) => ({ id, handle: `@${id}` }) },
        },
      },
    };
    // The interface itself is an entity of subgraph a.
    const answered = await answers(nodes, '{ users { handle ... on User { age } } others { id handle } }');
    expect(answered).toEqual({ data: { users: [{ handle: '@u1', age: 36 }], others: [{ id: 'u1', handle: 'ada' }] } });
  });
});

describe('visibility and ownership', () => {
  it('gives null for an enum value that clients may not see, without a word', async () => {
    const subgraphs = {
      a: {
        sdl: federated('type Query { kinds: [Kind] } enum Kind { OPEN SECRET @inaccessible }'),
        resolvers: { Query: { kinds: () => ['OPEN', 'SECRET'] } },
      },
    };
    expect(await answers(subgraphs, '{ kinds }')).toEqual({ data: { kinds: ['OPEN', null] } });
    expect(await graph?.query('{ __type(name: "Kind") { enumValues { name } } }')).toEqual({
      data: { __type: { enumValues: [{ name: 'OPEN' }] } },
    });
  });

  it('asks the subgraph that overrides', async () => {
    const subgraphs = {
      a: {
        sdl: federated('type Query { post: Post } type Post @key(fields: "id") { id: ID! at: String }'),
        resolvers: { Query: { post: () => ({ id: '1', at: 'old' }) }, Post: { __resolveReference: ({ id }: Id) => ({ id, at: 'old' }) } },
      },
      b: {
        sdl: federated('type Query { b: Int } type Post @key(fields: "id") { id: ID! at: String @override(from: "a") }'),
        resolvers: { Post: { __resolveReference: ({ id }: Id) => ({ id, at: 'new' }) } },
      },
    };
    expect(await answers(subgraphs, '{ post { at } }')).toEqual({ data: { post: { at: 'new' } } });
  });

  it('takes provided fields from the provider', async () => {
    const subgraphs = {
      a: {
        sdl: federated(`type Query { products: [Product] @provides(fields: "categories { id name }") }
          type Product @key(fields: "id") { id: ID! categories: [Category] @external } type Category @key(fields: "id") { id: ID! name: String @external }`),
        resolvers: { Query: { products: () => [{ id: 'p1', categories: [{ id: 'c1', name: 'provided' }] }] } },
      },
      b: {
        sdl: federated(
          'type Query { b: Int } type Product @key(fields: "id") { id: ID! categories: [Category] } type Category @key(fields: "id") { id: ID! name: String }',
        ),
        resolvers: { Product: { __resolveReference: () => null }, Category: { __resolveReference: () => null } },
      },
    };
    expect(await answers(subgraphs, '{ products { id categories { id name } } }')).toEqual({
      data: { products: [{ id: 'p1', categories: [{ id: 'c1', name: 'provided' }] }] },
    });
  });

  it('puts a shared root type together from both', async () => {
    const subgraphs = {
      a: {
        sdl: federated('type Query { me: Me @shareable } type Me { name: Name @shareable } type Name { first: String }'),
        resolvers: { Query: { me: () => ({ name: { first: 'Ada' } }) } },
      },
      b: {
        sdl: federated('type Query { me: Me @shareable } type Me { name: Name @shareable } type Name { last: String }'),
        resolvers: { Query: { me: () => ({ name: { last: 'L.' } }) } },
      },
    };
    expect(await answers(subgraphs, '{ me { name { last first } } }')).toEqual({ data: { me: { name: { last: 'L.', first: 'Ada' } } } });
  });
});

describe('order and conditions', () => {
  it('runs mutations one after another, each with its enrichment', async () => {
    const log: string[] = [];
    const step = async (name: string): Promise<{ id: string }> => {
      log.push(`start ${name}`);
      await new Promise((resolve) => setImmediate(resolve));
      log.push(`end ${name}`);
      return { id: name };
    };
    const subgraphs = {
      a: {
        sdl: federated('type Query { a: Int } type Mutation { one: Item three: Item } type Item @key(fields: "id") { id: ID! }'),
        resolvers: { Mutation: { one: () => step('one'), three: () => step('three') } },
      },
      b: {
        sdl: federated('type Query { b: Int } type Mutation { two: Item } type Item @key(fields: "id") { id: ID! name: String }'),
        resolvers: {
          Mutation: { two: () => step('two') },
          Item: { name: ({ id }: Id) => `name of ${id}`, __resolveReference: (item: object) => item },
        },
      },
    };
    expect(await answers(subgraphs, 'mutation { one { name } two { name } three { id } }')).toEqual({
      data: { one: { name: 'name of one' }, two: { name: 'name of two' }, three: { id: 'three' } },
    });
    expect(log).toEqual(['start one', 'end one', 'start two', 'end two', 'start three', 'end three']);
  });

  const conditional = {
    a: {
      sdl: federated(
        'type Query { item: Item } type Item @key(fields: "id") { id: ID! stage: Stage other: Stage } type Stage @key(fields: "id", resolvable: false) { id: ID! }',
      ),
      resolvers: { Query: { item: () => ({ id: 'i', stage: { id: 's' }, other: { id: 'o' } }) } },
    },
    b: {
      sdl: federated('type Query { b: Int } type Stage @key(fields: "id") { id: ID! name: String }'),
      resolvers: { Stage: { __resolveReference: ({ id }: Id) => ({ id, name: `stage ${id}` }) } },
    },
  };
  const document = `query($x: Boolean!, $y: Boolean! = false) {
    item { ...F @include(if: $x) stage @skip(if: $y) { id } other @include(if: $y) { name } never: stage @include(if: false) { name } id @skip(if: false) }
  } fragment F on Item { stage { name } }`;

  it.each([
    [{ x: true }, { stage: { name: 'stage s', id: 's' }, id: 'i' }],
    [{ x: false }, { stage: { id: 's' }, id: 'i' }],
    [
      { x: false, y: true },
      { other: { name: 'stage o' }, id: 'i' },
    ],
    [
      { x: true, y: true },
      { stage: { name: 'stage s' }, other: { name: 'stage o' }, id: 'i' },
    ],
  ])('includes and skips with %j', async (variables, item) => {
    expect(await answers(conditional, document, variables)).toEqual({ data: { item } });
  });

  it('finds a field that stands twice, once under a condition, which the planner loses', async () => {
    const query =
      'query($x: Boolean!, $y: Boolean!) { item { stage { ... on Stage @include(if: $x) { k: id } name @include(if: $y) k: id } } }';
    for (const [x, y] of [
      [true, true],
      [true, false],
      [false, true],
      [false, false],
    ]) {
      const result = await answers(conditional, query, { x, y });
      expect(result).toEqual({ data: { item: { stage: { k: 's', ...(y ? { name: 'stage s' } : {}) } } } });
      await graph?.close();
      graph = null;
    }
  });

  it('asks nobody for what is skipped', async () => {
    await answers(conditional, 'query($x: Boolean!) { item { id stage @include(if: $x) { name } } }', { x: false });
    expect(graph?.client.requests.map((request) => request.operation.subgraph)).toEqual(['a']);
  });

  it('starts a fetch when what it reads is there, not when its neighbours are done', async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const subgraphs = {
      a: {
        sdl: federated(
          'type Query { item: Item } type Item @key(fields: "id") { id: ID! fast: Fast slow: Slow } type Fast @key(fields: "id", resolvable: false) { id: ID! } type Slow @key(fields: "id", resolvable: false) { id: ID! }',
        ),
        resolvers: { Query: { item: () => ({ id: 'i', fast: { id: 'f' }, slow: { id: 's' } }) } },
      },
      slow: {
        sdl: federated('type Query { s: Int } type Slow @key(fields: "id") { id: ID! name: String }'),
        resolvers: { Slow: { __resolveReference: async ({ id }: Id) => (await held, { id, name: 'slow' }) } },
      },
      fast: {
        sdl: federated(
          'type Query { f: Int } type Fast @key(fields: "id") { id: ID! next: Next } type Next @key(fields: "id", resolvable: false) { id: ID! }',
        ),
        resolvers: { Fast: { __resolveReference: ({ id }: Id) => ({ id, next: { id: 'n' } }) } },
      },
      last: {
        sdl: federated('type Query { l: Int } type Next @key(fields: "id") { id: ID! name: String }'),
        // The slow one is released only by the last step of the fast chain: with a barrier between them this would never end.
        resolvers: { Next: { __resolveReference: ({ id }: Id) => (release(), { id, name: 'next' }) } },
      },
    };
    expect(await answers(subgraphs, '{ item { slow { name } fast { next { name } } } }')).toEqual({
      data: { item: { slow: { name: 'slow' }, fast: { next: { name: 'next' } } } },
    });
  });
});
