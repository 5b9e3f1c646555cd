import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';
import { mapEvent } from './map-event.ts';
import { dealType } from './testing/deal-type.ts';

const type = dealType({ tenant: { kind: 'constant', tenant: 'acme' }, key: [], format: 'JSON', entity: ['now'], before: ['then'] });

const image = fc.dictionary(fc.constantFrom('a', 'b', 'c', '1', '0', '__proto__', 'constructor', 'é"'), fc.jsonValue({ maxDepth: 2 }), {
  noNullPrototype: true,
});

describe('delta', () => {
  test('what was, with the delta applied, is what is; and a member that is in it differs', () => {
    fc.assert(
      fc.property(image, image, (now, then) => {
        const value = Buffer.from(`{"now":${JSON.stringify(now)},"then":${JSON.stringify(then)}}`);
        const result = mapEvent(decode({ topic: 't', key: null, headers: new Map(), value, timestamp: 0 }, { receivedAt: 0 }), type);
        if (result.kind !== 'event') throw new Error('no event');
        const delta = members(JSON.parse(result.event.delta ?? 'null') as object);
        const [is, was] = [members(JSON.parse(JSON.stringify(now)) as object), members(JSON.parse(JSON.stringify(then)) as object)];
        const patched = new Map(was);
        for (const [name, changed] of delta) {
          if (is.has(name)) patched.set(name, changed);
          else patched.delete(name);
        }
        expect(patched).toEqual(is);
        for (const [name, changed] of delta) {
          if (typeof changed !== 'object' && (typeof changed !== 'number' || Number.isSafeInteger(changed)))
            expect(was.get(name)).not.toBe(changed);
        }
      }),
      { numRuns: 500 },
    );
  });
});

function members(object: object): Map<string, unknown> {
  return new Map(Object.entries(object));
}
