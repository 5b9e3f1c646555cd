import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isMutation, paramsOfJson, paramsOfUrl } from './graphql-params.ts';

describe('GraphQL parameters', () => {
  it('come the same from a body and from a URL', () => {
    const params = { query: '{ a }', operationName: 'A', variables: { n: 1 }, extensions: { e: null } };
    expect(paramsOfJson(JSON.stringify(params))).toEqual({ kind: 'params', params });
    const search = new URLSearchParams({ query: '{ a }', operationName: 'A', variables: '{"n":1}', extensions: '{"e":null}' });
    expect(paramsOfUrl(search)).toEqual({ kind: 'params', params });
  });

  it('are null or absent where a client says nothing', () => {
    const bare = { kind: 'params', params: { query: '{ a }', operationName: null, variables: {}, extensions: {} } };
    expect(paramsOfJson('{"query":"{ a }","operationName":null,"variables":null,"extensions":null}')).toEqual(bare);
    expect(paramsOfJson('{"query":"{ a }","operationName":"","other":1}')).toEqual(bare);
    expect(paramsOfUrl(new URLSearchParams({ query: '{ a }', variables: '' }))).toEqual(bare);
  });

  it('are refused with a reason, for any text, and never inherited', () => {
    expect(paramsOfJson('[]').kind).toBe('batch');
    expect(paramsOfJson('{"__proto__":{"query":"{ a }"}}')).toEqual({ kind: 'invalid', why: 'query is missing' });
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(['params', 'batch', 'invalid']).toContain(paramsOfJson(text).kind);
      }),
    );
    fc.assert(
      fc.property(fc.string(), fc.string(), (query, json) => {
        expect(['params', 'invalid']).toContain(paramsOfUrl(new URLSearchParams({ query, variables: json })).kind);
      }),
    );
  });
});

describe('isMutation', () => {
  it.each([
    ['mutation { a }', null, true],
    ['query A { a } mutation B { b }', 'B', true],
    ['query A { a } mutation B { b }', 'A', false],
    ['{ mutation }', null, false],
    ['{ a } # mutation', null, false],
    ['mutation {', null, false],
    ['subscription { a }', null, false],
    ['fragment F on Mutation { b } mutation { ...F }', null, true],
  ])('%s (%s): %s', (query, name, expected) => {
    expect(isMutation(query, name)).toBe(expected);
  });
});
