import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../kit/errors.ts';
import { supergraphErrors } from './errors.ts';
import { CRM } from './fixture-crm.ts';
import { type TestGraph, federated, testCall, testGraph } from './fixture.ts';
import type { ExecutionText, LiveSource, SubscriptionPlan } from './generation.ts';

const STREAM = 'extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])\n';
const JOBS = {
  sdl: `${STREAM}type Query { j: Int } enum Speed { FAST SLOW }
    type Job @live(topic: "jobs", tenant: "t") { done: Int! @carried @filterable tags: [String!] @carried speed: Speed @carried }`,
  resolvers: {},
};

let graph: TestGraph;
beforeAll(async () => {
  graph = await testGraph({
    ...CRM,
    jobs: JOBS,
    ticks: {
      sdl: federated('type Query { t: Int } type Subscription { tick: Deal } type Deal @key(fields: "id", resolvable: false) { id: ID! }'),
      resolvers: {},
    },
  });
});
afterAll(() => graph.close());
afterEach(() => {
  graph.client.intercept = null;
  graph.client.requests.length = 0;
});

async function planOf(query: string): Promise<SubscriptionPlan> {
  const prepared = await graph.generation.prepare({ query, operationName: null });
  if (prepared.kind === 'invalid') throw new Error(prepared.errors.map((error) => error.message).join());
  if (!prepared.operation.subscription) throw new Error('not a subscription');
  return prepared.operation.subscription;
}

async function livePlan(query: string): Promise<SubscriptionPlan & { kind: 'live' }> {
  const plan = await planOf(query);
  if (plan.kind !== 'live') throw new Error('not live');
  return plan;
}

function event(part: Partial<LiveSource> = {}): LiveSource {
  return {
    cursor: 'c"1',
    action: 'CHANGED',
    id: 'd1',
    at: '2026-01-01T00:00:00Z',
    raw: '{"id":"d1","big":12345678901234567890}',
    delta: '{"title":"Crane"}',
    missed: null,
    entity: { __typename: 'Deal', id: 'd1', title: 'Crane', stageId: 's1' },
    ...part,
  };
}

const read = (text: ExecutionText): unknown => JSON.parse(`${text.text}}`);

