import { defineErrors } from '../kit/errors.ts';

const body = { class: 'input', http: 400, retryable: false } as const;
const mapping = { class: 'input', http: 422, retryable: false } as const;
const size = { class: 'limit', http: 413, retryable: false } as const;

/** Why a record is not an event. Each is a dead letter's code and the code of a rejected item of `POST /events`. */
export const eventErrors = defineErrors({
  BODY_EMPTY: { ...body, meaning: 'The record or request has no body.', action: 'Send the event as JSON.' },
  BODY_NOT_UTF8: { ...body, meaning: 'The body is not valid UTF-8.', action: 'Encode the JSON text as UTF-8.' },
  JSON_INVALID: { ...body, meaning: 'The body is not valid JSON.', action: 'Correct the JSON at the place that the reason names.' },
  JSON_TOO_DEEP: { ...body, meaning: 'Objects and arrays nest deeper than 64 levels.', action: 'Publish a flatter body.' },
  EVENT_TOO_LARGE: {
    ...size,
    meaning: 'One event is larger than the bound on events.',
    action: 'Publish a smaller event; let clients fetch the rest from the supergraph.',
  },
  BATCH_TOO_LARGE: { ...size, meaning: 'The request holds more events than one request may.', action: 'Split the batch.' },
  CONTENT_TYPE_UNSUPPORTED: {
    class: 'input',
    http: 415,
    retryable: false,
    meaning: 'The content type or the CloudEvents data content type is not JSON.',
    action: 'Send JSON: application/json, application/x-ndjson, application/cloudevents+json or application/cloudevents-batch+json.',
  },
  CLOUDEVENT_INVALID: {
    ...body,
    meaning: 'The CloudEvent breaks CloudEvents 1.0.',
    action: 'Correct the attribute that the reason names.',
  },
  DEBEZIUM_INVALID: {
    ...mapping,
    meaning: 'The change event lacks a part that Debezium always writes.',
    action: 'Check the connector’s transforms and the type’s `format`.',
  },
  FORMAT_MISMATCH: {
    ...mapping,
    meaning: 'The record is not of the format that the live type demands.',
    action: 'Publish in that format, or set `format: AUTO`.',
  },
  ENTITY_MISSING: {
    ...mapping,
    meaning: 'Nothing stands at the path of the entity.',
    action: 'Correct the path `entity` of @live, or publish the entity there.',
  },
  ENTITY_INVALID: {
    ...mapping,
    meaning: 'What stands at the path of the entity is not a JSON object.',
    action: 'Publish the entity as an object.',
  },
  KEY_MISSING: {
    ...mapping,
    meaning: 'A key field is missing, null, empty, a boolean, a list or an object.',
    action: 'Publish every field of the @key as a string or an integer.',
  },
  KEY_INVALID: {
    ...mapping,
    meaning: 'A key field is a fractional number or longer than 512 characters.',
    action: 'Publish every field of the @key as a string or an integer of at most 512 characters.',
  },
  EVENT_TENANT_MISSING: {
    ...mapping,
    meaning: 'The event names no tenant where the live type looks for it.',
    action: 'Publish the tenant id, or correct the path `tenant` of @live.',
  },
  EVENT_TENANT_INVALID: {
    ...mapping,
    meaning: 'The tenant id is not a non-empty string or safe integer of at most 256 characters without control characters.',
    action: 'Publish the tenant id as such a string or integer.',
  },
  ACTION_UNKNOWN: {
    ...mapping,
    meaning: 'The action has no mapping to ADDED, CHANGED or DELETED.',
    action: 'Add it to `actions` of @live, or drop such events with `unknownAction: DROP`.',
  },
  ACTION_MISSING: {
    ...mapping,
    meaning: 'Nothing stands at the path that @live names for the action.',
    action: 'Publish the action there, or correct the path `action`.',
  },
  EVENT_ID_INVALID: {
    ...mapping,
    meaning: 'The event id is not a non-empty string or integer of at most 512 characters.',
    action: 'Publish an id that is unique per event, or leave it out.',
  },
  EVENT_TIME_INVALID: {
    ...mapping,
    meaning: 'The time is not RFC 3339 with a zone and not a Unix time.',
    action: 'Publish it as 2026-01-31T10:00:00Z or as a number of seconds or milliseconds.',
  },
  VERSION_INVALID: {
    ...mapping,
    meaning: 'The version is not an integer between 0 and 2^53-1.',
    action: 'Publish an increasing integer, or leave `version` out of @live.',
  },
  AUDIENCE_INVALID: {
    ...mapping,
    meaning: 'Users, groups or owner hold something else than ids.',
    action: 'Publish one id or a list of ids, each a string or an integer.',
  },
  AUDIENCE_TOO_LARGE: {
    class: 'limit',
    http: 422,
    retryable: false,
    meaning: 'The event names more than 10,000 users and groups.',
    action: 'Name groups instead of users.',
  },
});

export type EventErrorCode = keyof typeof eventErrors;

export type Reject = { readonly kind: 'reject'; readonly code: EventErrorCode; readonly reason: string };

/** `reason` is one line; it names places and kinds of values, never the values of the body. */
export function reject(code: EventErrorCode, reason: string): Reject {
  return { kind: 'reject', code, reason };
}
