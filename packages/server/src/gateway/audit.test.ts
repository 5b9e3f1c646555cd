import { auditServer } from 'graphql-http';
import { describe, expect, it } from 'vitest';
import type { Generations } from '../supergraph/generation.ts';
import { FakeGenerations } from './testing/fake-generation.ts';
import { startGateway } from './testing/gateway-server.ts';

const none: Generations = { lease: () => null, onSwap: () => () => undefined, close: async () => undefined };

describe('GraphQL over HTTP: the audit of graphql-http', () => {
  it.each([
    ['without a schema', none],
    ['with one', new FakeGenerations()],
  ])('passes 61 of 61 %s', async (_name, generations) => {
    await using gateway = await startGateway(generations);
    const results = await auditServer({ url: gateway.url });
    expect(results.filter((result) => result.status !== 'ok').map((result) => `${result.id} ${result.name}`)).toEqual([]);
    expect(results).toHaveLength(61);
  });
});
