import { type FieldDefinitionNode, Kind, parse, print } from 'graphql';
import { afterEach, describe, expect, it } from 'vitest';
import { type TestGraph, type TestSubgraph, composed, federated, testGraph } from './fixture.ts';
import { repairSupergraph } from './supergraph-repair.ts';

let graph: TestGraph | null = null;
afterEach(async () => {
  await graph?.close();
  graph = null;
});

async function answer(subgraphs: Readonly<Record<string, TestSubgraph>>, query: string): Promise<unknown> {
  graph = await testGraph(subgraphs);
  return graph.query(query);
}

function fieldOf(subgraphs: Readonly<Record<string, string>>, type: string, name: string): FieldDefinitionNode {
  const { supergraphSdl } = composed(
    Object.fromEntries(Object.entries(subgraphs).map(([key, sdl]) => [key, { sdl: federated(sdl), resolvers: {} }])),
  );
  for (const definition of parse(supergraphSdl).definitions) {
    if (
      (definition.kind !== Kind.OBJECT_TYPE_DEFINITION && definition.kind !== Kind.INTERFACE_TYPE_DEFINITION) ||
      definition.name.value !== type
    )
      continue;
    const field = definition.fields?.find((candidate) => candidate.name.value === name);
    if (field) return field;
  }
  throw new Error(`no ${type}.${name}`);
}

describe('a field that is wider in one subgraph than in another', () => {
  const trains = 'type Train @shareable { number: Int }';
  const any = `union Vehicle = Train | Tram ${trains} type Tram @shareable { line: String }`;

  it.each([
    [
      'the narrow one comes first',
      { a: `type Query { next: Train @shareable } ${trains}`, b: `type Query { next: Vehicle @shareable } ${any}` },
      'Vehicle',
    ],
    [
      'the wide one comes first',
      { a: `type Query { next: Vehicle @shareable } ${any}`, b: `type Query { next: Train @shareable } ${trains}` },
      'Vehicle',
    ],
    [
      'both are lists',
      { a: `type Query { next: [Train!] @shareable } ${trains}`, b: `type Query { next: [Vehicle] @shareable } ${any}` },
      '[Vehicle]',
    ],
  ])('has the wider type where %s', (_case, subgraphs, type) => {
    expect(print(fieldOf(subgraphs, 'Query', 'next').type)).toBe(type);
  });

  it('says of each subgraph which type it has there', () => {
    const field = fieldOf(
      { a: `type Query { next: Train @shareable } ${trains}`, b: `type Query { next: Vehicle @shareable } ${any}` },
      'Query',
      'next',
    );
    expect(field.directives?.map((directive) => print(directive))).toEqual([
      '@join__field(graph: A, type: "Train")',
      '@join__field(graph: B, type: "Vehicle")',
    ]);
  });

  it('may be an interface', () => {
    const shapes = 'interface Shape { id: ID } type Circle implements Shape @shareable { id: ID }';
    const subgraphs = {
      a: `type Query { shape: Circle @shareable } ${shapes}`,
      b: `type Query { shape: Shape @shareable } ${shapes} type Square implements Shape @shareable { id: ID }`,
    };
    expect(print(fieldOf(subgraphs, 'Query', 'shape').type)).toBe('Shape');
  });

  it('can be asked for every member', async () => {
    const station = { __typename: 'Train', number: 7 };
    const query = '{ next { __typename ... on Train { number } ... on Tram { line } } }';
    expect(
      await answer(
        {
          a: { sdl: federated(`type Query { next: Train @shareable } ${trains}`), resolvers: { Query: { next: () => station } } },
          b: { sdl: federated(`type Query { next: Vehicle @shareable } ${any}`), resolvers: { Query: { next: () => station } } },
        },
        query,
      ),
    ).toEqual({ data: { next: { __typename: 'Train', number: 7 } } });
  });
});

describe('a field that an interface object takes from elsewhere', () => {
  const owner =
    'type Query { shelf: [Item!]! } interface Item @key(fields: "id") { id: ID! label: String } type Jar implements Item @key(fields: "id") { id: ID! label: String }';
  const guest =
    'type Query { basket: [Item!]! } type Item @key(fields: "id") @interfaceObject { id: ID! label: String @external print: String @requires(fields: "label") }';

  it('is marked external, and not asked of the interface object', () => {
    expect(fieldOf({ owner, guest }, 'Item', 'label').directives?.map((directive) => print(directive))).toEqual([
      '@join__field(graph: GUEST, external: true)',
      '@join__field(graph: OWNER)',
    ]);
  });

  it('is left as it is where it is a key', () => {
    expect(fieldOf({ owner, guest: guest.replace('id: ID!', 'id: ID! @external') }, 'Item', 'id').directives).toEqual([]);
  });
});

it('leaves a supergraph without such fields as it was composed, byte for byte', () => {
  const sdl = federated('"What is asked" type Query { a: Int @shareable } type T @key(fields: "id") { id: ID! }');
  const before = composed({ a: { sdl, resolvers: {} }, b: { sdl, resolvers: {} } }).supergraphSdl;
  expect(
    repairSupergraph(
      before,
      ['a', 'b'].map((name) => ({ name, document: parse(sdl) })),
    ),
  ).toBe(before);
});
