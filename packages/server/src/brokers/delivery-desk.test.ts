import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { DeliveryDesk } from './delivery-desk.ts';
import type { SourceRecord } from './event-source.ts';

type Handle = { readonly place: number; readonly n: number };

type Command =
  | { readonly kind: 'admit'; readonly key: string; readonly place: number }
  | { readonly kind: 'pull'; readonly max: number }
  | { readonly kind: 'settle' | 'hold'; readonly which: number }
  | { readonly kind: 'park'; readonly which: number; readonly pause: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'drop'; readonly place: number };

const key = fc.constantFrom('a', 'b', '__proto__');
const place = fc.nat(1);
const which = fc.nat(20);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('admit' as const), key, place }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pull' as const), max: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('settle' as const, 'hold' as const), which }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('park' as const), which, pause: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 50 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), place }) },
);

const MAX = 8;

/** The desk beside a straight model: every record that is held, with what it waits for. */
class Model {
  readonly clock = new ManualClock();
  readonly desk = new DeliveryDesk<Handle>({ clock: this.clock, maxUnsettled: MAX, maxBytes: 1_000_000 });
  /** By number: held and not out, with the time before which it may not come. */
  readonly inside = new Map<number, { readonly key: string; readonly place: number; readonly due: number }>();
  readonly out = new Map<number, SourceRecord & { readonly place: number }>();
  readonly held = new Map<number, number>();
  readonly firsts = new Map<string, number>();
  next = 0;

  async apply(step: Command): Promise<void> {
    if (step.kind === 'admit') this.#admit(step.key, step.place);
    else if (step.kind === 'pull') await this.pull(step.max);
    else if (step.kind === 'wait') this.clock.advance(step.ms);
    else if (step.kind === 'drop') this.#drop(step.place);
    else this.#answer(step);
    // 1
    const unsettled = this.inside.size + this.out.size + this.held.size;
    expect(this.desk.unsettled).toBe(unsettled);
    expect(this.desk.hasRoom).toBe(unsettled < MAX);
  }

  #admit(orderKey: string, from: number): void {
    if (!this.desk.hasRoom) return;
    const n = this.next++;
    const raw = { topic: 't', key: orderKey, headers: new Map(), value: null, timestamp: 0 };
    this.desk.admit({ ...raw, position: String(n), orderKey, attempt: 1 }, { place: from, n });
    this.inside.set(n, { key: orderKey, place: from, due: 0 });
  }

  async pull(max: number): Promise<void> {
    const ready = [...this.inside].some(([n]) => this.#mayCome(n));
    if (!ready) return;
    const records = await this.desk.pull(max);
    expect(records.length).toBeGreaterThan(0);
    for (const record of records) {
      const n = Number(record.position);
      expect(this.#mayCome(n)).toBe(true); // 2 and 3
      if (record.attempt === 1) {
        expect(n).toBeGreaterThan(this.firsts.get(record.orderKey) ?? -1);
        this.firsts.set(record.orderKey, n);
      }
      this.out.set(n, { ...record, place: this.inside.get(n)!.place });
      this.inside.delete(n);
      this.#records.set(n, record);
    }
  }

  readonly #records = new Map<number, SourceRecord>();

  /** Due, and nothing of its key waits. */
  #mayCome(n: number): boolean {
    const own = this.inside.get(n);
    if (!own || own.due > this.clock.now()) return false;
    return own.due > 0 || ![...this.inside.values()].some(({ key: other, due }) => other === own.key && due > this.clock.now());
  }

  #answer(step: Command & { readonly which: number }): void {
    const n = [...this.out.keys()][step.which % Math.max(1, this.out.size)];
    if (n === undefined) return;
    const record = this.#records.get(n)!;
    const delivery = this.desk.out(record)!;
    const { orderKey, place: from } = this.out.get(n)!;
    this.out.delete(n);
    if (step.kind === 'settle') this.desk.forget(delivery);
    else if (step.kind === 'park') {
      const due = this.clock.now() + step.pause;
      this.desk.park(delivery, { ...record, attempt: record.attempt + 1 }, due, 'X: y');
      this.inside.set(n, { key: orderKey, place: from, due });
    } else {
      this.desk.hold(delivery);
      this.held.set(n, from);
    }
    expect(this.desk.out(record)).toBeNull();
  }

  #drop(from: number): void {
    this.desk.drop((handle) => handle.place === from);
    for (const held of [this.inside, this.out]) for (const [n, { place: of }] of held) if (of === from) held.delete(n);
    for (const [n, of] of this.held) if (of === from) this.held.delete(n);
    // What was dropped comes again by its place, from its beginning.
    this.firsts.clear();
  }
}

describe('the delivery desk', () => {
  it('keeps its invariants, and gives out everything in the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 80 }), async (commands) => {
        const model = new Model();
        for (const step of commands) await model.apply(step);
        model.clock.advance(1_000);
        while (model.inside.size > 0) await model.pull(10);
        expect(model.desk.waitingRetries).toBe(0);
        model.desk.close();
      }),
      { numRuns: 300 },
    );
  });

  it('wakes who waits for room, and who waits for a record', async () => {
    const clock = new ManualClock();
    const desk = new DeliveryDesk<number>({ clock, maxUnsettled: 1, maxBytes: 10 });
    const waiting = desk.pull(1);
    const raw = { topic: 't', key: null, headers: new Map(), value: Buffer.alloc(100), timestamp: 0 };
    const record: SourceRecord = { ...raw, position: '0', orderKey: 'k', attempt: 1 };
    // Beyond the bound in bytes, alone.
    desk.admit(record, 0);
    expect(await waiting).toEqual([record]);
    const room = desk.room();
    desk.forget(desk.out(record)!);
    await room;
    expect(desk.hasRoom).toBe(true);
  });
});
