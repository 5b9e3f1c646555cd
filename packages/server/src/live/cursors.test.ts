import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../kit/errors.ts';
import { createCursors } from './cursors.ts';

const vectors = JSON.parse(readFileSync(new URL('../../../../spec/vectors/cursors/cursors.json', import.meta.url), 'utf8')) as {
  keys: { id: number; secretHex: string }[];
  valid: { name: string; channel: { tenant: string; type: string }; position: { epoch: string; offset: number }; cursor: string }[];
  refused: { name: string; cursor: string; channel: { tenant: string; type: string }; code: string }[];
};
const keys = vectors.keys.map(({ id, secretHex }) => ({ id, secret: Buffer.from(secretHex, 'hex') }));
const cursors = createCursors({ keys });
const channel = { tenant: 'acme', type: 'Deal' };

function refusal(cursor: string, on = channel, by = cursors): string {
  try {
    by.verify(cursor, on);
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
  return 'none';
}

describe('cursors', () => {
  it.each(vectors.valid)('vector: $name', (vector) => {
    expect(cursors.sign(vector.channel, vector.position)).toBe(vector.cursor);
    expect(cursors.verify(vector.cursor, vector.channel)).toEqual(vector.position);
  });

  it.each(vectors.refused)('vector: $name', (vector) => {
    expect(refusal(vector.cursor, vector.channel)).toBe(vector.code);
  });

  it('come back as the position that they were made from, and fit a JSON string as they are', () => {
    const name = fc.string({ maxLength: 20, unit: 'grapheme' });
    fc.assert(
      fc.property(name, name, name, fc.nat({ max: 2 ** 48 - 1 }), (tenant, type, epoch, offset) => {
        const cursor = cursors.sign({ tenant, type }, { epoch, offset });
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(cursors.verify(cursor, { tenant, type })).toEqual({ epoch: Buffer.from(epoch).toString(), offset });
      }),
    );
  });

  it('D7: one changed character is enough to be refused', () => {
    const cursor = cursors.sign(channel, { epoch: 'e', offset: 7 });
    fc.assert(
      fc.property(fc.nat(cursor.length - 1), fc.constantFrom(...'AZaz09-_'), (at, character) => {
        fc.pre(cursor[at] !== character);
        expect(refusal(cursor.slice(0, at) + character + cursor.slice(at + 1))).toBe('CURSOR_INVALID');
      }),
    );
  });

  it('D7: one position has one spelling, though base64 leaves bits unused', () => {
    const cursor = cursors.sign(channel, { epoch: 'e', offset: 7 });
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const sibling = cursor.slice(0, -1) + alphabet[alphabet.indexOf(cursor.slice(-1)) + 1];
    expect(Buffer.from(sibling, 'base64url')).toEqual(Buffer.from(cursor, 'base64url'));
    expect(refusal(sibling)).toBe('CURSOR_INVALID');
  });

  it('D7: any text is an answer, never a crash', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String(), fc.string({ minLength: 4_000, maxLength: 5_000 })), (text) => {
        expect(refusal(text)).toBe('CURSOR_INVALID');
      }),
    );
  });

  it('D8: a foreign cursor is refused alike for a tenant that exists and for one that does not', () => {
    const foreign = cursors.sign({ tenant: 'other', type: 'Deal' }, { epoch: 'e', offset: 7 });
    expect(refusal(foreign)).toBe('CURSOR_FOREIGN');
    expect(refusal(foreign, { tenant: 'nobody', type: 'Deal' })).toBe('CURSOR_FOREIGN');
    expect(refusal(foreign, { tenant: 'other', type: 'Lead' })).toBe('CURSOR_FOREIGN');
  });

  it('D9: a key that no longer signs still verifies, one that is gone does not', () => {
    const position = { epoch: 'e', offset: 7 };
    const [old, fresh] = [
      { id: 1, secret: Buffer.alloc(32, 1) },
      { id: 2, secret: Buffer.alloc(32, 2) },
    ];
    const before = createCursors({ keys: [old] });
    const between = createCursors({ keys: [fresh, old] });
    const after = createCursors({ keys: [fresh] });
    expect(between.verify(before.sign(channel, position), channel)).toEqual(position);
    expect(after.verify(between.sign(channel, position), channel)).toEqual(position);
    expect(refusal(before.sign(channel, position), channel, after)).toBe('CURSOR_INVALID');
    const sameId = createCursors({ keys: [{ id: 1, secret: Buffer.alloc(32, 9) }] });
    expect(refusal(before.sign(channel, position), channel, sameId)).toBe('CURSOR_INVALID');
  });

  it('refuses keys that are no keys', () => {
    expect(() => createCursors({ keys: [] })).toThrow('at least one');
    expect(() => createCursors({ keys: [{ id: 1, secret: Buffer.alloc(16) }] })).toThrow('32 bytes');
    expect(() => createCursors({ keys: [{ id: 256, secret: Buffer.alloc(32) }] })).toThrow('0 to 255');
    expect(() =>
      createCursors({
        keys: [
          { id: 1, secret: Buffer.alloc(32) },
          { id: 1, secret: Buffer.alloc(32) },
        ],
      }),
    ).toThrow('twice');
  });
});
