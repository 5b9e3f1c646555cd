import fc from 'fast-check';
import { type GraphQLSchema, buildSchema, getNamedType, graphql, isCompositeType, isObjectType, isUnionType } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Random, seededRandom } from '../kit/random.ts';
import { type TestGraph, federated, testGraph } from './fixture.ts';

/**
 * Random operations over four subgraphs that answer in random order must give what one server with all the data gives: every
 * dependency that the plan compiler misses shows up as a missing field, every wrong merge as a wrong one.
 */
type Row = Record<string, unknown> & { readonly __typename: string; readonly id: string };

const USERS = new Map(
  ['u1', 'u2', 'u3'].map((id, i): [string, Row] => [
    id,
    { __typename: 'User', id, name: `Name ${id}`, bossId: i === 0 ? null : `u${i}`, rank: i * 3 },
  ]),
);
const STAGES = new Map(
  ['s1', 's2'].map((id, i): [string, Row] => [id, { __typename: 'Stage', id, name: `Stage ${id}`, order: i, leadId: `u${i + 2}` }]),
);
const DEALS = new Map(
  ['d1', 'd2', 'd3', 'd4'].map((id, i): [string, Row] => [
    id,
    {
      __typename: 'Deal',
      id,
      title: `Deal ${id}`,
      stageId: `s${(i % 2) + 1}`,
      ownerId: i === 3 ? null : `u${(i % 3) + 1}`,
      watcherIds: i % 2 ? ['u1', 'u3'] : [],
      aboutId: ['u2', 'd1', 's2', null][i],
    },
  ]),
);
const ALL = new Map([...USERS, ...STAGES, ...DEALS]);
const row = (id: unknown): Row => ALL.get(id as string) as Row;
const reference = (id: unknown): Row | null => (id === null ? null : ({ __typename: row(id).__typename, id } as Row));
const entity = ({ id }: { id: string }): Row => row(id);

const dealFields = {
  stage: (deal: Row) => reference(deal['stageId']),
  owner: (deal: Row) => reference(deal['ownerId']),
  watchers: (deal: Row) => (deal['watcherIds'] as string[]).map(reference),
  about: (deal: Row) => DEALS.get(deal['aboutId'] as string) ?? reference(deal['aboutId']),
};
const score = (deal: Row): number => (deal['title'] as string).length * 7;
const email = (user: Row, { upper }: { upper?: boolean }): string => (upper ? `${user.id}@X` : `${user.id}@x`);

const SUBGRAPHS = {
  deals: {
    sdl: federated(`type Query { deals: [Deal!]! deal(id: ID!): Deal things: [Thing!]! }
      union Thing = Deal | User | Stage
      type Deal @key(fields: "id") { id: ID! title: String! stage: Stage! owner: User watchers: [User!]! about: Thing }
      type User @key(fields: "id", resolvable: false) { id: ID! } type Stage @key(fields: "id", resolvable: false) { id: ID! }`),
    resolvers: {
      Query: {
        deals: () => [...DEALS.values()],
        deal: (_: never, { id }: { id: string }) => DEALS.get(id) ?? null,
        things: () => ['d1', 'u2', 's1', 'd4'].map((id) => DEALS.get(id) ?? reference(id)),
      },
      Deal: { __resolveReference: entity, ...dealFields },
    },
  },
  users: {
    sdl: federated(
      'type Query { users: [User!]! } type User @key(fields: "id") { id: ID! name: String! boss: User email(upper: Boolean): String }',
    ),
    resolvers: {
      Query: { users: () => [...USERS.values()] },
      User: { __resolveReference: entity, boss: (user: Row) => (user['bossId'] === null ? null : row(user['bossId'])), email },
    },
  },
  pipelines: {
    sdl: federated(
      'type Query { stages: [Stage!]! } type Stage @key(fields: "id") { id: ID! name: String! order: Int lead: User! } type User @key(fields: "id", resolvable: false) { id: ID! }',
    ),
    resolvers: {
      Query: { stages: () => [...STAGES.values()] },
      Stage: { __resolveReference: entity, lead: (stage: Row) => reference(stage['leadId']) },
    },
  },
  scores: {
    sdl: federated(
      'type Query { s: Int } type Deal @key(fields: "id") { id: ID! title: String! @external score: Int @requires(fields: "title") } type User @key(fields: "id") { id: ID! rank: Int best: Deal }',
    ),
    resolvers: {
      Deal: { __resolveReference: (deal: Row) => deal, score: (deal: Row) => score(deal) },
      User: { __resolveReference: entity, best: (user: Row) => reference(`d${user.id.slice(1)}`) },
    },
  },
};

const whole = buildSchema(`type Query { deals: [Deal!]! deal(id: ID!): Deal things: [Thing!]! users: [User!]! stages: [Stage!]! s: Int }
  union Thing = Deal | User | Stage
  type Deal { id: ID! title: String! stage: Stage! owner: User watchers: [User!]! about: Thing score: Int }
  type User { id: ID! name: String! boss: User email(upper: Boolean): String rank: Int best: Deal }
  type Stage { id: ID! name: String! order: Int lead: User! }`);
