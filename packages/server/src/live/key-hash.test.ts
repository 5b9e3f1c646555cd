import fc from 'fast-check';
import { expect, it } from 'vitest';
import { eachPiece, HASH_START, hashEnd, hashKey, hashStep, hashText } from './key-hash.ts';

const text = fc.string({ unit: 'binary', maxLength: 40 });

it('the hash of a piece depends on its characters alone, wherever it stands', () => {
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 7 }), (value, length) => {
      const found: number[] = [];
      eachPiece(value, length, (hash) => void found.push(hash));
      const expected: number[] = [];
      for (let at = 0; at + length <= value.length; at += 1)
        eachPiece(value.slice(at, at + length), length, (hash) => void expected.push(hash));
      expect(found).toEqual(expected);
    }),
  );
});

it('the hash of a prefix is met on the way to that of the whole', () => {
  fc.assert(
    fc.property(text, fc.nat(40), (value, length) => {
      let state = HASH_START;
      for (let at = 0; at < Math.min(length, value.length); at += 1) state = hashStep(state, value.charCodeAt(at));
      expect(hashEnd(state)).toBe(hashText(value.slice(0, length)));
    }),
  );
});

it('keys that are alike for a person meet rarely in the lowest bits', () => {
  const names = Array.from({ length: 4_096 }, (_, nth) => `deal-${nth}`);
  const numbers = Array.from({ length: 4_096 }, (_, nth) => nth * 1_024);
  for (const keys of [names, numbers]) {
    const crowd = new Int32Array(4_096);
    for (const key of keys) crowd[hashKey(key) & 4_095]! += 1;
    // 4,096 balls thrown into as many boxes: about 1,507 boxes stay empty, and none gets more than a dozen.
    expect(crowd.filter((count) => count === 0).length).toBeLessThan(1_700);
    expect(Math.max(...crowd)).toBeLessThan(13);
  }
});
