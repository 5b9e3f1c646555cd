import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from './clock.ts';
import { Wheel, type WheelEntry } from './wheel.ts';

type Probe = WheelEntry & { due: number[] };

function probe(clock: ManualClock): Probe {
  const due: number[] = [];
  return { wheelSlot: -1, wheelRounds: 0, due, onDue: () => void due.push(clock.monotonic()) };
}

describe('Wheel', () => {
  it('fires each deadline once, never early and at most two ticks late, whatever the order of scheduling', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 40 }), (delays) => {
        const clock = new ManualClock(0);
        const wheel = new Wheel(clock, 10, 16);
        const probes = delays.map((ms) => {
          clock.advance(3);
          const entry = probe(clock);
          const at = clock.monotonic();
          wheel.schedule(entry, ms);
          return { entry, wanted: at + ms };
        });
        clock.advance(10_000);
        for (const { entry, wanted } of probes) {
          expect(entry.due).toHaveLength(1);
          expect(entry.due[0]).toBeGreaterThanOrEqual(wanted);
          expect(entry.due[0]).toBeLessThanOrEqual(wanted + 20);
        }
        expect(wheel.size).toBe(0);
      }),
    );
  });

  it('does not fire what was cancelled, and a new deadline replaces the old', () => {
    const clock = new ManualClock(0);
    const wheel = new Wheel(clock, 10, 16);
    const cancelled = probe(clock);
    const moved = probe(clock);
    wheel.schedule(cancelled, 50);
    wheel.schedule(moved, 50);
    wheel.schedule(moved, 500);
    wheel.cancel(cancelled);
    clock.advance(200);
    expect(cancelled.due).toEqual([]);
    expect(moved.due).toEqual([]);
    clock.advance(400);
    expect(moved.due).toHaveLength(1);
  });

  it('lets an entry schedule itself again, also a whole round ahead, and cancel another of the same tick', () => {
    const clock = new ManualClock(0);
    const wheel = new Wheel(clock, 10, 16);
    const victim = probe(clock);
    let fired = 0;
    const repeating: WheelEntry = {
      wheelSlot: -1,
      wheelRounds: 0,
      onDue() {
        fired++;
        wheel.cancel(victim);
        if (fired < 3) wheel.schedule(repeating, 150);
      },
    };
    wheel.schedule(repeating, 50);
    wheel.schedule(victim, 50);
    clock.advance(1_000);
    expect(fired).toBe(3);
    expect(victim.due).toEqual([]);
    expect(wheel.size).toBe(0);
  });
});
