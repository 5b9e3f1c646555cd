import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';
import type { RawRecord } from './record.ts';
import { topicOf } from './topic-of.ts';

const known = new Set(['crm.deals', 'orders', '/legacy']);

function topic(attributes: object, named = ''): string | null {
  const value = Buffer.from(JSON.stringify({ specversion: '1.0', id: '1', source: 's', type: 'x', ...attributes, data: {} }));
  const record: RawRecord = { topic: named, key: null, headers: new Map(), value, timestamp: 0 };
  return topicOf(named, decode(record, { receivedAt: 0 }), known);
}

describe('the topic of a CloudEvent', () => {
  test.each([
    ['what the request names', { topic: 'orders', type: 'crm.deals' }, 'other', 'other'],
    ['the extension attribute', { topic: 'orders', type: 'crm.deals' }, '', 'orders'],
    ['the type where it is known', { type: 'crm.deals' }, '', 'crm.deals'],
    ['the type without its action', { type: 'crm.deals.changed' }, '', 'crm.deals'],
    ['the type without action and version', { type: 'crm.deals.changed.v2' }, '', 'crm.deals'],
    ['the source where it is known', { type: 'whatever.happened', source: '/legacy' }, '', '/legacy'],
    ['an unknown stem, to be named in the refusal', { type: 'shop.carts.changed' }, '', 'shop.carts'],
    ['nothing', { type: 'x' }, '', null],
  ])('%s', (_, attributes, named, expected) => {
    expect(topic(attributes, named)).toBe(expected);
  });

  test('plain JSON has only what the request names', () => {
    const record: RawRecord = { topic: '', key: null, headers: new Map(), value: Buffer.from('{"topic":"orders"}'), timestamp: 0 };
    expect(topicOf('', decode(record, { receivedAt: 0 }), known)).toBeNull();
    expect(topicOf('orders', decode(record, { receivedAt: 0 }), known)).toBe('orders');
  });
});
