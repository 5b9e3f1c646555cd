import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';
import { eventErrors } from './errors.ts';
import type { LiveType } from './live-type.ts';
import { mapEvent } from './map-event.ts';
import { mapRecord } from './map-record.ts';
import type { RawRecord } from './record.ts';
import { splitBody } from './split-body.ts';
import { dealType } from './testing/deal-type.ts';

/** Whatever arrives, the answer is an event that keeps its promises, a drop, or a reject with a code of the catalogue. */
const types: readonly LiveType[] = (['AUTO', 'JSON', 'CLOUDEVENTS', 'DEBEZIUM'] as const).flatMap((format) => [
  dealType({ format }),
  dealType({
    format,
    entity: ['current'],
    before: ['previous'],
    action: ['meta', 'action'],
    version: ['rev'],
    visibility: 'EVENT',
    key: [
      { field: 'id', path: ['id'] },
      { field: '__proto__', path: ['__proto__'] },
    ],
  }),
]);

/** Names that mean something to somebody, so that random objects get far into the mapping. */
const name = fc.constantFrom(
  'id',
  'company_id',
  'action',
  'at',
  'event_id',
  'before',
  'after',
  'current',
  'previous',
  'meta',
  'rev',
  'users',
  'groups',
  'owner',
  'op',
  'source',
  'payload',
  'schema',
  'specversion',
  'type',
  'data',
  'data_base64',
  'datacontenttype',
  'time',
  'ts_ms',
  'lsn',
  '__proto__',
  'constructor',
  'toString',
  'length',
  'x',
);

