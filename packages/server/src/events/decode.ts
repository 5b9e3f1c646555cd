import { isJsonObject, ownMember } from '../kit/json.ts';
import { binaryEvent, binaryPrefix, structuredEvent } from './cloud-event.ts';
import { debeziumChange, debeziumPayload, isWrappedTombstone } from './debezium.ts';
import type { Decoded, Document, Envelope, Payload } from './decoded.ts';
import { type Reject, reject } from './errors.ts';
import { parseDocument } from './json-document.ts';
import type { RawRecord } from './record.ts';

export type DecodeOptions = {
  /** Ms since the epoch: when Millrace took the record in. */
  readonly receivedAt: number;
  /** Bytes of one event; larger ones are EVENT_TOO_LARGE. */
  readonly maxBytes?: number;
};

export const DEFAULT_MAX_EVENT_BYTES = 1_048_576;

/**
 * Bytes to a decoded record. Total: any bytes and headers give a body, a tombstone or a coded reject, never a throw.
 * The body is parsed once (once more where data_base64 hides another). Normative: spec/envelope.md.
 */
export function decode(record: RawRecord, { receivedAt, maxBytes = DEFAULT_MAX_EVENT_BYTES }: DecodeOptions): Decoded {
  const { value, headers } = record;
  const binary = binaryPrefix(headers);
  if (value === null) return { kind: 'tombstone' };
  if (value.byteLength > maxBytes) return reject('EVENT_TOO_LARGE', `the event has ${value.byteLength} bytes, the bound is ${maxBytes}`);
  if (value.byteLength === 0 && !binary) return reject('BODY_EMPTY', 'the record has no body');

  const document: Document | Reject = value.byteLength === 0 ? { bytes: value, text: '', value: undefined } : parseDocument(value);
  if ('kind' in document) return document;
  if (isWrappedTombstone(document.value)) return { kind: 'tombstone' };
  const cloud = binary ? binaryEvent(headers, binary, document) : byContent(document, headers.get('content-type'));
  return { kind: 'body', record, receivedAt, document, envelope: envelopeOf(cloud, document) };
}

type CloudResult = ReturnType<typeof structuredEvent> | null;

/** The content type decides where it names CloudEvents; otherwise the shape: `specversion` and `type` as strings. */
function byContent(document: Document, contentType: string | undefined): CloudResult {
  if (contentType?.toLowerCase().startsWith('application/cloudevents')) return byCloudType(document, contentType);
  const { value } = document;
  if (!isJsonObject(value) || !Object.hasOwn(value, 'specversion') || !Object.hasOwn(value, 'type')) return null;
  return typeof value['specversion'] === 'string' && typeof value['type'] === 'string' ? structuredEvent(document) : null;
}

function byCloudType(document: Document, contentType: string): CloudResult {
  const type = (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
  if (type === 'application/cloudevents+json' || type === 'application/cloudevents') return structuredEvent(document);
  if (type === 'application/cloudevents-batch+json')
    return reject('CLOUDEVENT_INVALID', 'a batch must be sent to POST /events, which splits it');
  return reject('CONTENT_TYPE_UNSUPPORTED', 'of the CloudEvents formats only JSON is supported');
}

function envelopeOf(cloud: CloudResult, document: Document): Envelope {
  if (cloud?.kind === 'reject') return { kind: 'invalid', format: 'CLOUDEVENTS', error: cloud };
  const payload: Payload = cloud ? cloud.data : { document, path: [], value: document.value };
  const opAttribute = cloud ? ownMember(cloud.attributes.all, 'iodebeziumop') : undefined;
  const change = debeziumPayload(payload, opAttribute);
  if (!change) return cloud ?? { kind: 'plain' };
  const debezium = debeziumChange(change, cloud, opAttribute);
  return debezium.kind === 'reject' ? { kind: 'invalid', format: 'DEBEZIUM', error: debezium } : debezium;
}
