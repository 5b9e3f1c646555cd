import { defineErrors, MillraceError } from '../kit/errors.ts';

export const liveErrors = defineErrors({
  CURSOR_INVALID: {
    class: 'input',
    http: 400,
    retryable: false,
    meaning: 'The cursor is not one of ours, was changed on the way, or was signed with a key that is no longer configured.',
    action: 'Subscribe without a cursor and load the present state by a query.',
  },
  CURSOR_FOREIGN: {
    class: 'auth',
    http: 403,
    retryable: false,
    meaning: 'The cursor is genuine but belongs to another tenant or to another type.',
    action: 'Use a cursor only with the tenant and the field that it came from.',
  },
  FILTER_TOO_DEEP: {
    class: 'limit',
    http: 400,
    retryable: false,
    meaning: 'The filter nests and, or and not deeper than allowed.',
    action: 'Flatten the filter, or use several subscriptions.',
  },
  FILTER_TOO_LARGE: {
    class: 'limit',
    http: 400,
    retryable: false,
    meaning: 'The filter has more operators and list members than allowed.',
    action: 'Shorten the lists, or use several subscriptions.',
  },
  FILTER_INVALID: {
    class: 'input',
    http: 400,
    retryable: false,
    meaning: 'The filter names a field or an operator that the type does not have, or an operand of the wrong kind.',
    action: 'Correct the filter; the generated input type lists what there is.',
  },
  IDS_TOO_MANY: {
    class: 'limit',
    http: 400,
    retryable: false,
    meaning: 'The argument `ids` has more members than allowed.',
    action: 'Split the ids over several subscriptions, or filter by a field.',
  },
  SUBSCRIPTION_BROKEN_BY_SCHEMA: {
    class: 'input',
    http: 400,
    retryable: false,
    meaning: 'The schema has changed and the document of a running subscription is no longer valid.',
    action: 'Update the document to the new schema and subscribe again with the last cursor.',
  },
  SUBSCRIPTIONS_EXHAUSTED: {
    class: 'limit',
    http: 429,
    retryable: true,
    meaning: 'The connection or the process has as many subscriptions as allowed.',
    action: 'Complete subscriptions that are no longer needed, or raise the limit.',
  },
  OPERATIONS_EXHAUSTED: {
    class: 'limit',
    http: 429,
    retryable: true,
    meaning: 'The connection runs as many operations as allowed.',
    action: 'Wait for some to finish.',
  },
  SESSIONS_EXHAUSTED: {
    class: 'limit',
    http: 503,
    retryable: true,
    meaning: 'The process has as many connections as allowed, or is draining.',
    action: 'Connect again later; another edge may have room.',
  },
  TENANT_SESSIONS_EXHAUSTED: {
    class: 'limit',
    http: 429,
    retryable: true,
    meaning: 'The tenant has as many connections as allowed.',
    action: 'Close connections that are no longer needed, or raise the limit.',
  },
  ADDRESS_SESSIONS_EXHAUSTED: {
    class: 'limit',
    http: 429,
    retryable: true,
    meaning: 'The remote address has as many connections as allowed.',
    action: 'Close connections that are no longer needed, or raise the limit for shared addresses.',
  },
  CHANNEL_UNAVAILABLE: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: 'The channel of the type could not be attached to: its store is away.',
    action: 'Subscribe again later with the last cursor.',
  },
});

export function brokenBySchema(why: string | undefined): MillraceError {
  const reason = why === undefined ? 'its field now stands for something else' : why;
  return new MillraceError(
    liveErrors.SUBSCRIPTION_BROKEN_BY_SCHEMA,
    `the schema has changed and this subscription is no longer valid: ${reason}`,
  );
}
