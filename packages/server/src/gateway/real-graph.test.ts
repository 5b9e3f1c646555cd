import { auditServer } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CRM } from '../supergraph/fixture-crm.ts';
import { testGraph, type TestGraph } from '../supergraph/fixture.ts';
import { startGateway } from './testing/gateway-server.ts';

/** The pipeline over a real supergraph of three subgraphs: what the fakes of the other tests promise holds here. */
describe('gateway over a real supergraph', () => {
  let graph: TestGraph;
  let gateway: Awaited<ReturnType<typeof startGateway>>;

  beforeAll(async () => {
    graph = await testGraph(CRM);
    gateway = await startGateway(graph.generations);
  });
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]();
    await graph.close();
  });

  const ask = async (
    query: string,
    variables: Record<string, unknown> = {},
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const headers = { 'content-type': 'application/json', accept: 'application/graphql-response+json', authorization: 'Bearer ann' };
    const response = await fetch(gateway.url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it('passes 61 of 61 of the audit', async () => {
    const results = await auditServer({ url: gateway.url });
    expect(results.filter((result) => result.status !== 'ok').map((result) => `${result.id} ${result.name}`)).toEqual([]);
    expect(results).toHaveLength(61);
  });

  it('runs a query over several subgraphs, each told who asks', async () => {
    const { status, body } = await ask('query($id: ID!) { deal(id: $id) { title stage { name } owner { name } } }', { id: 'd1' });
    expect([status, body]).toEqual([
      200,
      { data: { deal: { title: 'Harbour crane', stage: { name: 'Open' }, owner: { name: expect.any(String) } } } },
    ]);
    for (const request of graph.client.requests) {
      expect(request.headers).toMatchObject({ 'millrace-tenant': 't1', 'millrace-user': 'ann', 'x-request-id': expect.any(String) });
    }
  });

  const aliases = Array.from({ length: 101 }, (_, i) => `a${i}: __typename`).join(' ');
  const fields = (depth: number): string => (depth === 0 ? '{ name }' : `{ ofType ${fields(depth - 1)} }`);

  it.each([
    ['{ deals ', 'GRAPHQL_PARSE_FAILED'],
    ['{ deals { nothing } }', 'GRAPHQL_VALIDATION_FAILED'],
    ['query($id: ID!) { deal(id: $id) { title } }', 'BAD_USER_INPUT'],
    [`{ ${'deals '.repeat(10_001)} }`, 'TOKEN_LIMIT'],
    [`{ deals { ${aliases} } }`, 'ALIAS_LIMIT'],
    [`{ __type(name: "Deal") ${fields(31)} }`, 'DEPTH_LIMIT'],
    [`{ deals { id ${'@skip(if: false) '.repeat(201)} } }`, 'DIRECTIVE_LIMIT'],
  ])('refuses %.40s… with %s and 400', async (query, code) => {
    const { status, body } = await ask(query);
    const errors = body['errors'] as { extensions: { code: string } }[];
    expect([status, errors[0]?.extensions.code, 'data' in body]).toEqual([400, code, false]);
  });

  it('keeps code and path of a subgraph that is down, and nothing of its insides', async () => {
    graph.client.intercept = (request) =>
      request.operation.subgraph === 'pipelines'
        ? Promise.resolve({
            errors: [{ message: 'stages are closed', extensions: { code: 'CLOSED', stacktrace: ['at /srv/x.js'] } }],
          } as never)
        : null;
    const { status, body } = await ask('{ deals { title stage { name } } }');
    graph.client.intercept = null;
    expect(status).toBe(200);
    const [error] = body['errors'] as { message: string; path: unknown[]; extensions: Record<string, unknown> }[];
    expect(error).toMatchObject({ message: 'stages are closed', path: expect.arrayContaining(['deals']), extensions: { code: 'CLOSED' } });
    expect(JSON.stringify(body)).not.toContain('/srv/x.js');
  });
});
