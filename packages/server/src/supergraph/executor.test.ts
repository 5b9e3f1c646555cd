import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestGraph, federated, testCall, testGraph } from './fixture.ts';

const LIVE = 'extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])\n';

const DEALS = [
  { id: 'd1', title: 'Harbour crane', stageId: 's1', ownerId: 'u1' },
  { id: 'd2', title: 'Night ferry', stageId: 's2', ownerId: null },
];
const STAGES = new Map([['s1', 'Open'], ['s2', 'Won']]);

export const CRM = {
  deals: {
    sdl:
      LIVE +
      federated(`type Query { deals: [Deal!]! deal(id: ID!): Deal }
      type Mutation { rename(id: ID!, title: String!): Deal }
      type Deal @key(fields: "id") @live(topic: "crm.deals", tenant: "company_id") {
        id: ID!
        title: String! @carried
        stageId: ID! @carried(path: "stage_id") @filterable
        stage: Stage!
        owner: User
      }
      type Stage @key(fields: "id", resolvable: false) { id: ID! }
      type User @key(fields: "id", resolvable: false) { id: ID! }`),
    resolvers: {
      Query: { deals: () => DEALS, deal: (_: never, { id }: { id: string }) => DEALS.find((deal) => deal.id === id) ?? null },
      Deal: {
        __resolveReference: ({ id }: { id: string }) => DEALS.find((deal) => deal.id === id) ?? null,
        stage: (deal: { stageId: string }) => ({ id: deal.stageId }),
        owner: (deal: { ownerId: string | null }) => (deal.ownerId === null ? null : { id: deal.ownerId }),
      },
    },
  },
  pipelines: {
    sdl: federated('type Query { stages: [Stage!]! } type Stage @key(fields: "id") { id: ID! name: String! }'),
    resolvers: {
      Query: { stages: () => [...STAGES].map(([id, name]) => ({ id, name })) },
      Stage: { __resolveReference: ({ id }: { id: string }) => (STAGES.has(id) ? { id, name: STAGES.get(id) } : null) },
    },
  },
  users: {
    sdl: federated('type Query { users: [User!]! } type User @key(fields: "id") { id: ID! name: String! email: String }'),
    resolvers: {
      Query: { users: () => [{ id: 'u1', name: 'Ada' }] },
      User: { __resolveReference: ({ id }: { id: string }) => ({ id, name: `name of ${id}`, email: null }) },
    },
  },
};

describe('queries over several subgraphs', () => {
  let graph: TestGraph;
  beforeAll(async () => {
    graph = await testGraph(CRM);
  });
  afterAll(() => graph.close());

  it('answers in the order of the selection, whatever the order of the fetches', async () => {
    const result = await graph.query('{ users { name } deals { owner { email name } stage { name id } title } }');
    expect(JSON.stringify(result)).toBe(
      JSON.stringify({
        data: {
          users: [{ name: 'Ada' }],
          deals: [
            { owner: { email: null, name: 'name of u1' }, stage: { name: 'Open', id: 's1' }, title: 'Harbour crane' },
            { owner: null, stage: { name: 'Won', id: 's2' }, title: 'Night ferry' },
          ],
        },
      }),
    );
  });

  it('answers __typename and introspection beside data', async () => {
    expect(await graph.query('{ __typename __schema { queryType { name } } deal(id: "d2") { __typename title } }')).toEqual({
      data: { __typename: 'Query', __schema: { queryType: { name: 'Query' } }, deal: { __typename: 'Deal', title: 'Night ferry' } },
    });
  });

  it('shapes an event without asking anybody, and with enrichment', async () => {
    const prepared = await graph.generation.prepare({ query: 'subscription { e: dealEvent { action id raw deal { t: title stage { name } } cursor } }', operationName: null });
    if (prepared.kind !== 'operation' || prepared.operation.subscription?.kind !== 'live') throw new Error(JSON.stringify(prepared));
    const plan = prepared.operation.subscription;
    const source = {
      cursor: 'c1', action: 'CHANGED', id: 'd1', at: '2026-01-01T00:00:00Z', raw: '{"id":"d1","n":1.50}', delta: null, missed: null,
      entity: { __typename: 'Deal', id: 'd1', title: 'Crane', stageId: 's1' },
    } as const;
    expect(plan.enriches({})).toBe(true);
    expect((await plan.enrich(source, testCall())).text).toBe(
      '{"data":{"e":{"action":"CHANGED","id":"d1","raw":{"id":"d1","n":1.50},"deal":{"t":"Crane","stage":{"name":"Open"}},"cursor":"c1"}}',
    );
    expect((await plan.enrich({ ...source, action: 'DELETED' }, testCall())).text).toBe(
      '{"data":{"e":{"action":"DELETED","id":"d1","raw":{"id":"d1","n":1.50},"deal":{"t":"Crane","stage":null},"cursor":"c1"}}',
    );
  });
});
