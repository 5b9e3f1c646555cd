import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { accepts, contentType, decodeUtf8, negotiate } from './http-message.ts';

const OFFERED = ['application/json', 'application/graphql-response+json'] as const;

describe('negotiate', () => {
  it.each([
    [undefined, 'application/json'],
    ['', 'application/json'],
    ['*/*', 'application/json'],
    ['application/*', 'application/json'],
    ['application/graphql-response+json', 'application/graphql-response+json'],
    ['application/graphql-response+json; charset=utf-8, application/json; charset=utf-8', 'application/json'],
    ['application/json;q=0.5, application/graphql-response+json', 'application/graphql-response+json'],
    ['APPLICATION/JSON', 'application/json'],
    ['application/json;q=0, */*', 'application/graphql-response+json'],
    ['application/json;q=0', null],
    ['text/html', null],
    ['text/html, */*;q=0.1', 'application/json'],
    // A weight that is none counts as not given.
    ['application/json;q=nonsense', 'application/json'],
  ])('%j gives %j', (accept, expected) => {
    expect(negotiate(accept, OFFERED)).toBe(expected);
  });

  it('takes any header without throwing, and only answers what was offered', () => {
    fc.assert(
      fc.property(fc.string(), (accept) => {
        expect([null, ...OFFERED]).toContain(negotiate(accept, OFFERED));
        expect(typeof accepts(accept, 'text/html')).toBe('boolean');
      }),
    );
  });
});

describe('contentType and decodeUtf8', () => {
  it.each([
    ['application/json', { type: 'application/json', charset: null }],
    ['Application/JSON; Charset="UTF-8"; x=y', { type: 'application/json', charset: 'utf-8' }],
    ['text/plain;charset=latin1', { type: 'text/plain', charset: 'latin1' }],
  ])('%s', (value, expected) => {
    expect(contentType({ 'content-type': value })).toEqual(expected);
  });

  it('has none without the header, and refuses bytes that are not UTF-8', () => {
    expect(contentType({})).toBeNull();
    expect(decodeUtf8(Buffer.from('ü💧'))).toBe('ü💧');
    expect(decodeUtf8(Buffer.from([0xc3]))).toBeNull();
  });
});
