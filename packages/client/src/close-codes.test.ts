import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { reconnectAfter } from './close-codes.ts';

/** The rows of section 3.3: code, reason, reconnect. */
function rowsOfTheSpecification(): [number, string, string][] {
  const text = readFileSync(new URL('../../../spec/protocol.md', import.meta.url), 'utf8');
  const section = text.slice(text.indexOf('### 3.3'), text.indexOf('### 3.4'));
  return [...section.matchAll(/^\| (\d{4}) \| ([^|]+) \| (now|later|never) \|/gm)].map((row) => [
    Number(row[1]),
    row[2] ?? '',
    row[3] ?? '',
  ]);
}

const rows = rowsOfTheSpecification();

test('the table was found', () => {
  expect(rows.length).toBeGreaterThan(15);
});

test.each(rows)('%i %s: %s', (code, reason, reconnect) => {
  expect(reconnectAfter(code, reason).kind).toBe(reconnect);
});

test('a drain may say when to come back', () => {
  expect(reconnectAfter(1001, 'Going away, retry in 1500 ms')).toEqual({ kind: 'now', hintMs: 1500 });
});

test.each([1005, 1006, 1015, 3000, 4500])('a code of somebody else, %i, may pass', (code) => {
  expect(reconnectAfter(code, '')).toEqual({ kind: 'later' });
});
