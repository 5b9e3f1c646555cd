import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../kit/errors.ts';
import { supergraphErrors } from './errors.ts';
import { CRM } from './fixture-crm.ts';
import type { SubgraphAnswer } from './generation.ts';
import { type TestGraph, testCall, testGraph } from './fixture.ts';

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
});

describe('failures', () => {
  let graph: TestGraph;
  beforeAll(async () => {
    graph = await testGraph(CRM);
  });
  afterAll(() => graph.close());
  const failing = (subgraph: string, answer: () => Promise<SubgraphAnswer>): void => {
    graph.client.intercept = (request) => (request.operation.subgraph === subgraph ? answer() : null);
  };
  const timeout = (): Promise<never> =>
    Promise.reject(new MillraceError(supergraphErrors.SUBGRAPH_TIMEOUT, 'subgraph "x" did not answer before the deadline'));

  it('of an entity fetch leave the rest standing, with one error at its place', async () => {
    failing('users', timeout);
    expect(await graph.query('{ deals { title owner { name } } }')).toEqual({
      data: {
        deals: [
          { title: 'Harbour crane', owner: null },
          { title: 'Night ferry', owner: null },
        ],
      },
      errors: [
        {
          message: 'subgraph "x" did not answer before the deadline',
          path: ['deals', 0, 'owner'],
          extensions: { code: 'SUBGRAPH_TIMEOUT', serviceName: 'users' },
        },
      ],
    });
  });

  it.each([
    ['a list', [[1, { name: 'x' }]], 'a list where an entity should be'],
    ['a text', ['u1'], 'a string where an entity should be'],
    ['too few', [], 'fewer entities than were asked for'],
  ])('are told at the entity where an answer has %s for entities', async (_case, entities, what) => {
    failing('users', () => Promise.resolve({ data: { _entities: entities } }));
    expect(await graph.query('{ deals { title owner { name } } }')).toEqual({
      data: {
        deals: [
          { title: 'Harbour crane', owner: null },
          { title: 'Night ferry', owner: null },
        ],
      },
      errors: [
        {
          message: `subgraph "users" gave ${what}`,
          path: ['deals', 0, 'owner'],
          extensions: { code: 'SUBGRAPH_BAD_ANSWER', serviceName: 'users' },
        },
      ],
    });
  });

  it('of a non-null field take the nearest nullable ancestor along', async () => {
    failing('pipelines', timeout);
    expect(await graph.query('{ deal(id: "d1") { title stage { name } } users { name } }')).toMatchObject({
      data: { deal: null, users: [{ name: 'Ada' }] },
      errors: [{ path: ['deal', 'stage'], extensions: { code: 'SUBGRAPH_TIMEOUT', serviceName: 'pipelines' } }],
    });
  });

  it('of a root fetch are told at each root field', async () => {
    failing('deals', timeout);
    expect(await graph.query('{ a: deal(id: "d1") { title } b: deal(id: "d2") { title } stages { name } }')).toMatchObject({
      data: { a: null, b: null, stages: [{ name: 'Open' }, { name: 'Won' }] },
      errors: [{ path: ['a'] }, { path: ['b'] }],
    });
  });

  it('that a subgraph reports come through without its address or stack, at the place of the entity', async () => {
    failing('users', async () => ({
      data: { _entities: [null] },
      errors: [
        {
          message: 'no such user',
          path: ['_entities', 0, 'name'],
          extensions: { code: 'NOT_FOUND', stacktrace: ['at secret'], url: 'http://secret' },
        },
      ],
    }));
    expect(await graph.query('{ deals { owner { name } } }')).toEqual({
      data: { deals: [{ owner: null }, { owner: null }] },
      errors: [{ message: 'no such user', path: ['deals', 0, 'owner', 'name'], extensions: { code: 'NOT_FOUND', serviceName: 'users' } }],
    });
  });

  it('of a value that the schema does not allow are told once', async () => {
    failing('deals', async () => ({ data: { deals: [{ title: { deep: 1 } }] } }));
    expect(await graph.query('{ deals { title } }')).toEqual({
      data: null,
      errors: [{ message: 'expected a value of type String', path: ['deals', 0, 'title'], extensions: { code: 'VALUE_INVALID' } }],
    });
  });

  it('of a missing non-null value are told with its path', async () => {
    failing('deals', async () => ({ data: { deal: { title: null } } }));
    expect(await graph.query('{ deal(id: "d1") { title } }')).toEqual({
      data: { deal: null },
      errors: [{ message: 'Cannot return null for a non-nullable field.', path: ['deal', 'title'], extensions: { code: 'VALUE_INVALID' } }],
    });
  });

  it('never make an execution throw, reach Object.prototype, or break the shape, whatever subgraphs answer', async () => {
    const rubbish = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, true, 0, 1.5, -1, '', 'x', 'Deal', 'Stage'),
        fc.array(tie('value'), { maxLength: 3 }),
        tie('object'),
      ),
      object: fc.dictionary(
        fc.constantFrom(
          'data',
          'errors',
          'deals',
          'deal',
          'users',
          '_entities',
          'id',
          'title',
          'stage',
          'owner',
          'name',
          '__typename',
          '__proto__',
          'constructor',
          'message',
          'path',
        ),
        tie('value'),
        { maxKeys: 6 },
      ),
    })).object;
    const prepared = await graph.generation.prepare({
      query: '{ deals { id title stage { name } owner { name email } } users { name } }',
      operationName: null,
    });
    if (prepared.kind !== 'operation') throw new Error('not planned');
    const { operation } = prepared;
    await fc.assert(
      fc.asyncProperty(rubbish, rubbish, fc.boolean(), async (answer, errors, plausible) => {
        const given = JSON.parse(JSON.stringify(plausible ? { data: answer, errors: [errors] } : answer)) as SubgraphAnswer;
        let calls = 0;
        graph.client.intercept = (request) =>
          request.operation.subgraph === 'deals' && plausible && calls++ === 0 ? null : Promise.resolve(structuredClone(given));
        const result = await operation.execute(testCall());
        expect(result.data === null || result.data === undefined || 'deals' in result.data).toBe(true);
        expect(JSON.stringify(result)).toBeTypeOf('string');
        expect(Object.keys(Object.prototype)).toEqual([]);
        for (const error of result.errors ?? []) expect(error.extensions['code']).toBeTypeOf('string');
      }),
      { numRuns: 300 },
    );
    expect(({} as Record<string, unknown>)['name']).toBeUndefined();
  });

  it('of absurd depth end as an error', async () => {
    const deep = JSON.parse(`${'['.repeat(5000)}${']'.repeat(5000)}`) as unknown;
    failing('users', async () => ({ data: { _entities: [{ name: deep }, { name: deep }] } }));
    expect(await graph.query('{ deals { owner { name } } }')).toMatchObject({ data: { deals: [{ owner: null }, { owner: null }] } });
  });
});
