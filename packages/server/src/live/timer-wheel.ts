import type { Clock, Timer } from '../kit/clock.ts';

/** Something that is due at a moment. `slot` belongs to the wheel. */
export interface WheelEntry {
  slot: number;
  /** Called at or up to one tick after the moment that it was scheduled for. May schedule itself again. */
  onDue(now: number): void;
}

const OFF = -1;

/**
 * One timer for all: entries stand in slots of one tick each, by a Map, so that any distance is allowed and an empty wheel has no timer.
 * Moving an entry costs two Set operations; a timer each would cost a hundred bytes and a heap for every connection.
 */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #slots = new Map<number, Set<WheelEntry>>();
  #timer: Timer | null = null;
  /** The last slot that was run. */
  #done: number;

  constructor(clock: Clock, tickMs = 1_000) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#done = Math.floor(clock.monotonic() / tickMs);
  }

  static entry(onDue: (now: number) => void): WheelEntry {
    return { slot: OFF, onDue };
  }

  /** `at` on the monotonic clock, ms. Replaces an earlier moment of the same entry. */
  schedule(entry: WheelEntry, at: number): void {
    this.cancel(entry);
    if (this.#timer === null) this.#done = Math.floor(this.#clock.monotonic() / this.#tickMs);
    entry.slot = Math.max(this.#done + 1, Math.ceil(at / this.#tickMs));
    let slot = this.#slots.get(entry.slot);
    if (!slot) this.#slots.set(entry.slot, (slot = new Set()));
    slot.add(entry);
    this.#timer ??= this.#clock.after(this.#tickMs, () => this.#tick());
  }

  cancel(entry: WheelEntry): void {
    const slot = this.#slots.get(entry.slot);
    slot?.delete(entry);
    if (slot?.size === 0) this.#slots.delete(entry.slot);
    entry.slot = OFF;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#slots.clear();
  }

  #tick(): void {
    this.#timer = null;
    const now = this.#clock.monotonic();
    const last = Math.floor(now / this.#tickMs);
    const due: WheelEntry[] = [];
    for (let slot = this.#done + 1; slot <= last; slot += 1) {
      for (const entry of this.#slots.get(slot) ?? []) due.push(entry);
      this.#slots.delete(slot);
    }
    this.#done = last;
    for (const entry of due) entry.slot = OFF;
    for (const entry of due) entry.onDue(now);
    if (this.#slots.size > 0) this.#timer ??= this.#clock.after(this.#tickMs, () => this.#tick());
  }
}
