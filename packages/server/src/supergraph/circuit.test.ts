import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CLOSED, type Circuit, admit, settle } from './circuit.ts';

const rules = { threshold: 3, openMs: 100 };
const step = fc.oneof(
  fc.record({ kind: fc.constant('admit' as const) }),
  fc.record({
    kind: fc.constant('settle' as const),
    outcome: fc.constantFrom('success' as const, 'failure' as const, 'cancelled' as const),
  }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 150 }) }),
);

describe('circuit breaker', () => {
  it('keeps its invariants C1 to C4 in any order of events', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let circuit: Circuit = CLOSED;
        let now = 0;
        let row = 0;
        for (const event of steps) {
          const before = circuit;
          if (event.kind === 'wait') now += event.ms;
          else if (event.kind === 'admit') {
            const decided = admit(circuit, now);
            circuit = decided.circuit;
            if (before.kind === 'open') expect(decided.admitted).toBe(now >= before.until); // C1
            if (before.kind === 'half-open') expect(decided.admitted).toBe(!before.probing); // C2
            if (before.kind === 'closed') expect(decided.admitted).toBe(true);
          } else {
            circuit = settle(circuit, event.outcome, now, rules);
            row = event.outcome === 'failure' ? row + 1 : event.outcome === 'success' ? 0 : row;
            if (before.kind === 'closed' && row < rules.threshold) expect(circuit.kind).toBe('closed'); // C3
            if (before.kind === 'open') expect(circuit).toBe(before); // C4
            if (circuit.kind !== 'closed') row = 0;
            if (before.kind !== 'closed') row = 0;
          }
        }
      }),
    );
  });
});
