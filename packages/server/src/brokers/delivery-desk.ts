import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Timer } from '../kit/clock.ts';
import type { LedgerRetry } from './delivery-ledger.ts';
import type { SourceRecord } from './event-source.ts';

/** A record between its arrival and its settlement. */
export type Delivery<T> = {
  record: SourceRecord;
  /** What the source needs to settle it: the partition, the delivery tag. */
  readonly handle: T;
  readonly bytes: number;
  state: 'ready' | 'held' | 'out' | 'waiting' | 'settling';
  due: number;
  firstError: string | null;
  lastError: string | null;
};

/** Setting a timer beyond this overflows to 1 ms (Node). */
const MAX_TIMER = 2_147_483_647;

/**
 * What every source on a foreign broker does between the broker and the caller: hands records out, bounds how many are unsettled, parks a
 * key whose record waits for a retry. Knows no broker. Records are known by identity, not by position: after a rebalance the same position
 * may come again while the caller still holds the older copy, and a settlement of that copy must not settle the new one.
 *
 * 1. Never more than `maxUnsettled` deliveries (or `maxBytes`, which one may exceed alone) are held; `room` tells when to fetch.
 * 2. A key with a waiting delivery hands out nothing behind it; what comes later is held, in order.
 * 3. Nothing waiting is handed out before its due time.
 */
export class DeliveryDesk<T> {
  readonly #clock: Clock;
  readonly #maxUnsettled: number;
  readonly #maxBytes: number;
  readonly #deliveries = new Map<SourceRecord, Delivery<T>>();
  readonly #parked = new Map<string, { waiting: number; held: Delivery<T>[] }>();
  #ready: Delivery<T>[] = [];
  #bytes = 0;
  #waiting = new Set<Delivery<T>>();
  #timer: Timer | null = null;
  #wakePull: (() => void)[] = [];
  #wakeRoom: (() => void)[] = [];
  #closed = false;
  #interrupted = false;

  constructor({ clock, maxUnsettled, maxBytes }: { clock: Clock; maxUnsettled: number; maxBytes: number }) {
    this.#clock = clock;
    this.#maxUnsettled = maxUnsettled;
    this.#maxBytes = maxBytes;
  }

  get unsettled(): number {
    return this.#deliveries.size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get waitingRetries(): number {
    return this.#waiting.size;
  }

  get hasRoom(): boolean {
    return this.#deliveries.size < this.#maxUnsettled && this.#bytes < this.#maxBytes;
  }

