import { expect, test } from 'vitest';
import { applyDelta } from './delta.ts';

test('changed keys replace, others stay, and nothing is changed in place', () => {
  const before = { id: '1', value: 10, tags: ['a'] };
  const after = applyDelta(before, { value: 12, tags: [] });
  expect(after).toEqual({ id: '1', value: 12, tags: [] });
  expect(before).toEqual({ id: '1', value: 10, tags: ['a'] });
});

test.each([null, undefined])('%s leaves the entity as it is', (delta) => {
  const before = { id: '1' };
  expect(applyDelta(before, delta)).toBe(before);
});

test('a key that is called __proto__ is a key', () => {
  const after = applyDelta({ id: '1' }, JSON.parse('{"__proto__": {"admin": true}}') as Record<string, unknown>);
  expect((after as { admin?: boolean }).admin).toBeUndefined();
  expect(Object.getPrototypeOf(after)).toBe(Object.prototype);
});
