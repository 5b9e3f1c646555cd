import type { Clock, Timer } from './clock.ts';

/**
 * One timer for many deadlines that need not be exact: keep-alive, time-outs, expiry. A deadline fires up to one tick late, never early.
 * Entries are the caller's own objects (nothing is allocated for an entry but its place in a Set); the timer runs only while
 * there is at least one. Deadlines longer than a round of the wheel wait for as many rounds as they need.
 */
export interface WheelEntry {
  /** Owned by the wheel; start with -1, not scheduled. */
  wheelSlot: number;
  wheelRounds: number;
  /** Called once when the deadline has passed. Must not throw. May schedule itself again. */
  onDue(): void;
}

export class Wheel {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #slots: Set<WheelEntry>[];
  #position = 0;
  #size = 0;
  #timer: Timer | null = null;

  /** `tickMs` × `slots` is the longest deadline of a single round. */
  constructor(clock: Clock, tickMs = 250, slots = 256) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#slots = Array.from({ length: slots }, () => new Set());
  }

  get size(): number {
    return this.#size;
  }

  /** Replaces an earlier deadline of the same entry. */
  schedule(entry: WheelEntry, ms: number): void {
    this.cancel(entry);
    // One tick more than asked: the current tick is already partly over, and early would break a protocol's time-out.
    const ticks = Math.max(1, Math.ceil(ms / this.#tickMs)) + 1;
    entry.wheelSlot = (this.#position + ticks) % this.#slots.length;
    entry.wheelRounds = Math.floor((ticks - 1) / this.#slots.length);
    this.#slots[entry.wheelSlot]!.add(entry);
    this.#size++;
    this.#arm();
  }

  cancel(entry: WheelEntry): void {
    if (entry.wheelSlot >= 0 && this.#slots[entry.wheelSlot]!.delete(entry)) this.#size--;
    entry.wheelSlot = IDLE;
  }

  /** Forgets every deadline without calling anybody. */
  close(): void {
    for (const slot of this.#slots) {
      for (const entry of slot) entry.wheelSlot = IDLE;
      slot.clear();
    }
    this.#size = 0;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(): void {
    this.#timer ??= this.#clock.after(this.#tickMs, () => this.#tick());
  }

  #tick(): void {
    this.#timer = null;
    this.#position = (this.#position + 1) % this.#slots.length;
    for (const entry of this.#takeDue(this.#slots[this.#position]!)) {
      // An earlier one of the same tick may have cancelled it or given it a new deadline.
      if (entry.wheelSlot !== FIRING) continue;
      entry.wheelSlot = IDLE;
      entry.onDue();
    }
    if (this.#size > 0) this.#arm();
  }
  /** Taken out before any of them runs, because they schedule themselves again, which may land in this very slot. */
  #takeDue(slot: Set<WheelEntry>): WheelEntry[] {
    const due: WheelEntry[] = [];
    for (const entry of slot) {
      if (entry.wheelRounds > 0) {
        entry.wheelRounds--;
        continue;
      }
      slot.delete(entry);
      entry.wheelSlot = FIRING;
      this.#size--;
      due.push(entry);
    }
    return due;
  }
}

const IDLE = -1;
const FIRING = -2;
