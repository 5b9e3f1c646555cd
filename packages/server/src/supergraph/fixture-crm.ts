import { federated } from './fixture.ts';

/** Deals, stages and users in three subgraphs, deals live. Only tests import this. */
const LIVE_LINK = 'extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])\n';

const DEALS = [
  { id: 'd1', title: 'Harbour crane', stageId: 's1', ownerId: 'u1' },
  { id: 'd2', title: 'Night ferry', stageId: 's2', ownerId: null },
];
const STAGES = new Map([
  ['s1', 'Open'],
  ['s2', 'Won'],
]);

export const CRM = {
  deals: {
    sdl:
      LIVE_LINK +
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
