import { expect, it } from 'vitest';
import { validTraceparent } from './traceparent.ts';

const GOOD = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

it('lets through what the specification allows, as it is', () => {
  expect(validTraceparent(GOOD)).toBe(GOOD);
});

it.each([
  ['a version that is reserved', `ff${GOOD.slice(2)}`],
  ['no trace', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
  ['no parent', `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`],
  ['capitals', GOOD.toUpperCase()],
  ['a second header', `${GOOD}, ${GOOD}`],
  ['a line break', `${GOOD}\n`],
  ['no text', 1],
  ['nothing', undefined],
])('refuses %s', (_, value) => {
  expect(validTraceparent(value)).toBeNull();
});
