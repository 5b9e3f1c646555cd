import { closeReasons } from './close-reasons.ts';
import type { CloseReason } from './transport.ts';

/** The table of spec/delivery.md section 9, invariants S6 and S7. */
export const SESSION_STATES = ['open', 'congested', 'ended'] as const;
export type SessionState = (typeof SESSION_STATES)[number];

export const SESSION_INPUTS = [
  'over-bound',
  'drained',
  'stuck',
  'token-expired',
  'revoked',
  'idle',
  'max-age',
  'drain',
  'transport-gone',
] as const;
export type SessionInput = (typeof SESSION_INPUTS)[number];

/** `close` is what the transport is told; null where it is gone already or nothing ends. */
export type SessionStep = { readonly state: SessionState; readonly close: CloseReason | null };

const stay = (state: SessionState): SessionStep => ({ state, close: null });
const end = (close: CloseReason | null): SessionStep => ({ state: 'ended', close });

const endings = {
  'token-expired': end(closeReasons.tokenExpired),
  revoked: end(closeReasons.revoked),
  idle: end(closeReasons.idle),
  'max-age': end(closeReasons.maxAge),
  /** The host puts its retry hint into the reason. */
  drain: end(closeReasons.goingAway),
  'transport-gone': end(null),
} as const;

const over = stay('ended');

export const SESSION_TABLE: Readonly<Record<SessionState, Readonly<Record<SessionInput, SessionStep>>>> = {
  open: { 'over-bound': stay('congested'), drained: stay('open'), stuck: stay('open'), ...endings },
  congested: { 'over-bound': stay('congested'), drained: stay('open'), stuck: end(closeReasons.tooSlow), ...endings },
  ended: {
    'over-bound': over,
    drained: over,
    stuck: over,
    'token-expired': over,
    revoked: over,
    idle: over,
    'max-age': over,
    drain: over,
    'transport-gone': over,
  },
};

export function nextSessionStep(state: SessionState, input: SessionInput): SessionStep {
  return SESSION_TABLE[state][input];
}
