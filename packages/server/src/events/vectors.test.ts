import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decode } from './decode.ts';
import type { LiveType, Path } from './live-type.ts';
import { mapEvent } from './map-event.ts';
import type { RawRecord } from './record.ts';
import { splitBody } from './split-body.ts';

const folder = new URL('../../../../spec/vectors/envelope/', import.meta.url);
const RECEIVED = Date.parse('2026-01-01T00:00:00Z');

type Case = {
  readonly name: string;
  readonly record: {
    readonly body?: string;
    readonly base64?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly topic?: string;
  };
  readonly type?: TypeArguments;
  readonly expect: { readonly event?: Readonly<Record<string, unknown>>; readonly drop?: true; readonly reject?: string };
};

type TypeArguments = {
  readonly tenant?: string;
  readonly key?: string;
  readonly version?: string;
  readonly visibility?: LiveType['visibility'];
  readonly format?: LiveType['format'];
  readonly entity?: string;
  readonly before?: string;
  readonly action?: string;
  readonly eventId?: string;
  readonly at?: string;
  readonly actions?: readonly { readonly from: string; readonly to: 'ADDED' | 'CHANGED' | 'DELETED' }[];
  readonly unknownAction?: 'REJECT' | 'DROP';
};

const read = (file: string): unknown => JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
const path = (text: string): Path => (text === '' ? [] : text.split('.'));

function liveType(given: TypeArguments = {}): LiveType {
  const tenant = given.tenant ?? 'company_id';
  const key = given.key ?? 'id';
  return {
    name: 'Deal',
    subgraph: 'crm',
    broker: 'default',
    topic: 'crm.deals',
    tenant: tenant.startsWith("'") ? { kind: 'constant', tenant: tenant.slice(1, -1) } : { kind: 'path', path: path(tenant) },
    key:
      key === ''
        ? []
        : key.split(', ').map((part) => {
            const [field = '', at = field] = part.split(': ');
            return { field, path: path(at) };
          }),
    visibility: given.visibility ?? 'TENANT',
    audience: { users: ['users'], groups: ['groups'], owner: ['owner'] },
    version: given.version === undefined ? null : path(given.version),
    format: given.format ?? 'AUTO',
    entity: path(given.entity ?? ''),
    before: path(given.before ?? 'before'),
    action: path(given.action ?? 'action'),
    actions: new Map(given.actions?.map(({ from, to }) => [from, to])),
    unknownAction: given.unknownAction === 'DROP' ? 'drop' : 'reject',
    eventId: path(given.eventId ?? 'event_id'),
    at: path(given.at ?? 'at'),
    carried: [],
    fieldName: 'deal',
    list: null,
  };
}

function rawRecord({ body, base64, headers = {}, topic = 'crm.deals' }: Case['record']): RawRecord {
  const value = base64 === undefined ? (body === undefined ? null : Buffer.from(body)) : Buffer.from(base64, 'base64');
  return { topic, key: null, headers: new Map(Object.entries(headers)), value, timestamp: RECEIVED };
}

describe.each(['bytes', 'plain-json', 'cloudevents', 'debezium'])('spec/vectors/envelope/%s.json', (file) => {
  const { cases } = read(`${file}.json`) as { readonly cases: readonly Case[] };

  test.each(cases)('$name', ({ record, type, expect: wanted }) => {
    const got = mapEvent(decode(rawRecord(record), { receivedAt: RECEIVED }), liveType(type));
    if (wanted.reject !== undefined) expect(got).toMatchObject({ kind: 'reject', code: wanted.reject });
    else if (wanted.drop) expect(got.kind).toBe('drop');
    else expect(got).toMatchObject({ kind: 'event', event: wanted.event ?? {} });
  });
});

type SplitCase = {
  readonly name: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly maxEvents?: number;
  readonly records?: readonly string[];
  readonly single?: boolean;
  readonly reject?: string;
  readonly contentType?: string;
};

describe('spec/vectors/envelope/split.json', () => {
  const { cases } = read('split.json') as { readonly cases: readonly SplitCase[] };

  test.each(cases)('$name', ({ body, headers = {}, maxEvents = 1_000, records, single, reject, contentType }) => {
    const got = splitBody({ bytes: Buffer.from(body), headers, topic: 't', receivedAt: RECEIVED, maxEvents });
    if (reject !== undefined) {
      expect(got).toMatchObject({ kind: 'reject', code: reject });
      return;
    }
    if (got.kind === 'reject') throw new Error(got.reason);
    expect(got.records.map(({ value }) => Buffer.from(value ?? []).toString())).toEqual(records);
    expect(got.single).toBe(single);
    if (contentType !== undefined) expect(got.records[0]?.headers.get('content-type')).toBe(contentType);
  });
});
