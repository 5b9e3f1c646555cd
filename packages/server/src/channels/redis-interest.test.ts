import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { Picture } from './redis-interest.ts';
import type { InterestNote } from './redis-messages.ts';

const NAMES = ['a', 'b', 'c'];

/** What Redis does: each step is one version, in which one name comes or goes. */
function history(steps: readonly boolean[][]): { readonly notes: InterestNote[]; at(version: number): Set<string> } {
  const states = [new Set<string>()];
  const notes: InterestNote[] = [];
  for (const [which = false, other = false] of steps) {
    const name = NAMES[Number(which) + Number(other)]!;
    const next = new Set(states.at(-1));
    const kind = next.has(name) ? 'removed' : 'added';
    if (kind === 'added') next.add(name);
    else next.delete(name);
    states.push(next);
    notes.push({ version: states.length - 1, kind, names: [name] });
  }
  return { notes, at: (version) => states[version]! };
}

const chances = fc.array(fc.record({ lost: fc.boolean(), read: fc.constantFrom('no', 'begin', 'end'), wait: fc.nat(4) }), {
  minLength: 30,
  maxLength: 30,
});

it('I1, I2: never denies a channel of the version that it says it has seen, whatever is lost and however reading and notes interleave', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.boolean()), { maxLength: 30 }), chances, (steps, luck) => {
      const { notes, at } = history(steps);
      const picture = new Picture(new ManualClock());
      let reading: number | null = null;
      let seen = -1;
      const check = (): void => {
        if (!picture.seen) return;
        const { version } = picture.seen;
        expect(version).toBeGreaterThanOrEqual(seen);
        seen = version;
        for (const name of NAMES) expect(picture.includes(name)).toBe(at(version).has(name));
      };
      notes.forEach((note, i) => {
        const { lost, read, wait } = luck[i]!;
        if (read === 'begin' && reading === null) {
          picture.beginReading();
          // Redis answers from what it has now; the answer arrives later than some notes that are newer.
          reading = Math.min(notes.length, note.version + wait);
          seen = -1;
        }
        if (!lost) picture.note(note);
        if (read === 'end' && reading !== null && reading <= note.version) {
          picture.read('run', reading, [...at(reading)], Number.POSITIVE_INFINITY);
          reading = null;
        }
        check();
      });
    }),
    { numRuns: 2_000 },
  );
});

it('denies nothing after its lease, and before it has been read', () => {
  const clock = new ManualClock();
  const picture = new Picture(clock);
  expect(picture.includes('a')).toBe(true);
  picture.beginReading();
  picture.read('run', 1, [], clock.monotonic() + 100);
  expect([picture.includes('a'), picture.usable]).toEqual([false, true]);
  clock.advance(100);
  expect([picture.includes('a'), picture.usable]).toEqual([true, false]);
  picture.renewed(1, clock.monotonic() + 100);
  expect(picture.includes('a')).toBe(false);
});

it('is forgotten when a note that Redis has sent does not come from one renewal to the next', () => {
  const picture = new Picture(new ManualClock());
  picture.beginReading();
  picture.read('run', 1, [], Number.POSITIVE_INFINITY);
  expect(picture.renewed(2, Number.POSITIVE_INFINITY)).toBe(true);
  expect(picture.includes('a')).toBe(false);
  expect(picture.renewed(2, Number.POSITIVE_INFINITY)).toBe(false);
  expect(picture.includes('a')).toBe(true);
});
