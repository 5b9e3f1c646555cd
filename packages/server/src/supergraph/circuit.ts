/**
 * Circuit breaker of one subgraph: pure decisions, the caller has the clock.
 *
 * | state     | may | success  | failure                          | time over  |
 * |-----------|-----|----------|----------------------------------|------------|
 * | closed    | yes | closed 0 | count + 1; open at the threshold | –          |
 * | open      | no  | open     | open                             | half-open  |
 * | half-open | one | closed 0 | open                             | –          |
 *
 * Invariants: C1 open refuses everything until its time is over. C2 half-open admits one request at a time. C3 fewer than `threshold`
 * failures in a row never open it. C4 answers of requests that started before it opened change nothing while it is open.
 */
export type Circuit =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly until: number }
  | { readonly kind: 'half-open'; readonly probing: boolean };

export type CircuitRules = { readonly threshold: number; readonly openMs: number };

export const CLOSED: Circuit = { kind: 'closed', failures: 0 };

/** Whether a request may go, and the state after that decision. */
export function admit(circuit: Circuit, now: number): { readonly admitted: boolean; readonly circuit: Circuit } {
  switch (circuit.kind) {
    case 'closed':
      return { admitted: true, circuit };
    case 'open':
      return now < circuit.until ? { admitted: false, circuit } : { admitted: true, circuit: { kind: 'half-open', probing: true } };
    case 'half-open':
      return circuit.probing ? { admitted: false, circuit } : { admitted: true, circuit: { kind: 'half-open', probing: true } };
  }
}

export type CircuitOutcome =
  | 'success'
  | 'failure'
  /** The caller went away: it says nothing about the subgraph. */
  | 'cancelled';

export function settle(circuit: Circuit, outcome: CircuitOutcome, now: number, rules: CircuitRules): Circuit {
  switch (circuit.kind) {
    case 'closed': {
      if (outcome === 'cancelled') return circuit;
      if (outcome === 'success') return circuit.failures === 0 ? circuit : CLOSED;
      const failures = circuit.failures + 1;
      return failures >= rules.threshold ? { kind: 'open', until: now + rules.openMs } : { kind: 'closed', failures };
    }
    case 'open':
      return circuit;
    case 'half-open':
      if (outcome === 'cancelled') return { kind: 'half-open', probing: false };
      return outcome === 'success' ? CLOSED : { kind: 'open', until: now + rules.openMs };
  }
}