describe('an event of a live type', () => {
  it('is put together from the event alone where the selection needs nobody else', async () => {
    const plan = await livePlan(
      'subscription { e: dealEvent { __typename cursor action id at raw delta missed d: deal { __typename t: title stageId id } } }',
    );
    expect(plan).toMatchObject({ field: 'dealEvent', responseKey: 'e' });
    expect(plan.liveType.name).toBe('Deal');
    expect(plan.enriches({})).toBe(false);
    expect(plan.complete(event(), {})).toEqual({
      errors: 0,
      text:
        '{"data":{"e":{"__typename":"DealEvent","cursor":"c\\"1","action":"CHANGED","id":"d1","at":"2026-01-01T00:00:00Z",' +
        '"raw":{"id":"d1","big":12345678901234567890},"delta":{"title":"Crane"},"missed":null,"d":{"__typename":"Deal","t":"Crane","stageId":"s1","id":"d1"}}}',
    });
    expect(graph.client.requests).toEqual([]);
  });

  it('is enriched by subgraphs', async () => {
    const plan = await livePlan('subscription { dealEvent { id deal { stage { name } title owner { name } } } }');
    expect(plan.enriches({})).toBe(true);
    expect((await plan.enrich(event(), testCall())).text).toBe(
      '{"data":{"dealEvent":{"id":"d1","deal":{"stage":{"name":"Open"},"title":"Crane","owner":{"name":"name of u1"}}}}',
    );
  });

  it('keeps everything but the enriched part where a subgraph is down', async () => {
    const plan = await livePlan('subscription { dealEvent { id raw deal { title owner { name } } } }');
    graph.client.intercept = (request) =>
      request.operation.subgraph === 'users'
        ? Promise.reject(new MillraceError(supergraphErrors.SUBGRAPH_UNREACHABLE, 'subgraph "users" could not be reached'))
        : null;
    const text = await plan.enrich(event(), testCall());
    expect(text.errors).toBe(1);
    expect(read(text)).toEqual({
      errors: [
        {
          message: 'subgraph "users" could not be reached',
          path: ['dealEvent', 'deal', 'owner'],
          extensions: { code: 'SUBGRAPH_UNREACHABLE', serviceName: 'users' },
        },
      ],
      data: { dealEvent: { id: 'd1', raw: { id: 'd1', big: 12345678901234567000 }, deal: { title: 'Crane', owner: null } } },
    });
    graph.client.intercept = () => Promise.reject(new MillraceError(supergraphErrors.SUBGRAPH_TIMEOUT, 'late'));
    const strict = await livePlan('subscription { dealEvent { id deal { title stage { name } } } }');
    expect(read(await strict.enrich(event(), testCall()))).toMatchObject({
      errors: [{ path: ['dealEvent', 'deal'] }],
      data: { dealEvent: { id: 'd1', deal: null } },
    });
  });

  it('asks only under the variables that include the field', async () => {
    const plan = await livePlan(
      'subscription($x: Boolean!, $y: Boolean! = true) { dealEvent { raw @include(if: $x) id @skip(if: $y) deal { title ...F @include(if: $x) } } } fragment F on Deal { owner { name } }',
    );
    expect([plan.enriches({ x: true, y: true }), plan.enriches({ x: false, y: true })]).toEqual([true, false]);
    expect(plan.complete(event(), { x: false, y: true }).text).toBe('{"data":{"dealEvent":{"deal":{"title":"Crane"}}}');
    expect(read(await plan.enrich(event({ raw: 'null' }), testCall({ variables: { x: true, y: false } })))).toEqual({
      data: { dealEvent: { raw: null, id: 'd1', deal: { title: 'Crane', owner: { name: 'name of u1' } } } },
    });
  });

  it('of a deletion asks nobody and keeps what it carries, also where the rest is non-null', async () => {
    const plan = await livePlan('subscription { dealEvent { action deal { title stage { name } owner { name } } } }');
    const text = await plan.enrich(event({ action: 'DELETED' }), testCall());
    expect(text).toEqual({
      errors: 0,
      text: '{"data":{"dealEvent":{"action":"DELETED","deal":{"title":"Crane","stage":null,"owner":null}}}',
    });
    expect(graph.client.requests).toEqual([]);
    const bare = event({ action: 'DELETED', entity: { __typename: 'Deal', id: 'd1' } });
    expect(plan.complete(bare, {}).text).toBe('{"data":{"dealEvent":{"action":"DELETED","deal":{"title":null,"stage":null,"owner":null}}}');
  });

  it('without a carried non-null field has no entity, and says where it is missing', async () => {
    const plan = await livePlan('subscription { dealEvent { id deal { title } } }');
    expect(read(plan.complete(event({ entity: { __typename: 'Deal', id: 'd1' } }), {}))).toEqual({
      errors: [
        {
          message: 'Cannot return null for a non-nullable field.',
          path: ['dealEvent', 'deal', 'title'],
          extensions: { code: 'VALUE_INVALID' },
        },
      ],
      data: { dealEvent: { id: 'd1', deal: null } },
    });
  });

  it('of a gap has nothing of an entity', async () => {
    const plan = await livePlan('subscription { dealEvent { action id missed raw delta deal { title owner { name } } } }');
    const gap = event({ action: 'GAP', id: null, missed: 7, raw: null, delta: null, entity: null });
    expect((await plan.enrich(gap, testCall())).text).toBe(
      '{"data":{"dealEvent":{"action":"GAP","id":null,"missed":7,"raw":null,"delta":null,"deal":null}}',
    );
  });

  it('of a plain stream carries lists, enums and numbers, coerced as GraphQL would', async () => {
    const plan = await livePlan('subscription { jobEvent { cursor job { tags speed done } } }');
    const source = event({ id: null, entity: { __typename: 'Job', done: '3', tags: ['a', 'b'], speed: 'FAST' } });
    expect(plan.complete(source, {}).text).toBe('{"data":{"jobEvent":{"cursor":"c\\"1","job":{"tags":["a","b"],"speed":"FAST","done":3}}}');
  });

  it('takes identifiers that are names of Object.prototype as ordinary words', async () => {
    const plan = await livePlan('subscription { dealEvent { constructor: id toString: deal { valueOf: title __proto__: stageId } } }');
    const source = event({ id: '__proto__' });
    expect(plan.complete(source, {}).text).toBe(
      '{"data":{"dealEvent":{"constructor":"__proto__","toString":{"valueOf":"Crane","__proto__":"s1"}}}',
    );
  });

  it('gives the arguments of its field, coerced', async () => {
    const plan = await livePlan(
      'subscription($f: DealFilter, $after: Cursor) { dealEvent(ids: [1, "b"], filter: $f, actions: ADDED, after: $after) { id } }',
    );
    expect(plan.arguments({ f: { stageId: { in: ['s1'] } } })).toEqual({
      ids: ['1', 'b'],
      filter: { stageId: { in: ['s1'] } },
      actions: ['ADDED'],
    });
  });

  it('refuses several root fields, in whatever guise', async () => {
    for (const query of [
      'subscription { dealEvent { id } dealAdded { id } }',
      'subscription { dealEvent { id } ...F } fragment F on Subscription { jobEvent { raw } }',
      'subscription { a: dealEvent { id } b: dealEvent { id } }',
      'subscription { __typename }',
    ])
      expect(await graph.generation.prepare({ query, operationName: null })).toMatchObject({ kind: 'invalid', phase: 'validate' });
  });
});

describe('a subscription that a subgraph serves', () => {
  it('is passed through and enriched', async () => {
    const plan = await planOf('subscription { tick { id title } }');
    if (plan.kind !== 'passthrough') throw new Error('not passed through');
    expect(plan.subgraph).toBe('ticks');
    graph.client.intercept = (request) =>
      request.operation.subgraph === 'ticks' ? Promise.resolve({ data: { tick: { __typename: 'Deal', id: 'd2' } } }) : null;
    const results = [];
    for await (const result of plan.start(testCall())) results.push(JSON.parse(JSON.stringify(result)));
    expect(results).toEqual([{ data: { tick: { id: 'd2', title: 'Night ferry' } } }]);
  });

  it('that breaks ends with a coded error', async () => {
    const plan = await planOf('subscription { tick { id } }');
    if (plan.kind !== 'passthrough') throw new Error('not passed through');
    graph.client.intercept = () => Promise.reject(new MillraceError(supergraphErrors.SUBGRAPH_STREAM_LOST, 'lost'));
    const results = [];
    for await (const result of plan.start(testCall())) results.push(JSON.parse(JSON.stringify(result)));
    expect(results).toEqual([{ errors: [{ message: 'lost', extensions: { code: 'SUBGRAPH_STREAM_LOST', serviceName: 'ticks' } }] }]);
  });
});