/** JSON texts that no serialiser writes: duplicates, huge numbers, escapes, odd white space, lone surrogates. */
const jsonText: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.constantFrom(
      '1',
      '"1"',
      '"acme"',
      'null',
      'true',
      '-0',
      '1e400',
      '12345678901234567890',
      '0.1',
      '""',
      '"added"',
      '"c"',
      '"d"',
      '"1.0"',
      '"\\ud800"',
      '"\\u0000"',
      '"2026-01-01T00:00:00Z"',
      '1700000000',
      '"a\\"]}b"',
      '"e30="',
    ),
    fc.string({ maxLength: 8 }).map((text) => JSON.stringify(text)),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(' ,\n')}]`),
    fc
      .array(fc.tuple(name, tie('value')), { maxLength: 7 })
      .map((members) => `{${members.map(([key, value]) => `\t"${key}" : ${value}`).join(',')}}`),
  ),
})).value;

/** Near to an event: an entity with one member replaced or added, in one of the envelopes. */
const entityText = fc.tuple(name, jsonText).map(([key, value]) => `{"id":"1","__proto__":2,"company_id":"acme","${key}":${value}}`);
const nearText = fc
  .tuple(
    entityText,
    entityText,
    fc.constantFrom(
      (a: string, _: string) => a,
      (a: string, b: string) => `{"current":${a},"previous":${b},"meta":{"action":"added"}}`,
      (a: string, b: string) => `{"op":"u","source":{"lsn":1},"after":${a},"before":${b}}`,
      (a: string, b: string) => `{"schema":null,"payload":{"op":"d","source":${b},"after":null,"before":${a}}}`,
      (a: string, _: string) => `{"specversion":"1.0","id":"1","source":"s","type":"crm.deals.added","data":${a}}`,
      (a: string, b: string) => `{"id":"1","company_id":"acme","title":${a},"before":${b}}`,
    ),
  )
  .map(([a, b, wrap]) => wrap(a, b));

const body: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 8, arbitrary: nearText.map((text) => Buffer.from(text)) },
  { weight: 8, arbitrary: jsonText.map((text) => Buffer.from(text)) },
  { weight: 2, arbitrary: jsonText.map((text) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)])) },
  { weight: 2, arbitrary: fc.tuple(jsonText, fc.nat(60)).map(([text, cut]) => Buffer.from(text).subarray(0, cut)) },
  { weight: 2, arbitrary: fc.tuple(jsonText, fc.nat(60), fc.nat(255)).map(([text, at, byte]) => spoil(Buffer.from(text), at, byte)) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 60 }) },
);

function spoil(bytes: Buffer, at: number, byte: number): Buffer {
  if (bytes.length > 0) bytes[at % bytes.length] = byte;
  return bytes;
}

const headers = fc
  .dictionary(
    fc.constantFrom(
      'content-type',
      'ce-specversion',
      'ce-id',
      'ce-source',
      'ce-type',
      'ce-time',
      'ce-__proto__',
      'ce_specversion',
      'traceparent',
    ),
    fc.oneof(
      fc.constantFrom(
        '1.0',
        'application/json',
        'application/cloudevents+json',
        'application/cloudevents-batch+json',
        'application/x-ndjson',
        '%C0%A0',
        '"',
        '%',
        '%zz',
        'crm.deals.added',
      ),
      fc.string({ maxLength: 10 }),
    ),
  )
  .map((entries) => new Map(Object.entries(entries)));

const record: fc.Arbitrary<RawRecord> = fc.record({
  topic: fc.constant('crm.deals'),
  key: fc.constant(null),
  headers,
  value: fc.option(body, { freq: 20 }),
  timestamp: fc.integer(),
});

describe('decoding and mapping are total', () => {
  test('any record gives an event, a drop or a coded reject', () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(record, (given) => {
        const decoded = decode(given, { receivedAt: 0 });
        for (const liveType of types) {
          const result = mapEvent(decoded, liveType);
          seen.set(result.kind, (seen.get(result.kind) ?? 0) + 1);
          if (result.kind === 'reject') expect(Object.keys(eventErrors)).toContain(result.code);
          if (result.kind !== 'event') continue;
          const { event } = result;
          expect(event.tenant.length).toBeGreaterThan(0);
          expect(event.key).not.toBe('');
          expect(event.id).not.toBe('');
          expect(event.at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
          expect(event.raw).not.toMatch(/[\r\n]/);
          expect(JSON.parse(event.raw)).toEqual(event.entity);
          if (event.delta !== null) expect(JSON.parse(event.delta)).toBeTypeOf('object');
        }
        mapRecord(decoded, types);
      }),
      { numRuns: 3_000 },
    );
    expect(seen.get('event')).toBeGreaterThan(0);
    expect(seen.get('reject')).toBeGreaterThan(0);
  });

  test('no depth of nesting breaks anything', () => {
    for (const text of [
      '['.repeat(1_000_000),
      '{"a":'.repeat(1_000_000),
      `{"id":"1","company_id":"acme","x":${'['.repeat(500_000)}${']'.repeat(500_000)}}`,
    ]) {
      const given: RawRecord = { topic: 't', key: null, headers: new Map(), value: Buffer.from(text), timestamp: 0 };
      expect(decode(given, { receivedAt: 0, maxBytes: 10_000_000 })).toMatchObject({ kind: 'reject', code: 'JSON_TOO_DEEP' });
      expect(decode(given, { receivedAt: 0, maxBytes: 1_000 })).toMatchObject({ kind: 'reject', code: 'EVENT_TOO_LARGE' });
    }
  });

  test('an audience of more than 10,000 is refused', () => {
    const value = Buffer.from(JSON.stringify({ id: '1', company_id: 'acme', users: Array.from({ length: 10_001 }, (_, i) => i) }));
    const given: RawRecord = { topic: 't', key: null, headers: new Map(), value, timestamp: 0 };
    expect(mapEvent(decode(given, { receivedAt: 0 }), dealType({ visibility: 'EVENT' }))).toMatchObject({
      kind: 'reject',
      code: 'AUDIENCE_TOO_LARGE',
    });
  });

  test('reasons repeat nothing of the body', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('id', 'company_id', 'at', 'event_id', 'action', 'users', 'rev'),
        fc.constantFrom([], {}, '', 1.5, true, ' secret-value '),
        (member, value) => {
          const text = JSON.stringify({ id: '1', company_id: 'acme', [member]: value, hidden: 'secret-value' });
          const given: RawRecord = { topic: 't', key: null, headers: new Map(), value: Buffer.from(text), timestamp: 0 };
          const result = mapEvent(decode(given, { receivedAt: 0 }), dealType({ visibility: 'EVENT', version: ['rev'] }));
          if (result.kind === 'reject') expect(result.reason).not.toContain('secret-value');
        },
      ),
    );
    const broken: RawRecord = { topic: 't', key: null, headers: new Map(), value: Buffer.from('{"password": secret-value}'), timestamp: 0 };
    const refused = decode(broken, { receivedAt: 0 });
    expect(refused).toMatchObject({ kind: 'reject', code: 'JSON_INVALID' });
    expect(JSON.stringify(refused)).not.toContain('secret');
  });
});

describe('splitting bodies', () => {
  test('an array gives its elements, each with the text it had', () => {
    fc.assert(
      fc.property(fc.array(jsonText, { minLength: 1, maxLength: 6 }), fc.constantFrom('', ' ', '\n', '\t\r\n '), (items, blank) => {
        const text = `${blank}[${items.map((item) => blank + item + blank).join(',')}]${blank}`;
        const split = splitBody({ bytes: Buffer.from(text), headers: { 'content-type': 'application/json' }, topic: '', receivedAt: 0 });
        expect(split.kind === 'records' && split.records.map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(items);
      }),
      { numRuns: 500 },
    );
  });

  test('any bytes are split or refused, and a body that is not JSON never becomes events only', () => {
    fc.assert(
      fc.property(body, headers, fc.constantFrom('', '[', '{"a":1}\n'), (bytes, given, prefix) => {
        const whole = Buffer.concat([Buffer.from(prefix), bytes]);
        const split = splitBody({ bytes: whole, headers: Object.fromEntries(given), topic: '', receivedAt: 0 });
        if (split.kind === 'reject') {
          expect(Object.keys(eventErrors)).toContain(split.code);
          return;
        }
        if (
          !isJson(whole) &&
          !split.single &&
          whole.toString().trimStart().startsWith('[') &&
          given.get('content-type') !== 'application/x-ndjson'
        ) {
          expect(split.records.some(({ value }) => !isJson(Buffer.from(value ?? [])))).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('credentials are not kept', () => {
    const split = splitBody({
      bytes: Buffer.from('{}'),
      headers: { authorization: 'Bearer x', cookie: 'y', 'content-type': 'application/json', 'ce-id': '1', host: 'h' },
      topic: '',
      receivedAt: 0,
    });
    expect(split.kind === 'records' && [...(split.records[0]?.headers.keys() ?? [])].toSorted()).toEqual(['ce-id', 'content-type']);
  });
});

function isJson(bytes: Buffer): boolean {
  const result = decode({ topic: '', key: null, headers: new Map(), value: bytes, timestamp: 0 }, { receivedAt: 0 });
  return result.kind !== 'reject';
}
