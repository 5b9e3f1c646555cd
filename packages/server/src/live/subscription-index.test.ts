import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { argumentsArbitrary, eventArbitrary, fieldArbitrary, testType } from './arbitraries.ts';
import { TRUE } from './filter.ts';
import { FieldLayout } from './filter-values.ts';
import { type Indexed, SubscriptionIndex } from './subscription-index.ts';
import { compileMatcher, type Matcher, matches } from './matcher.ts';
import { naiveMatches } from './naive-matcher.ts';
import { LIVE_LIMITS } from './options.ts';
import { liveEvent } from './testing.ts';

const layout = new FieldLayout(testType);

class Entry implements Indexed {
  slot = -1;
  readonly matcher: Matcher;

  constructor(matcher: Matcher) {
    this.matcher = matcher;
  }
}

function entry(args: Record<string, unknown>, field = 'dealEvent'): Entry {
  return new Entry(compileMatcher(testType, field, args, layout, LIVE_LIMITS));
}

function found(index: SubscriptionIndex<Entry>, event: Parameters<typeof index.match>[0]): Entry[] {
  const out: Entry[] = [];
  index.match(event, (one) => out.push(one));
  return out;
}

describe('the index', () => {
  it('finds exactly what a naive matcher finds, each once, while groups come and go', () => {
    const subscription = fc.record({ field: fieldArbitrary, args: argumentsArbitrary, leaves: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(subscription, { minLength: 1, maxLength: 40 }),
        fc.array(eventArbitrary, { minLength: 1, maxLength: 12 }),
        (subscriptions, events) => {
          const index = new SubscriptionIndex<Entry>(layout);
          const entries = subscriptions.map((one) => ({ ...one, entry: entry(one.args, one.field) }));
          for (const one of entries) index.add(one.entry);
          const check = (present: typeof entries): void => {
            for (const event of events) {
              const expected = present.filter(({ field, args }) => naiveMatches(field, args, testType, event)).map((one) => one.entry);
              const actual = found(index, event);
              expect(new Set(actual)).toEqual(new Set(expected));
              expect(actual.length).toBe(expected.length);
              const row = index.load(event);
              for (const one of present) expect(matches(one.entry.matcher, event, row)).toBe(expected.includes(one.entry));
            }
          };
          check(entries);
          for (const one of entries) if (one.leaves) index.remove(one.entry);
          const stayed = entries.filter((one) => !one.leaves);
          check(stayed);
          expect(index.size).toBe(stayed.length);
        },
      ),
      { numRuns: 400 },
    );
  });

  it('looks at no group that an id or an equality leads past', () => {
    const index = new SubscriptionIndex<Entry>(layout);
    let tested = 0;
    const counting = (one: Entry): Entry =>
      new Entry({ ...one.matcher, residual: (row) => ((tested += 1), one.matcher.residual?.(row) ?? TRUE) });
    for (let at = 0; at < 1_000; at += 1) {
      index.add(counting(entry({ ids: [`d${at}`] })));
      index.add(counting(entry({ filter: { stageId: { eq: `s${at}` }, won: { eq: true } } })));
      index.add(counting(entry({ filter: { value: { gte: at, lt: at + 1 } } })));
      index.add(counting(entry({ filter: { title: { startsWith: `title ${at};` } } })));
      index.add(counting(entry({ filter: { or: [{ title: { contains: `needle ${at};` } }, { count: { in: [at, -at] } }] } })));
    }
    const event = liveEvent({ key: 'd7', entity: { stage_id: 's7', value: 7.5, count: 7, title: 'title 7; needle 7;', won: true } });
    expect(found(index, event).length).toBe(5);
    // Lists of one width are at most half in vain, pieces of three characters find few needles in vain.
    expect(tested).toBeLessThan(40);
  });

  it('keeps `__proto__` and `constructor` as ordinary ids and values', () => {
    const index = new SubscriptionIndex<Entry>(layout);
    const odd = entry({ ids: ['__proto__', 'constructor'] });
    const value = entry({ filter: { stageId: { eq: 'constructor' } } });
    index.add(odd);
    index.add(value);
    expect(found(index, liveEvent({ key: 'constructor', entity: {} }))).toEqual([odd]);
    expect(found(index, liveEvent({ key: 'toString', entity: { stage_id: 'constructor' } }))).toEqual([value]);
    expect(found(index, liveEvent({ key: 'hasOwnProperty', entity: {} }))).toEqual([]);
  });
});