  /** Resolves when there is room for one more, or on close. */
  async room(): Promise<void> {
    while (!this.hasRoom && !this.#closed) await new Promise<void>((resolve) => this.#wakeRoom.push(resolve));
  }

  /** `due`: it waits for a retry that was asked for before a restart. */
  admit(
    record: SourceRecord,
    handle: T,
    retry: { readonly due: number; readonly firstError: string | null; readonly lastError: string | null } | null = null,
  ): void {
    if (this.#closed) return;
    const bytes = (record.value?.length ?? 0) + (record.key?.length ?? 0);
    const delivery: Delivery<T> = {
      record,
      handle,
      bytes,
      state: 'ready',
      due: retry?.due ?? 0,
      firstError: retry?.firstError ?? null,
      lastError: retry?.lastError ?? null,
    };
    this.#deliveries.set(record, delivery);
    this.#bytes += bytes;
    if (retry !== null && retry.due > this.#clock.now()) this.#wait(delivery);
    else this.#enqueue(delivery);
  }

  /** The delivery of a record that is out; null where it is not (any more): settled, or taken away by a rebalance. */
  out(record: SourceRecord): Delivery<T> | null {
    const delivery = this.#deliveries.get(record);
    return delivery?.state === 'out' ? delivery : null;
  }

  /** It stays counted, and is not handed out: its dead letter is on the way to the disk. */
  hold(delivery: Delivery<T>): void {
    delivery.state = 'settling';
  }

  isHere(delivery: Delivery<T>): boolean {
    return this.#deliveries.get(delivery.record) === delivery;
  }

  forget(delivery: Delivery<T>): void {
    if (!this.#deliveries.delete(delivery.record)) return;
    this.#bytes -= delivery.bytes;
    this.#signalRoom();
  }

  /** It comes back at `due` as `record`, which carries the raised attempt. */
  park(delivery: Delivery<T>, record: SourceRecord, due: number, error: string): void {
    this.#deliveries.delete(delivery.record);
    delivery.record = record;
    delivery.due = Math.ceil(due);
    delivery.firstError ??= error;
    delivery.lastError = error;
    this.#deliveries.set(record, delivery);
    this.#wait(delivery);
  }

  /** Takes away what matches, wherever it stands; the caller's later settlements of it count for nothing. */
  drop(matches: (handle: T) => boolean): number {
    const gone = [...this.#deliveries.values()].filter(({ handle }) => matches(handle));
    for (const delivery of gone) {
      this.#deliveries.delete(delivery.record);
      this.#bytes -= delivery.bytes;
      if (this.#waiting.delete(delivery)) this.#release(delivery.record.orderKey);
    }
    const left = (delivery: Delivery<T>): boolean => this.isHere(delivery);
    this.#ready = this.#ready.filter(left);
    for (const parked of this.#parked.values()) parked.held = parked.held.filter(left);
    this.#signalRoom();
    return gone.length;
  }

  async pull(max: number): Promise<readonly SourceRecord[]> {
    this.#interrupted = false;
    while (!this.#closed && !this.#interrupted) {
      if (this.#ready.length > 0) {
        const batch = this.#ready.slice(0, max);
        this.#ready = this.#ready.slice(batch.length);
        for (const delivery of batch) delivery.state = 'out';
        return batch.map(({ record }) => record);
      }
      await new Promise<void>((resolve) => this.#wakePull.push(resolve));
      // Records arrive one by one: without this turn each would be a batch, and a publish, of its own.
      await nextTurn();
    }
    return [];
  }

  /** Ends a waiting `pull` with an empty batch. */
  interruptPull(): void {
    this.#interrupted = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#wakePull.splice(0)) wake();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#ready = [];
    this.#wake();
    this.#signalRoom();
  }

  /** What a ledger is to keep of the deliveries that were tried before: those that wait and those out again. */
  retries(offsetOf: (handle: T) => number | null): readonly LedgerRetry[] {
    const out: LedgerRetry[] = [];
    for (const { state, handle, record, due, firstError, lastError } of this.#deliveries.values()) {
      if (state !== 'waiting' && record.attempt === 1) continue;
      const offset = offsetOf(handle);
      if (offset !== null) out.push({ offset, due, attempt: record.attempt, firstError, lastError });
    }
    return out;
  }

  #enqueue(delivery: Delivery<T>): void {
    const parked = this.#parked.size === 0 ? undefined : this.#parked.get(delivery.record.orderKey);
    if (parked) {
      delivery.state = 'held';
      parked.held.push(delivery);
      return;
    }
    delivery.state = 'ready';
    this.#ready.push(delivery);
    this.#wake();
  }

  #wait(delivery: Delivery<T>): void {
    delivery.state = 'waiting';
    this.#waiting.add(delivery);
    const key = delivery.record.orderKey;
    const parked = this.#parked.get(key);
    if (parked) parked.waiting += 1;
    // What stands ready behind it must not overtake it.
    else this.#parked.set(key, { waiting: 1, held: this.#takeReady(key) });
    this.#arm();
  }

  #takeReady(key: string): Delivery<T>[] {
    const held = this.#ready.filter(({ record }) => record.orderKey === key);
    if (held.length > 0) this.#ready = this.#ready.filter(({ record }) => record.orderKey !== key);
    for (const delivery of held) delivery.state = 'held';
    return held;
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#waiting.size === 0 || this.#closed) return;
    let due = Number.POSITIVE_INFINITY;
    for (const delivery of this.#waiting) due = Math.min(due, delivery.due);
    this.#timer = this.#clock.after(Math.max(0, Math.min(MAX_TIMER, due - this.#clock.now())), () => this.#deliverDue());
  }

  #deliverDue(): void {
    const now = this.#clock.now();
    const due = [...this.#waiting].filter((delivery) => delivery.due <= now).sort((a, b) => a.due - b.due);
    for (const delivery of due) {
      this.#waiting.delete(delivery);
      delivery.state = 'ready';
      this.#ready.push(delivery);
      this.#release(delivery.record.orderKey);
    }
    this.#arm();
    if (due.length > 0) this.#wake();
  }

  #release(key: string): void {
    const parked = this.#parked.get(key);
    if (!parked) return;
    parked.waiting -= 1;
    if (parked.waiting > 0) return;
    this.#parked.delete(key);
    for (const delivery of parked.held) {
      if (!this.isHere(delivery)) continue;
      delivery.state = 'ready';
      this.#ready.push(delivery);
    }
    this.#wake();
  }

  #signalRoom(): void {
    if (!this.hasRoom && !this.#closed) return;
    for (const wake of this.#wakeRoom.splice(0)) wake();
  }
}
