import { isUtf8 } from 'node:buffer';
import { type Json, type JsonObject, isJsonObject, ownMember } from '../kit/json.ts';
import type { CloudEvent, CloudEventAttributes, Document, Payload } from './decoded.ts';
import { type Reject, reject } from './errors.ts';
import { eventTime } from './event-time.ts';
import { parseDocument } from './json-document.ts';

/** Attribute prefixes by protocol binding: HTTP (percent-encoded), Kafka, AMQP. */
const BINARY_PREFIXES = [
  { prefix: 'ce-', sign: 'ce-specversion', encoded: true },
  { prefix: 'ce_', sign: 'ce_specversion', encoded: false },
  { prefix: 'cloudevents:', sign: 'cloudevents:specversion', encoded: false },
  { prefix: 'cloudevents_', sign: 'cloudevents_specversion', encoded: false },
] as const;

type BinaryPrefix = (typeof BINARY_PREFIXES)[number];

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/** Which binding's headers carry an event, if any do. `specversion` is the sign, as every binding demands it. */
export function binaryPrefix(headers: ReadonlyMap<string, string>): BinaryPrefix | null {
  if (headers.size === 0) return null;
  for (const binding of BINARY_PREFIXES) if (headers.has(binding.sign)) return binding;
  return null;
}

/** CloudEvents 1.0 JSON format, section 3. */
export function structuredEvent(document: Document): CloudEvent | Reject {
  const { value } = document;
  if (!isJsonObject(value)) return reject('CLOUDEVENT_INVALID', 'a structured CloudEvent must be a JSON object');
  const attributes = readAttributes(value);
  if (attributes.kind === 'reject') return attributes;
  const data = structuredData(document, value);
  if ('kind' in data) return data;
  return { kind: 'cloudevent', attributes: attributes.attributes, data };
}

function structuredData(document: Document, event: JsonObject): Payload | Reject {
  const hasData = ownMember(event, 'data') !== undefined;
  const base64 = ownMember(event, 'data_base64');
  const contentType = ownMember(event, 'datacontenttype');
  const isJson = contentType === undefined || contentType === null || (typeof contentType === 'string' && isJsonType(contentType));
  if (base64 !== undefined && base64 !== null) {
    if (hasData) return reject('CLOUDEVENT_INVALID', 'data and data_base64 exclude each other');
    if (typeof base64 !== 'string' || !BASE64.test(base64)) return reject('CLOUDEVENT_INVALID', 'data_base64 is not Base64');
    if (!isJson) return notJson();
    const inner = parseDocument(Buffer.from(base64, 'base64'));
    return 'kind' in inner ? reject(inner.code, `data_base64: ${inner.reason}`) : { document: inner, path: [], value: inner.value };
  }
  if (hasData && !isJson) return notJson();
  return { document, path: ['data'], value: ownMember(event, 'data') };
}

/** CloudEvents 1.0 HTTP protocol binding, section 3.1: attributes from headers, data is the body. */
export function binaryEvent(headers: ReadonlyMap<string, string>, { prefix, encoded }: BinaryPrefix, body: Document): CloudEvent | Reject {
  const found: [string, string][] = [];
  for (const [name, raw] of headers) {
    if (!name.startsWith(prefix)) continue;
    const value = encoded ? decodeHeaderValue(raw) : raw;
    if (value === null) return reject('CLOUDEVENT_INVALID', `header ${printable(name)} is not percent-encoded UTF-8`);
    found.push([name.slice(prefix.length), value]);
  }
  const contentType = headers.get('content-type');
  if (body.value !== undefined && contentType !== undefined && !isJsonType(contentType)) return notJson();
  const attributes = readAttributes(Object.fromEntries(found));
  if (attributes.kind === 'reject') return attributes;
  return { kind: 'cloudevent', attributes: attributes.attributes, data: { document: body, path: [], value: body.value } };
}

function notJson(): Reject {
  return reject('CONTENT_TYPE_UNSUPPORTED', 'the CloudEvent’s datacontenttype is not JSON');
}

/** HTTP binding 3.1.3.2: quoted strings are unescaped, then one round of percent-decoding; null where that is not UTF-8. */
export function decodeHeaderValue(raw: string): string | null {
  let value = raw;
  if (value.startsWith('"') && value.endsWith('"') && value.length > 1) value = value.slice(1, -1).replace(/\\(.)/g, '$1');
  if (!value.includes('%')) return value;
  const bytes = Buffer.from(
    value.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  );
  // Characters above U+00FF cannot come from an HTTP header; they would lose bits in latin1.
  if (/[^\u0000-\u00ff]/.test(value) || !isUtf8(bytes)) return null;
  return bytes.toString('utf8');
}

/** `application/json`, `application/vnd.acme+json; charset=utf-8` (JSON format section 3.1.1). */
export function isJsonType(contentType: string): boolean {
  const type = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  return type.endsWith('/json') || type.endsWith('+json');
}

type AttributesResult = { readonly kind: 'attributes'; readonly attributes: CloudEventAttributes } | Reject;

function readAttributes(all: JsonObject): AttributesResult {
  const version = ownMember(all, 'specversion');
  if (version !== '1.0') return reject('CLOUDEVENT_INVALID', `specversion must be "1.0", got ${kindOf(version)}`);
  const [id, source, type] = [ownMember(all, 'id'), ownMember(all, 'source'), ownMember(all, 'type')];
  if (!isName(id)) return missing('id', id);
  if (!isName(source)) return missing('source', source);
  if (!isName(type)) return missing('type', type);
  const rawTime = ownMember(all, 'time') ?? null;
  const time = typeof rawTime === 'string' ? eventTime(rawTime) : null;
  if (rawTime !== null && time === null) return reject('EVENT_TIME_INVALID', 'the CloudEvent’s time is not RFC 3339 with a zone');
  return { kind: 'attributes', attributes: { id, source, type, time, all } };
}

function missing(name: string, got: Json | undefined): Reject {
  return reject('CLOUDEVENT_INVALID', `attribute ${name} must be a string of 1 to 512 characters, got ${kindOf(got)}`);
}

function isName(value: Json | undefined): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 512;
}

function printable(name: string): string {
  return name.replace(/[^\x21-\x7e]/g, '?').slice(0, 64);
}

/** For messages: what kind of value it is, never the value. */
export function kindOf(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (value === '') return 'an empty string';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
