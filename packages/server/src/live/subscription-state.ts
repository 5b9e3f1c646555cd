/** The table of spec/delivery.md section 8, invariants S1 to S5. Pure: what to do about a change of state is the member's business. */
export const SUBSCRIPTION_STATES = ['starting', 'catching-up', 'live', 'ended'] as const;
export type SubscriptionState = (typeof SUBSCRIPTION_STATES)[number];

export const SUBSCRIPTION_INPUTS = [
  'joined-at-frontier',
  'joined-behind',
  'congested',
  'overflowed',
  'moved',
  'reached-frontier',
  'stopped',
  'failed',
] as const;
export type SubscriptionInput = (typeof SUBSCRIPTION_INPUTS)[number];

/** Null: cannot happen in that state; meeting it is a fault that leaves the state as it is. */
export const SUBSCRIPTION_TABLE: Readonly<Record<SubscriptionState, Readonly<Record<SubscriptionInput, SubscriptionState | null>>>> = {
  starting: {
    'joined-at-frontier': 'live',
    'joined-behind': 'catching-up',
    congested: null,
    overflowed: null,
    moved: 'starting',
    'reached-frontier': null,
    stopped: 'ended',
    failed: 'ended',
  },
  'catching-up': {
    'joined-at-frontier': null,
    'joined-behind': null,
    congested: 'catching-up',
    overflowed: 'catching-up',
    moved: 'catching-up',
    'reached-frontier': 'live',
    stopped: 'ended',
    failed: 'ended',
  },
  live: {
    'joined-at-frontier': null,
    'joined-behind': null,
    congested: 'catching-up',
    overflowed: 'catching-up',
    moved: 'catching-up',
    'reached-frontier': null,
    stopped: 'ended',
    failed: 'ended',
  },
  ended: {
    'joined-at-frontier': 'ended',
    'joined-behind': 'ended',
    congested: 'ended',
    overflowed: 'ended',
    moved: 'ended',
    'reached-frontier': 'ended',
    stopped: 'ended',
    failed: 'ended',
  },
};

export function nextSubscriptionState(state: SubscriptionState, input: SubscriptionInput): SubscriptionState | null {
  return SUBSCRIPTION_TABLE[state][input];
}