const root = {
  deals: () => [...DEALS.values()].map(link),
  deal: ({ id }: { id: string }) => link(DEALS.get(id)),
  users: () => [...USERS.values()].map(link),
  stages: () => [...STAGES.values()].map(link),
  things: () => ['d1', 'u2', 's1', 'd4'].map((id) => link(row(id))),
  s: () => null,
};

/** A row with its relations as functions, as graphql-js calls them. */
function link(of: Row | undefined | null): unknown {
  if (!of) return null;
  const to = (id: unknown) => (): unknown => (id === null ? null : link(row(id)));
  if (of.__typename === 'User')
    return { ...of, boss: to(of['bossId']), best: to(`d${of.id.slice(1)}`), email: (args: { upper?: boolean }) => email(of, args) };
  if (of.__typename === 'Stage') return { ...of, lead: to(of['leadId']) };
  const watchers = (): unknown => (of['watcherIds'] as string[]).map((id) => link(row(id)));
  return { ...of, stage: to(of['stageId']), owner: to(of['ownerId']), about: to(of['aboutId']), watchers, score: () => score(of) };
}

const pick = <T>(random: Random, items: readonly T[]): T => items[Math.floor(random.next() * items.length)] as T;

/** Fields of a type at random. Each key always names the same field with the same arguments, so that any two selections merge. */
function selection(schema: GraphQLSchema, typeName: string, depth: number, random: Random): string {
  const type = schema.getType(typeName);
  if (isUnionType(type))
    return `{ __typename ${type
      .getTypes()
      .filter(() => random.next() < 0.7)
      .map((member) => `... on ${member.name} ${selection(schema, member.name, depth, random)}`)
      .join(' ')} }`;
  if (!isObjectType(type)) throw new Error(typeName);
  const parts: string[] = [];
  for (let i = 0; i < 1 + random.next() * 4; i++) {
    const field = pick(random, Object.values(type.getFields()));
    const named = getNamedType(field.type);
    if (isCompositeType(named) && depth <= 0) continue;
    const upper = field.name === 'email' && random.next() < 0.5;
    const args = field.name === 'deal' ? '(id: "d2")' : upper ? '(upper: true)' : '';
    // Members of a union share response keys, which then must have one type: the alias tells the types apart.
    const alias = `${upper ? 'up' : pick(random, ['a', 'b'])}_${typeName}_${field.name}: `;
    const when = pick(random, ['', '', '', ' @include(if: $yes)', ' @skip(if: $yes)', ' @include(if: $no)', ' @skip(if: $no)']);
    const part = `${alias}${field.name}${args}${when}${isCompositeType(named) ? ` ${selection(schema, named.name, depth - 1, random)}` : ''}`;
    parts.push(
      random.next() < 0.2 ? `... on ${typeName}${pick(random, ['', ' @include(if: $yes)', ' @skip(if: $yes)'])} { ${part} }` : part,
    );
  }
  return `{ ${parts.length ? parts.join(' ') : '__typename'} }`;
}

describe('random operations over subgraphs in random order', () => {
  let graph: TestGraph;
  beforeAll(async () => {
    graph = await testGraph(SUBGRAPHS, { limits: { aliasesMax: 10_000, directivesMax: 10_000, rootFieldsMax: 1000 }, batchQueries: true });
  });
  afterAll(() => graph.close());

  it('give what one server gives', async () => {
    const execute = graph.client.execute.bind(graph.client);
    let order = seededRandom(1);
    // Some turns of the event loop at random: neighbours overtake each other, and a fetch that does not wait for what it reads finds nothing.
    const late = async (request: Parameters<typeof execute>[0]): ReturnType<typeof execute> => {
      const answer = await execute(request);
      for (let turns = Math.floor(order.next() * 4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      return answer;
    };
    Object.assign(graph.client, { execute: late });
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.boolean(), async (seed, yes) => {
        order = seededRandom(seed + 1);
        const source = `query($yes: Boolean!, $no: Boolean!) { keep: deals { id @include(if: $yes) @skip(if: $no) __typename } ${selection(whole, 'Query', 3, seededRandom(seed)).slice(1)}`;
        const variableValues = { yes, no: !yes };
        const expected = JSON.parse(JSON.stringify(await graphql({ schema: whole, source, rootValue: root, variableValues }))) as {
          errors?: unknown;
        };
        expect(expected.errors).toBeUndefined();
        const got = await graph.query(source, variableValues);
        expect(got, source).toEqual(expected);
        expect(JSON.stringify(got), `order of keys in ${source}`).toBe(JSON.stringify(expected));
      }),
      { numRuns: 200 },
    );
  });
});
