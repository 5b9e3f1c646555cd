import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closeReasons, drainReason } from './close-reasons.ts';
import { nextSessionStep, SESSION_INPUTS, SESSION_STATES, SESSION_TABLE, type SessionState } from './session-state.ts';
import {
  nextSubscriptionState,
  SUBSCRIPTION_INPUTS,
  SUBSCRIPTION_STATES,
  SUBSCRIPTION_TABLE,
  type SubscriptionState,
} from './subscription-state.ts';

const spec = readFileSync(new URL('../../../../spec/delivery.md', import.meta.url), 'utf8');

/** Rows of a section's table: first cell's `input`, then the other cells. */
function tableOf(section: string): Map<string, string[]> {
  const text = spec.slice(spec.indexOf(section));
  const rows = [...text.slice(0, text.indexOf('\n- **S')).matchAll(/^\| `([^`]+)`[^|]*\|(.+)\|$/gm)];
  return new Map(rows.map(([, input, cells]) => [input ?? '', (cells ?? '').split('|').map((cell) => cell.trim())]));
}

describe('subscription states', () => {
  it('are the table of spec/delivery.md', () => {
    const rows = tableOf('## 8.');
    expect([...rows.keys()]).toEqual([...SUBSCRIPTION_INPUTS]);
    for (const input of SUBSCRIPTION_INPUTS) {
      expect(rows.get(input), input).toEqual(SUBSCRIPTION_STATES.map((state) => SUBSCRIPTION_TABLE[state][input] ?? '–'));
    }
  });

  it('S1, S3: ended is final, and only reached-frontier leads from catching-up to live', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...SUBSCRIPTION_INPUTS)), (inputs) => {
        let state: SubscriptionState = 'starting';
        for (const input of inputs) {
          const next = nextSubscriptionState(state, input);
          if (next === null) continue;
          if (state === 'ended') expect(next).toBe('ended');
          if (state === 'catching-up' && next === 'live') expect(input).toBe('reached-frontier');
          if (state !== 'starting') expect(next).not.toBe('starting');
          state = next;
        }
      }),
    );
  });
});

describe('session states', () => {
  it('are the table of spec/delivery.md', () => {
    const rows = tableOf('## 9.');
    expect([...rows.keys()]).toEqual([...SESSION_INPUTS]);
    for (const input of SESSION_INPUTS) {
      for (const [at, state] of SESSION_STATES.entries()) {
        const cells = rows.get(input) ?? [];
        const cell = cells[at] === 'the same' ? cells[at - 1] : cells[at];
        const { state: next, close } = SESSION_TABLE[state][input];
        const reason = input === 'drain' ? 'Going away, retry in N ms' : close?.reason;
        expect(cell, `${input} in ${state}`).toBe(close ? `${next}, ${close.code} *${reason}*` : next);
      }
    }
  });

  it('S7: tells the transport at most once, and never after it is gone', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...SESSION_INPUTS)), (inputs) => {
        let state: SessionState = 'open';
        let closings = 0;
        for (const input of inputs) {
          const step = nextSessionStep(state, input);
          if (step.close) closings += 1;
          if (state === 'ended') expect(step).toEqual({ state: 'ended', close: null });
          state = step.state;
        }
        expect(closings).toBeLessThanOrEqual(1);
        if (inputs.includes('transport-gone')) expect(state).toBe('ended');
      }),
    );
  });
});

describe('close reasons', () => {
  it('fit a close frame and have labels of their own', () => {
    const all = [...Object.values(closeReasons), drainReason(2 ** 31)];
    for (const { reason } of all) expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
    const labels = Object.values(closeReasons).map(({ label }) => label);
    expect(new Set(labels).size).toBe(labels.length);
  });
});
