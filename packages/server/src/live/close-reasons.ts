import type { CloseReason } from './transport.ts';

/**
 * Every way in which this side ends a connection. The table of spec/protocol.md: transports close with protocol faults,
 * the session host with the rest. Codes below 4000 are from RFC 6455 section 7.4.1 and IANA's registry, codes from 4400
 * from the graphql-transport-ws protocol. A reason fits a close frame (at most 123 bytes of UTF-8).
 */
export const closeReasons = {
  /** The process drains or stops. The reason may carry a retry hint, see `drainReason`. */
  goingAway: { code: 1001, reason: 'Going away', reconnect: 'now', label: 'going_away' },
  /** The session was idle (no operation) or older than allowed. */
  idle: { code: 1001, reason: 'Session idle', reconnect: 'later', label: 'idle' },
  maxAge: { code: 1001, reason: 'Session reached its maximum age', reconnect: 'now', label: 'max_age' },
  /** Nothing else fits. (A text frame that is not UTF-8 closes with 1007, a broken frame with 1002: RFC 6455, by the WebSocket library.) */
  policyViolation: { code: 1008, reason: 'Policy violation', reconnect: 'never', label: 'policy_violation' },
  messageTooBig: { code: 1009, reason: 'Message too big', reconnect: 'never', label: 'message_too_big' },
  internal: { code: 1011, reason: 'Internal error', reconnect: 'later', label: 'internal' },
  serviceRestart: { code: 1012, reason: 'Service restart', reconnect: 'now', label: 'service_restart' },
  /** Full, or the socket accepts nothing for longer than `stuckMs`. */
  tryAgainLater: { code: 1013, reason: 'Try again later', reconnect: 'later', label: 'try_again_later' },
  tooSlow: { code: 1013, reason: 'Connection takes no data', reconnect: 'later', label: 'too_slow' },
  /** No answer to keep-alive pings. */
  pongTimeout: { code: 1013, reason: 'Pong timeout', reconnect: 'now', label: 'pong_timeout' },
  /** Bad JSON, an unknown type, a shape that the protocol does not know, a binary frame. The transport appends what was wrong. */
  badRequest: { code: 4400, reason: 'Bad request', reconnect: 'never', label: 'bad_request' },
  unauthorized: { code: 4401, reason: 'Unauthorized', reconnect: 'never', label: 'unauthorized' },
  forbidden: { code: 4403, reason: 'Forbidden', reconnect: 'never', label: 'forbidden' },
  /** Same code, another reason: a fresh token makes the next connection succeed. */
  tokenExpired: { code: 4403, reason: 'Token expired', reconnect: 'later', label: 'token_expired' },
  revoked: { code: 4403, reason: 'Session revoked', reconnect: 'never', label: 'revoked' },
  subprotocolNotAcceptable: { code: 4406, reason: 'Subprotocol not acceptable', reconnect: 'never', label: 'subprotocol_not_acceptable' },
  initTimeout: { code: 4408, reason: 'Connection initialisation timeout', reconnect: 'later', label: 'init_timeout' },
  /** The transport appends the id as the protocol demands: `Subscriber for <id> already exists`. */
  duplicateSubscriber: { code: 4409, reason: 'Subscriber already exists', reconnect: 'never', label: 'duplicate_subscriber' },
  tooManyInit: { code: 4429, reason: 'Too many initialisation requests', reconnect: 'never', label: 'too_many_init' },
} as const satisfies Record<string, CloseReason>;

/** Going away with the pause, in ms, after which the client should come back: clients of a drained edge do not return all at once. */
export function drainReason(retryMs: number): CloseReason {
  return { ...closeReasons.goingAway, reason: `Going away, retry in ${Math.round(retryMs)} ms` };
}
