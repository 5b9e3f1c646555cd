import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementSpans, findPath, memberSpans, nestsDeeperThan, oneLine, textOf } from './json-bytes.ts';

const blank = fc.constantFrom('', ' ', '\n\t ');

function written(value: unknown, space: string): string {
  if (Array.isArray(value)) return `[${space}${value.map((item) => written(item, space)).join(`${space},${space}`)}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${space}${JSON.stringify(key)}${space}:${space}${written(item, space)}`)
    .join(',')}${space}}`;
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe('finding values in JSON bytes', () => {
  test('every member and element is found with its exact text, as JSON.parse sees it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), blank, (value, space) => {
        const bytes = Buffer.from(written(value, space));
        check(bytes, JSON.parse(bytes.toString()) as unknown, []);
      }),
      { numRuns: 500 },
    );
  });

  function check(bytes: Buffer, value: unknown, path: readonly string[]): void {
    const span = findPath(bytes, 0, bytes.length, path);
    if (!span) throw new Error(`nothing at ${path.join('.')}`);
    expect(JSON.parse(textOf(bytes, span.start, span.end))).toEqual(value);
    if (typeof value !== 'object' || value === null) return;
    for (const key of Object.keys(value)) check(bytes, (value as Record<string, unknown>)[key], [...path, key]);
    if (!Array.isArray(value))
      expect([...memberSpans(bytes, span.start, span.end).keys()].toSorted()).toEqual(Object.keys(value).toSorted());
  }

  test('depth is counted as it is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.integer({ min: 1, max: 7 }), (value, max) => {
        expect(nestsDeeperThan(Buffer.from(JSON.stringify(value)), max)).toBe(depthOf(value) > max);
      }),
    );
  });

  test('any bytes have an answer', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc
            .string({ unit: fc.constantFrom('{', '}', '[', ']', '"', '\\', ',', ':', '1', ' ') })
            .map((text) => new TextEncoder().encode(text)),
        ),
        (bytes) => {
          expect(findPath(bytes, 0, bytes.length, ['a', '0'])).toSatisfy((span: unknown) => span === null || typeof span === 'object');
          expect(memberSpans(bytes, 0, bytes.length)).toBeInstanceOf(Map);
          expect(['elements', 'too-many', 'malformed']).toContain(elementSpans(bytes, 0, bytes.length, 3).kind);
          expect(nestsDeeperThan(bytes, 2)).toBeTypeOf('boolean');
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('the last of duplicate names counts, and names may be escaped or not ASCII', () => {
    const bytes = Buffer.from('{"a":1,"\\u0061":2,"é":3,"b":{"c":4},"b":5,"\\\\n":6}');
    const at = (...path: string[]): string | null => {
      const span = findPath(bytes, 0, bytes.length, path);
      return span && textOf(bytes, span.start, span.end);
    };
    expect([at('a'), at('é'), at('b'), at('b', 'c'), at('Ã©'), at('\\n'), at('\\\\n')]).toEqual(['2', '3', '5', null, null, '6', null]);
  });

  test('one line: only white space between tokens goes, in linear time', () => {
    expect(oneLine('{\r\n  "a b": "c\\n  d" ,\n\t"e": [ 1,\n2 ] }')).toBe('{"a b": "c\\n  d" ,"e": [ 1,2 ] }');
    const long = `{"a":"${' '.repeat(2_000_000)}"\n}`;
    expect(oneLine(long)).toHaveLength(long.length - 1);
  });
});
