import { afterEach, describe, expect, it } from 'vitest';
import { type TestGraph, composed, federated, testGraph } from './fixture.ts';
import { plannerNames } from './planner-names.ts';

const OWNER = federated(
  'type Query { pets: [Pet!]! } interface Pet @key(fields: "id") { id: ID! name: String } type Cat implements Pet @key(fields: "id") { id: ID! name: String lives: Int }',
);
const GUEST = federated('type Query { boarders: [Pet!]! } type Pet @key(fields: "id") @interfaceObject { id: ID! cage: Int }');
const cat = { __typename: 'Cat', id: 'c1', name: 'Tom', lives: 9 };

let graph: TestGraph | null = null;
afterEach(async () => {
  await graph?.close();
  graph = null;
});

describe('an interface object', () => {
  it.each([
    ['a', 'b'],
    ['b', 'a'],
  ])('leads to the types behind the interface where it is in "%s" and the interface in "%s"', async (guest, owner) => {
    graph = await testGraph({
      [guest]: { sdl: GUEST, resolvers: { Query: { boarders: () => [{ id: 'c1', cage: 4 }] } } },
      [owner]: { sdl: OWNER, resolvers: { Query: { pets: () => [cat] } } },
    });
    const { client } = graph;
    client.intercept = (request) => {
      // The fixture resolves entities of object types only; the interface's own answer is given here.
      if (!request.operation.query.includes('_entities') || request.operation.subgraph !== owner) return null;
      return Promise.resolve({ data: { _entities: [cat] } });
    };
    expect(await graph.query('{ boarders { id ... on Cat { lives } } }')).toEqual({ data: { boarders: [{ id: 'c1', lives: 9 }] } });
    expect(client.requests.map((request) => request.operation.subgraph)).toEqual([guest, owner]);
  });
});

it('leaves names alone where their order does no harm', () => {
  const { supergraphSdl } = composed({ a: { sdl: OWNER, resolvers: {} }, b: { sdl: GUEST, resolvers: {} } });
  expect(plannerNames(supergraphSdl).supergraphSdl).toBe(supergraphSdl);
});
