import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';
import type { LiveType } from './live-type.ts';
import { decodeError, mapRecord, publicIdOf, sinkIdOf, sinkKeyOf } from './map-record.ts';
import { dealType } from './testing/deal-type.ts';

const ORG: Partial<LiveType> = { tenant: { kind: 'path', path: ['org'] } };
const issue = dealType({ ...ORG, name: 'Issue', entity: ['issue'] });
const pull = dealType({ ...ORG, name: 'Pull', entity: ['pull'] });
const decoded = (body: object | null) =>
  decode({ topic: 't', key: null, headers: new Map(), value: body && Buffer.from(JSON.stringify(body)), timestamp: 0 }, { receivedAt: 0 });

function eventsOf(body: object, types: readonly LiveType[]) {
  const outcome = mapRecord(decoded(body), types);
  if (outcome.kind !== 'events') throw new Error(outcome.kind);
  return outcome.events;
}

describe('a record on a topic of several live types', () => {
  test('counts as soon as one of them takes it', () => {
    expect(eventsOf({ org: 'acme', pull: { id: 2 } }, [issue, pull]).map((event) => event.type)).toEqual(['Pull']);
    expect(eventsOf({ org: 'acme', pull: { id: 2 }, issue: { id: 1 } }, [issue, pull]).map((event) => event.type)).toEqual([
      'Issue',
      'Pull',
    ]);
  });

  test('is refused with the first reason where none does', () => {
    expect(mapRecord(decoded({ issue: { id: 1 } }), [issue, pull])).toMatchObject({ kind: 'reject', code: 'EVENT_TENANT_MISSING' });
  });

  test('is refused where one refuses and the others drop', () => {
    const dropping = dealType({ ...ORG, unknownAction: 'drop', entity: ['issue'] });
    expect(mapRecord(decoded({ action: 'x' }), [dropping, dealType({ ...ORG, entity: ['pull'] })])).toMatchObject({
      kind: 'reject',
      code: 'ACTION_UNKNOWN',
    });
    expect(mapRecord(decoded({ action: 'x' }), [dropping])).toMatchObject({ kind: 'drop' });
    expect(mapRecord(decoded(null), [issue, pull])).toEqual({ kind: 'drop', reason: 'tombstone' });
  });
});

describe('what is wrong whatever the topic', () => {
  test('broken bytes and broken envelopes, nothing else', () => {
    expect(decodeError(decoded({ specversion: '1.0', type: 't', source: 's' }))).toMatchObject({ code: 'CLOUDEVENT_INVALID' });
    expect(
      decodeError(decode({ topic: '', key: null, headers: new Map(), value: Buffer.from('{'), timestamp: 0 }, { receivedAt: 0 })),
    ).toMatchObject({ code: 'JSON_INVALID' });
    expect(decodeError(decoded({ any: 'thing' }))).toBeNull();
    expect(decodeError(decoded(null))).toBeNull();
  });
});

describe('what a shared log knows an event by', () => {
  test('the same event id or key of two tenants is two', () => {
    const one = eventsOf({ org: 'a', event_id: '1', issue: { id: 1 } }, [issue]);
    const other = eventsOf({ org: 'b', event_id: '1', issue: { id: 1 } }, [issue]);
    expect(sinkIdOf(one)).not.toBe(sinkIdOf(other));
    expect(sinkKeyOf(one, [issue])).not.toBe(sinkKeyOf(other, [issue]));
    expect(sinkIdOf(one)).toBe(sinkIdOf(eventsOf({ org: 'a', event_id: '1', issue: { id: 2 } }, [issue])));
  });

  test('entities have keys of their own, unless a record of the topic may change several', () => {
    const one = eventsOf({ org: 'a', issue: { id: 1 } }, [issue]);
    const two = eventsOf({ org: 'a', issue: { id: 2 } }, [issue]);
    expect(sinkKeyOf(one, [issue])).not.toBe(sinkKeyOf(two, [issue]));
    expect(sinkKeyOf(one, [issue, pull])).toBe(sinkKeyOf(two, [issue, pull]));
  });

  test('a plain stream keeps its order within the tenant', () => {
    const stream = dealType({ ...ORG, key: [] });
    expect(sinkKeyOf(eventsOf({ org: 'a' }, [stream]), [stream])).toBe('["a"]');
  });

  test('a refused record is still named by its producer’s id where it has one', () => {
    expect(publicIdOf(decoded({ event_id: 'e1' }), [issue])).toBe('e1');
    expect(publicIdOf(decoded({ specversion: '1.0', id: 'c1', source: 's', type: 't', data: {} }), [issue])).toBe('c1');
    expect(publicIdOf(decoded({}), [issue])).toBeNull();
  });
});
