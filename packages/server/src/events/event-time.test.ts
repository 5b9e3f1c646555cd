import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { eventTime, timeOfMillis } from './event-time.ts';

const instant = fc.date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T23:59:59Z'), noInvalidDate: true });
const two = (n: number): string => String(n).padStart(2, '0');

describe('the time of an event', () => {
  test('RFC 3339 in UTC stays as it is', () => {
    fc.assert(
      fc.property(instant, (date) => {
        expect(eventTime(date.toISOString())).toBe(date.toISOString());
      }),
    );
  });

  test('an offset leads to the same instant, and fractions are kept', () => {
    fc.assert(
      fc.property(instant, fc.integer({ min: -14 * 60, max: 14 * 60 }), fc.constantFrom('', ':'), (date, offset, colon) => {
        const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, -1);
        const text = `${local}${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${colon}${two(Math.abs(offset) % 60)}`;
        expect(eventTime(text)).toBe(date.toISOString());
      }),
    );
  });

  test('any value has an answer in the one form, or none', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.double(),
          fc.bigInt().map(String),
          fc.boolean(),
          fc.constant(null),
          fc.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
        ),
        (value) => {
          const time = eventTime(value);
          if (time !== null) expect(Number.isNaN(Date.parse(time))).toBe(false);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('days that no month has are refused', () => {
    for (const day of ['2025-02-29', '2026-04-31', '1900-02-29', '2026-13-01', '2026-00-10', '2026-01-00']) {
      expect(eventTime(`${day}T00:00:00Z`), day).toBeNull();
    }
    expect(eventTime('2024-02-29T00:00:00Z')).toBe('2024-02-29T00:00:00Z');
  });

  test('a record’s timestamp is always a time', () => {
    for (const ms of [0, -1, 1.7e12, 1e300, Number.NaN, Number.NEGATIVE_INFINITY]) expect(timeOfMillis(ms)).toMatch(/^\d{4}-.*Z$/);
  });
});
