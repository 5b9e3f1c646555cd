import { elementSpans, skipSpace, skipValue } from '../kit/json-bytes.ts';
import { binaryPrefix } from './cloud-event.ts';
import { type Reject, reject } from './errors.ts';
import type { RawRecord } from './record.ts';

export type PostedBody = {
  readonly bytes: Uint8Array;
  /** As Node gives them, names in lower case. Only what belongs to an event is kept: `ce-*`, content type, trace context. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** `?topic=`, or empty. */
  readonly topic: string;
  /** Ms since the epoch. */
  readonly receivedAt: number;
  /** Events in one request; default 1,000. */
  readonly maxEvents?: number;
};

export type SplitBody =
  /** At least one, in the order sent; each with exactly its own bytes. `single`: the request was one event, not a list of one. */
  | { readonly kind: 'records'; readonly single: boolean; readonly records: readonly RawRecord[] }
  /** The body as a whole is no event and no list of events. */
  | Reject;

export const DEFAULT_MAX_EVENTS_PER_REQUEST = 1_000;

const NDJSON_TYPES: ReadonlySet<string> = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
  'application/jsonlines',
]);
/** Taken too, because `curl -d` and fetch with a string say these without being asked. */
const FORGIVEN_TYPES: ReadonlySet<string> = new Set(['', 'text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream']);
const LINE_BREAK = 0x0a;
const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;

/**
 * A request's body to records, without parsing it: a CloudEvent (structured or binary), a batch, a JSON object, an array, or
 * NDJSON. An element that is broken inside is still a record of its own, so that only it is rejected, with its own bytes.
 */
export function splitBody(body: PostedBody): SplitBody {
  const headers = eventHeaders(body.headers);
  const type = mediaType(headers.get('content-type'));
  const record = (value: Uint8Array, own: ReadonlyMap<string, string> = headers): RawRecord => ({
    topic: body.topic,
    key: null,
    headers: own,
    value,
    timestamp: body.receivedAt,
  });
  if (binaryPrefix(headers) && !type.startsWith('application/cloudevents'))
    return { kind: 'records', single: true, records: [record(body.bytes)] };
  if (type.startsWith('application/cloudevents') && type !== 'application/cloudevents-batch+json') {
    return { kind: 'records', single: true, records: [record(body.bytes)] };
  }
  if (!isSupported(type))
    return reject(
      'CONTENT_TYPE_UNSUPPORTED',
      `content type ${printable(type)} is not JSON; send application/json, application/x-ndjson or application/cloudevents+json`,
    );
  return splitJson(body, type, headers, record);
}

type MakeRecord = (value: Uint8Array, headers?: ReadonlyMap<string, string>) => RawRecord;

function splitJson(body: PostedBody, type: string, headers: ReadonlyMap<string, string>, record: MakeRecord): SplitBody {
  const { bytes, maxEvents = DEFAULT_MAX_EVENTS_PER_REQUEST } = body;
  const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const start = skipSpace(bytes, marked, bytes.length);
  if (start >= bytes.length) return reject('BODY_EMPTY', 'the request has no body');
  if (type === 'application/cloudevents-batch+json') {
    const own = new Map(headers).set('content-type', 'application/cloudevents+json');
    return splitArray(bytes, start, maxEvents, (value) => record(value, own));
  }
  if (NDJSON_TYPES.has(type)) return many(lines(bytes, marked, maxEvents), maxEvents, record);
  if (bytes[start] === OPEN_ARRAY) return splitArray(bytes, start, maxEvents, record);
  const sequence = bytes[start] === OPEN_OBJECT ? objects(bytes, start, maxEvents) : null;
  return sequence ? many(sequence, maxEvents, record) : { kind: 'records', single: true, records: [record(bytes)] };
}

function splitArray(bytes: Uint8Array, start: number, maxEvents: number, record: MakeRecord): SplitBody {
  const found = elementSpans(bytes, start, bytes.length, maxEvents);
  if (found.kind === 'malformed') return reject('JSON_INVALID', `the body is not a valid JSON array at byte ${found.at}`);
  if (found.kind === 'too-many') return tooMany(maxEvents);
  if (found.elements.length === 0) return reject('BODY_EMPTY', 'the list holds no event');
  return { kind: 'records', single: false, records: found.elements.map(({ start: from, end }) => record(bytes.subarray(from, end))) };
}

function many(parts: readonly Uint8Array[], maxEvents: number, record: MakeRecord): SplitBody {
  if (parts.length > maxEvents) return tooMany(maxEvents);
  if (parts.length === 0) return reject('BODY_EMPTY', 'the request has no body');
  return { kind: 'records', single: false, records: parts.map((part) => record(part)) };
}

function tooMany(maxEvents: number): Reject {
  return reject('BATCH_TOO_LARGE', `the request holds more than ${maxEvents} events`);
}

/** Lines that are not blank; one more than `max` at most. */
function lines(bytes: Uint8Array, from: number, max: number): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let start = from; start < bytes.length && found.length <= max;) {
    const next = bytes.indexOf(LINE_BREAK, start);
    const end = next < 0 ? bytes.length : next;
    if (skipSpace(bytes, start, end) < end) found.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return found;
}

/** JSON objects one after the other, each on a new line (NDJSON sent as JSON); null where it is not at least two of them. */
function objects(bytes: Uint8Array, from: number, max: number): readonly Uint8Array[] | null {
  const found: Uint8Array[] = [];
  for (let start = from; start < bytes.length && found.length <= max;) {
    if (bytes[start] !== OPEN_OBJECT) return null;
    const end = skipValue(bytes, start, bytes.length);
    if (end < 0) return null;
    found.push(bytes.subarray(start, end));
    const next = skipSpace(bytes, end, bytes.length);
    const lineBreak = bytes.indexOf(LINE_BREAK, end);
    if (next < bytes.length && (lineBreak < 0 || lineBreak > next)) return null;
    start = next;
  }
  return found.length > 1 ? found : null;
}

/** Credentials and everything else that is not the event's must not reach the log or a dead letter. */
function eventHeaders(headers: PostedBody['headers']): Map<string, string> {
  const kept = new Map<string, string>();
  for (const name of Object.keys(headers)) {
    if (!name.startsWith('ce-') && name !== 'content-type' && name !== 'traceparent' && name !== 'tracestate') continue;
    const value = headers[name];
    if (value !== undefined) kept.set(name, typeof value === 'string' ? value : value.join(','));
  }
  return kept;
}

function mediaType(contentType: string | undefined): string {
  return (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function isSupported(type: string): boolean {
  return FORGIVEN_TYPES.has(type) || NDJSON_TYPES.has(type) || type.endsWith('/json') || type.endsWith('+json');
}

function printable(type: string): string {
  return /^[\w.+/-]{1,80}$/.test(type) ? type : 'of the request';
}
