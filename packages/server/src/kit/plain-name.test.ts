import { expect, it } from 'vitest';
import { isPlainName } from './plain-name.ts';

it.each(['a', 'acme co.', 'Ä/b:c%', '🜁', 'x'.repeat(8)])('%j is a name', (text) => {
  expect(isPlainName(text, 8)).toBe(true);
});

it.each(['', 'a\n', '\u0000', 'a\u007fb', '\ud800', 'x'.repeat(9), 1, null, undefined, ['a']])('%j is none', (value) => {
  expect(isPlainName(value, 8)).toBe(false);
});
