import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Lanes, type Run } from './lanes.ts';

type Item = { readonly key: string; readonly n: number };

type Command =
  | { readonly kind: 'admit'; readonly key: string }
  | { readonly kind: 'take'; readonly max: number }
  | { readonly kind: 'finish'; readonly which: number }
  | { readonly kind: 'park'; readonly which: number; readonly keep: readonly boolean[]; readonly pause: number }
  | { readonly kind: 'wait'; readonly ms: number };

const key = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor');
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('admit' as const), key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('take' as const), max: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('finish' as const), which: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('park' as const),
      which: fc.nat(9),
      keep: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
      pause: fc.integer({ min: 1, max: 50 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 60 }) }) },
);

const limits = { capacity: 8, maxBusy: 3, maxRun: 3 };

/** Drives lanes beside a straight model: a list per key of what is not done, in order. */
class Model {
  readonly lanes = new Lanes<Item>(limits);
  readonly open = new Map<string, Item[]>();
  readonly out: Run<Item>[] = [];
  readonly due = new Map<string, number>();
  readonly finished = new Set<Item>();
  now = 0;
  admitted = 0;
  accepted = 0;

  apply(command: Command): void {
    if (command.kind === 'admit') this.admit(command.key);
    else if (command.kind === 'take') this.take(command.max);
    else if (command.kind === 'finish') this.return(command.which, []);
    else if (command.kind === 'park') this.return(command.which, command.keep, this.now + command.pause);
    else this.now += command.ms;
    this.check();
  }

  admit(key: string): void {
    const item = { key, n: this.admitted++ };
    const hadRoom = this.heldByModel() < limits.capacity;
    expect(this.lanes.admit(key, item)).toBe(hadRoom); // 1
    if (hadRoom) this.accepted++;
    if (hadRoom) this.open.set(key, [...(this.open.get(key) ?? []), item]);
  }

  take(max: number): void {
    const runs = this.lanes.take(this.now, max);
    expect(runs.reduce((sum, run) => sum + run.items.length, 0)).toBeLessThanOrEqual(max);
    for (const run of runs) {
      expect(run.items.length).toBeGreaterThan(0);
      expect(run.items.length).toBeLessThanOrEqual(limits.maxRun);
      expect(this.out.some((other) => other.key === run.key)).toBe(false); // 2
      expect(run.items).toEqual((this.open.get(run.key) ?? []).slice(0, run.items.length)); // 3
      expect(this.due.get(run.key) ?? 0).toBeLessThanOrEqual(this.now); // 4
      this.due.delete(run.key);
      this.out.push(run);
    }
  }

  return(which: number, keep: readonly boolean[], due = 0): void {
    const run = this.out[which % Math.max(1, this.out.length)];
    if (!run) return;
    this.out.splice(this.out.indexOf(run), 1);
    const rest = run.items.filter((_, i) => keep[i]);
    for (const item of run.items) {
      if (rest.includes(item)) continue;
      expect(this.finished.has(item)).toBe(false); // 5
      this.finished.add(item);
    }
    this.open.set(
      run.key,
      (this.open.get(run.key) ?? []).filter((item) => !this.finished.has(item)),
    );
    if (due > 0) this.lanes.park(run, rest, due);
    else this.lanes.finish(run);
    if (rest.length > 0) this.due.set(run.key, due);
  }

  heldByModel(): number {
    return [...this.open.values()].reduce((sum, items) => sum + items.length, 0);
  }

  check(): void {
    expect(this.lanes.held).toBe(this.heldByModel()); // 1, 5, 7
    expect(this.lanes.busy).toBe(this.out.length);
    expect(this.lanes.busy).toBeLessThanOrEqual(limits.maxBusy); // 6
    expect(this.lanes.parkedLanes).toBeLessThanOrEqual(limits.capacity); // 7
    const waiting = [...this.open].some(
      ([key, items]) => items.length > 0 && !this.out.some((run) => run.key === key) && (this.due.get(key) ?? 0) <= this.now,
    );
    expect(this.lanes.hasReady(this.now)).toBe(waiting && this.out.length < limits.maxBusy);
  }

  /** Everything admitted can be brought to its end. */
  drain(): void {
    for (let guard = 0; this.lanes.held > 0; guard++) {
      expect(guard).toBeLessThan(1_000);
      this.now += 100;
      this.take(100);
      while (this.out.length > 0) this.return(0, []);
    }
    this.check();
  }
}

describe('lanes', () => {
  test('keep invariants 1 to 7 under any sequence of calls', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
        const model = new Model();
        for (const one of commands) model.apply(one);
        model.drain();
        expect(model.finished.size).toBe(model.accepted);
      }),
      { numRuns: 500 },
    );
  });

  test('a busy key does not starve the others (8)', () => {
    const lanes = new Lanes<number>({ capacity: 100, maxBusy: 1, maxRun: 2 });
    for (let i = 0; i < 50; i++) lanes.admit('noisy', i);
    lanes.admit('quiet', 1_000);
    const order: string[] = [];
    for (let i = 0; i < 3; i++) {
      for (const run of lanes.take(0, 10)) {
        order.push(run.key);
        lanes.finish(run);
      }
    }
    expect(order).toEqual(['noisy', 'quiet', 'noisy']);
  });

  test('a parked key holds back its later items and lets other keys pass', () => {
    const lanes = new Lanes<string>({ capacity: 10, maxBusy: 10, maxRun: 10 });
    lanes.admit('a', 'a1');
    const [run] = lanes.take(0, 10);
    if (!run) throw new Error('no run');
    lanes.park(run, run.items, 100);
    lanes.admit('a', 'a2');
    lanes.admit('b', 'b1');
    expect(lanes.take(99, 10).flatMap((one) => one.items)).toEqual(['b1']);
    expect(lanes.earliestDue).toBe(100);
    expect(lanes.take(100, 10).flatMap((one) => one.items)).toEqual(['a1', 'a2']);
  });

  test('clear gives back what waits and keeps account of what is out', () => {
    const lanes = new Lanes<string>({ capacity: 10, maxBusy: 10, maxRun: 1 });
    lanes.admit('a', 'a1');
    lanes.admit('a', 'a2');
    lanes.admit('b', 'b1');
    const [run] = lanes.take(0, 1);
    if (!run) throw new Error('no run');
    expect([...lanes.clear()].toSorted()).toEqual(['a2', 'b1']);
    expect(lanes.held).toBe(1);
    lanes.finish(run);
    expect(lanes.held).toBe(0);
  });

  test('a run that is not out cannot be returned', () => {
    const lanes = new Lanes<string>({ capacity: 10, maxBusy: 10, maxRun: 1 });
    expect(() => lanes.finish({ key: 'a', items: ['x'] })).toThrow('not out');
  });
});
