import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestGraph, testGraph } from './fixture.ts';

/**
 * Fault: a subscription with `lt: 1e9` in its filter was refused with PLAN_FAILED. The planner's own parser refuses some floats with an
 * exponent, which are valid GraphQL (specification, section 2.9.2), so it is given the same numbers written out.
 */
describe('literals that the planner cannot parse', () => {
  const LINK = 'extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])';
  const SDL = `${LINK} type Query { j(v: Float): Float }
    type Deal @key(fields: "id") @live(topic: "j", tenant: "t") { id: ID! value: Float @carried @filterable }`;
  let graph: TestGraph;

  beforeAll(async () => {
    graph = await testGraph({ a: { sdl: SDL, resolvers: {} } });
  });
  afterAll(() => graph.close());

  it.each(['1e9', '1E9', '-1e9', '1e+3', '1e-3', '1.5e9', '1.5e3', '1e300', '1e-9', '0.5', '7'])(
    '%s is planned, in queries and in filters',
    async (literal) => {
      for (const query of [`{ j(v: ${literal}) }`, `subscription { dealEvent(filter: {value: {lt: ${literal}}}) { id } }`]) {
        const prepared = await graph.generation.prepare({ query, operationName: null });
        expect(prepared.kind, JSON.stringify(prepared)).toBe('operation');
        if (prepared.kind === 'operation') expect(prepared.operation.normalised).toContain(literal);
      }
    },
  );
});
