import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../kit/errors.ts';
import type { JsonObject } from '../kit/json.ts';
import { eventArbitrary, filterArbitrary, testType } from './arbitraries.ts';
import { compileFilter, parseFilter } from './filter.ts';
import { FieldLayout, Row } from './filter-values.ts';
import { naiveFilter } from './naive-matcher.ts';
import { liveEvent } from './testing.ts';

const layout = new FieldLayout(testType);
const limits = { filterDepth: 8, filterSize: 1_000 };
const NAMES = ['false', 'unknown', 'true'] as const;

function verdict(filter: JsonObject, entity: JsonObject): (typeof NAMES)[number] {
  const node = parseFilter(filter, layout, limits);
  const row = new Row(layout);
  row.load(liveEvent({ entity }));
  return NAMES[node ? compileFilter(node)(row) : 2];
}

function refusal(filter: unknown, bounds = limits): string {
  try {
    parseFilter(filter, layout, bounds);
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
  return 'none';
}

const vectors = new URL('../../../../spec/vectors/filters/', import.meta.url);

type Case = { readonly name: string; readonly filter: JsonObject; readonly event: JsonObject; readonly expected: string };

describe('filters', () => {
  for (const file of readdirSync(vectors)) {
    const { cases } = JSON.parse(readFileSync(new URL(file, vectors), 'utf8')) as { cases: Case[] };
    it.each(cases)(`${file}: $name`, ({ filter, event, expected }) => {
      expect(verdict(filter, event)).toBe(expected);
      const naive = naiveFilter(filter, testType, liveEvent({ entity: event }));
      expect(naive === null ? 'unknown' : String(naive)).toBe(expected);
    });
  }

  it("give the naive matcher's verdict, unknown included", () => {
    fc.assert(
      fc.property(filterArbitrary, eventArbitrary, (filter, event) => {
        const naive = naiveFilter(filter, testType, event);
        expect(verdict(filter, event.entity)).toBe(naive === null ? 'unknown' : String(naive));
      }),
      { numRuns: 2_000 },
    );
  });

  it('F1: a missing field never matches, under not either', () => {
    fc.assert(
      fc.property(filterArbitrary, (filter) => {
        const fields = Object.keys(filter).filter((key) => key !== 'and' && key !== 'or' && key !== 'not');
        fc.pre(fields.length > 0);
        expect(verdict(filter, {})).not.toBe('true');
        if (fields.length === Object.keys(filter).length) expect(verdict({ not: filter }, {})).toBe('unknown');
      }),
    );
  });

  it('are bounded in depth and in size', () => {
    let deep: JsonObject = { title: { eq: 'a' } };
    for (let depth = 0; depth < 8; depth += 1) deep = { not: deep };
    expect(refusal(deep)).toBe('FILTER_TOO_DEEP');
    expect(refusal(deep['not'])).toBe('none');
    expect(refusal({ stageId: { in: Array.from({ length: 1_000 }, String) } })).toBe('FILTER_TOO_LARGE');
    expect(refusal({ stageId: { in: Array.from({ length: 999 }, String) } })).toBe('none');
    expect(refusal({ or: Array.from({ length: 600 }, () => ({ title: { eq: 'a' } })) })).toBe('FILTER_TOO_LARGE');
  });

  it.each([
    [{ nothing: { eq: 1 } }],
    [{ __proto__: null, constructor: { eq: 1 } }],
    [{ title: { like: 'a' } }],
    [{ closeAt: { gt: 'yesterday' } }],
    [{ won: { lt: true } }],
    [{ value: { between: [1] } }],
    [{ value: { contains: 'a' } }],
    [{ tags: { eq: 'a' } }],
    ['text'],
    [{ title: 'text' }],
    [{ title: { isNull: 'yes' } }],
  ])('refuse %j as FILTER_INVALID', (filter) => {
    expect(refusal(filter)).toBe('FILTER_INVALID');
  });
});
