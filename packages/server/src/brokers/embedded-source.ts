import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { RawRecord } from '../events/record.ts';
import type { Clock, Timer } from '../kit/clock.ts';
import { reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { NewDeadLetter } from './dead-letters.ts';
import { deadLetterOf } from './dead-settlement.ts';
import type { EmbeddedDeadLetters } from './embedded-dead-letters.ts';
import type { EventSource, Settlement, SourceRecord } from './event-source.ts';
import type { GroupCommit, Participant } from './group-commit.ts';
import { type Appended, type LoggedRecord, type LogStore, recordBytes } from './log-store.ts';
import type { BrokersMetrics } from './metrics.ts';
import { type Retry, RetrySchedule } from './retry-schedule.ts';
import { SettlementWindow } from './settlement-window.ts';

export type SourceOptions = {
  /** Records taken from the log and not settled, those waiting for a retry included. */
  readonly maxUnsettled: number;
  /** Their bytes. One record may exceed it alone. */
  readonly maxUnsettledBytes: number;
  /** Where a group without a committed position begins. */
  readonly start: 'earliest' | 'latest';
  /** Ms that `done` settlements may wait for another transaction to travel in. A kill within them redelivers, nothing more. */
  readonly settleDelayMs: number;
};

export const SOURCE_DEFAULTS: SourceOptions = {
  maxUnsettled: 10_000,
  maxUnsettledBytes: 64 * 1024 * 1024,
  start: 'earliest',
  settleDelayMs: 100,
};

/** Positions between the first unsettled record and the last one taken: one byte each. */
const WINDOW = 1_048_576;
/** Records read from the file at once; bounds the stall of the event loop. */
const READ_AT_ONCE = 500;
/** Setting a timer beyond this overflows to 1 ms (Node). */
const MAX_TIMER = 2_147_483_647;

type Change =
  | { readonly kind: 'retry'; readonly retry: Retry; readonly due: number; readonly attempt: number; readonly lastError: string }
  | { readonly kind: 'forget'; readonly position: number }
  | { readonly kind: 'dead'; readonly letter: NewDeadLetter };

export type SourceDeps = {
  readonly db: DatabaseSync;
  readonly commit: GroupCommit;
  readonly store: LogStore;
  readonly deadLetters: EmbeddedDeadLetters;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: BrokersMetrics;
};

/** One consumer group of the embedded log. Everything it knows is rebuilt from the file by `open`. */
export class EmbeddedSource implements EventSource, Participant {
  readonly name: string;
  readonly #group: string;
  readonly #deps: SourceDeps;
  readonly #options: SourceOptions;
  readonly #upsertRetry: StatementSync;
  readonly #deleteRetry: StatementSync;
  readonly #updateCommitted: StatementSync;
  readonly #updateWindow: StatementSync;
  readonly #settledCounts: Readonly<Record<Settlement['kind'], { inc(): void }>>;
  readonly #retries = new RetrySchedule();
  /** Keys with a waiting retry, and what came after it: held back, so that order per key survives a restart in the middle of a retry. */
  readonly #parked = new Map<string, { waiting: number; held: SourceRecord[] }>();
  #window: SettlementWindow | null = null;
  #ready: SourceRecord[] = [];
  #unsettled = 0;
  #unsettledBytes = 0;
  #persisted = 0;
  #changes: Change[] = [];
  #inTransaction = { committed: 0, changes: 0 };
  #waiters: (() => void)[] = [];
  #retryTimer: Timer | null = null;
  #settleTimer: Timer | null = null;
  #persistQueued = false;
  /** Settlements since the list of outstanding positions was written. */
  #unwritten = false;
  /** The next transaction writes it. */
  #writeWindow = false;
  #closed = false;

  constructor(group: string, options: SourceOptions, deps: SourceDeps) {
    this.name = 'embedded';
    this.#group = group;
    this.#options = options;
    this.#deps = deps;
    const child = (kind: Settlement['kind']) => deps.metrics.settled.labels(group, kind);
    this.#settledCounts = { done: child('done'), retry: child('retry'), dead: child('dead') };
    this.#upsertRetry = deps.db.prepare(
      'INSERT OR REPLACE INTO retry (consumer, position, due, attempt, first_error, last_error) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#deleteRetry = deps.db.prepare('DELETE FROM retry WHERE consumer = ? AND position = ?');
    this.#updateCommitted = deps.db.prepare('UPDATE consumer SET committed = ? WHERE name = ?');
    this.#updateWindow = deps.db.prepare('UPDATE consumer SET taken = ?, outstanding = ? WHERE name = ?');
  }

  async open(): Promise<void> {
    if (this.#window !== null || this.#closed) return;
    const { db, commit, store } = this.#deps;
    const first = this.#options.start === 'latest' ? store.durableTop : 0;
    const row = await commit.submit(0, 0, () => {
      db.prepare("INSERT INTO consumer (name, committed, taken, outstanding) VALUES (?, ?, 0, '[]') ON CONFLICT DO NOTHING").run(
        this.#group,
        first,
      );
      return db.prepare('SELECT committed, taken, outstanding FROM consumer WHERE name = ?').get(this.#group);
    });
    this.#persisted = Number(row?.['committed']);
    this.#window = new SettlementWindow(this.#persisted, WINDOW);
    this.#loadRetries();
    this.#loadOutstanding(this.#window, Number(row?.['taken']), JSON.parse(String(row?.['outstanding'])) as number[]);
    commit.join(this);
    this.#armRetries();
  }

  async pull(max: number): Promise<readonly SourceRecord[]> {
    while (!this.#closed) {
      if (this.#ready.length === 0) this.#read();
      if (this.#ready.length > 0) return this.#hand(max);
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    return [];
  }

  settle(record: SourceRecord, settlement: Settlement): void {
    const window = this.#window;
    if (this.#closed || window === null) return;
    const position = Number(record.position);
    const retry = this.#retries.get(position);
    if (retry ? retry.state !== 'out' : !window.settle(position)) {
      this.#deps.logger.error({ position: record.position, kind: settlement.kind }, 'a record was settled that is not out; ignored');
      return;
    }
    this.#unwritten = true;
    this.#unsettledBytes -= recordBytes(record);
    if (!retry) this.#unsettled -= 1;
    this.#settledCounts[settlement.kind].inc();
    this.#apply(record, position, retry, settlement);
    this.#wake();
  }

  async flush(): Promise<void> {
    if (this.#unwritten) this.#writeWindow = true;
    if (this.#dirty()) await this.#deps.commit.submit(0, 0, () => {});
  }

  async lag(): Promise<number> {
    return this.behind;
  }

  get behind(): number {
    const window = this.#window;
    if (window === null) return 0;
    return Math.max(0, this.#deps.store.durableTop - window.top) + this.#unsettled + this.#retries.size;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#retryTimer?.cancel();
    this.#settleTimer?.cancel();
    this.#ready = [];
    this.#parked.clear();
    this.#wake();
    await this.flush();
  }

  /** Appends that have just become durable, straight from memory where the group is up to date; else they are read when it is their turn. */
  feed(appended: readonly Appended[], previousTop: number): void {
    const window = this.#window;
    if (window === null || this.#closed) return;
    if (window.top === previousTop) {
      for (const { position, record } of appended) {
        if (this.#room() === 0) break;
        this.#admit(window, position, record);
      }
    }
    this.#wake();
  }

  write(): void {
    const committed = this.#window?.committed ?? 0;
    this.#inTransaction = { committed, changes: this.#changes.length };
    for (const change of this.#changes) this.#store(change);
    if (committed !== this.#persisted) this.#updateCommitted.run(committed, this.#group);
    // Not with every transaction that passes: the list may be long.
    if (this.#window !== null && (this.#writeWindow || this.#changes.length > 0)) {
      this.#updateWindow.run(this.#window.top, JSON.stringify(this.#window.outstanding()), this.#group);
    }
  }

  written(): void {
    this.#persisted = this.#inTransaction.committed;
    if (this.#writeWindow || this.#inTransaction.changes > 0) this.#unwritten = false;
    this.#writeWindow = false;
    if (this.#inTransaction.changes > 0) this.#changes = this.#changes.slice(this.#inTransaction.changes);
  }

  rolledBack(): void {
    // The disk was full, say: nothing is forgotten, it travels in the next transaction.
    if (this.#dirty() && !this.#closed) this.#persistLater();
  }

  durable(): void {}

  /** For metrics. */
  get waitingRetries(): number {
    return this.#retries.waiting;
  }

  #room(): number {
    if (this.#window === null || this.#unsettledBytes >= this.#options.maxUnsettledBytes) return 0;
    return Math.max(0, Math.min(this.#options.maxUnsettled - this.#unsettled - this.#retries.size, this.#window.room));
  }

  #read(): void {
    const window = this.#window;
    if (window === null || window.top >= this.#deps.store.durableTop) return;
    const limit = Math.min(READ_AT_ONCE, this.#room());
    if (limit === 0) return;
    const rows = this.#deps.store.range(window.top, limit);
    if (rows.length === 0) window.skipTo(this.#deps.store.durableTop);
    for (const row of rows) {
      if (this.#room() === 0) break;
      window.skipTo(row.logPosition - 1);
      this.#admit(window, row.logPosition, row);
    }
  }

  #admit(window: SettlementWindow, position: number, raw: RawRecord): void {
    window.take(position);
    // Parked before a restart, though not yet behind the committed position: it comes when it is due.
    if (this.#retries.size > 0 && this.#retries.get(position)) window.settle(position);
    else this.#enqueue(raw, position);
  }

  #enqueue(raw: RawRecord, position: number): void {
    const record = sourceRecord(raw, position, 1);
    this.#unsettled += 1;
    this.#unsettledBytes += recordBytes(raw);
    const parked = this.#parked.size === 0 ? undefined : this.#parked.get(record.orderKey);
    if (parked) parked.held.push(record);
    else this.#ready.push(record);
  }

  #hand(max: number): readonly SourceRecord[] {
    const ready = this.#ready;
    const batch = ready.length <= max ? ready : ready.slice(0, max);
    this.#ready = ready.length <= max ? [] : ready.slice(max);
    this.#deps.metrics.delivered.inc({ group: this.#group }, batch.length);
    return batch;
  }

  #apply(record: SourceRecord, position: number, retry: Retry | undefined, settlement: Settlement): void {
    if (settlement.kind === 'retry') this.#parkFor(record, position, retry, settlement);
    else if (settlement.kind === 'dead') {
      this.#changes.push({ kind: 'dead', letter: deadLetterOf(record, settlement, retry?.firstError ?? null) });
    }
    if (retry && settlement.kind !== 'retry') {
      this.#retries.delete(position);
      this.#changes.push({ kind: 'forget', position });
    }
    if (settlement.kind === 'done') this.#persistLater();
    else this.#persistSoon();
  }

  #parkFor(record: SourceRecord, position: number, before: Retry | undefined, settlement: Settlement & { kind: 'retry' }): void {
    const lastError = `${settlement.code}: ${settlement.reason}`;
    const retry: Retry = {
      position,
      due: Math.ceil(settlement.at),
      attempt: record.attempt + 1,
      firstError: before?.firstError ?? lastError,
      lastError,
      orderKey: record.orderKey,
      state: 'waiting',
    };
    this.#wait(retry);
    this.#changes.push({ kind: 'retry', retry, due: retry.due, attempt: retry.attempt, lastError });
    this.#armRetries();
  }

  #wait(retry: Retry): void {
    this.#retries.wait(retry);
    const parked = this.#parked.get(retry.orderKey);
    if (parked) parked.waiting += 1;
    else this.#parked.set(retry.orderKey, { waiting: 1, held: [] });
  }

  #store(change: Change): void {
    switch (change.kind) {
      case 'retry':
        this.#upsertRetry.run(this.#group, change.retry.position, change.due, change.attempt, change.retry.firstError, change.lastError);
        break;
      case 'forget':
        this.#deleteRetry.run(this.#group, change.position);
        break;
      case 'dead':
        this.#deps.deadLetters.insert(change.letter);
    }
  }

  #loadRetries(): void {
    const rows = this.#deps.db.prepare('SELECT * FROM retry WHERE consumer = ? ORDER BY position').all(this.#group);
    for (const row of rows) {
      const position = Number(row['position']);
      const record = this.#deps.store.record(position);
      if (!record) continue; // removed by the hard size bound, which counted it
      const errors = { firstError: String(row['first_error']), lastError: String(row['last_error']) };
      this.#wait({
        position,
        due: Number(row['due']),
        attempt: Number(row['attempt']),
        ...errors,
        orderKey: orderKeyOf(record),
        state: 'waiting',
      });
    }
  }

  /**
   * Only what was out is delivered again, not all that was settled after it: behind a record that waits long there may be a million.
   * The list may be older than the committed position and the retries, which say more then.
   */
  #loadOutstanding(window: SettlementWindow, taken: number, outstanding: readonly number[]): void {
    const out = outstanding.filter((position) => position > window.committed && !this.#retries.get(position));
    if (taken <= window.committed) return;
    const found = out.map((position) => this.#deps.store.record(position)).filter((record) => record !== null);
    window.restore(
      taken,
      found.map((record) => record.logPosition),
    );
    for (const record of found) this.#enqueue(record, record.logPosition);
  }

  #armRetries(): void {
    this.#retryTimer?.cancel();
    this.#retryTimer = null;
    const due = this.#retries.nextDue;
    if (due === null || this.#closed) return;
    const wait = Math.max(0, Math.min(MAX_TIMER, due - this.#deps.clock.now()));
    this.#retryTimer = this.#deps.clock.after(wait, () => this.#deliverDue());
  }

  #deliverDue(): void {
    for (const retry of this.#retries.takeDue(this.#deps.clock.now())) {
      const record: LoggedRecord | null = this.#deps.store.record(retry.position);
      if (record) {
        this.#unsettledBytes += recordBytes(record);
        this.#ready.push(sourceRecord(record, retry.position, retry.attempt));
      } else {
        this.#retries.delete(retry.position);
        this.#changes.push({ kind: 'forget', position: retry.position });
      }
      this.#release(retry.orderKey);
    }
    this.#armRetries();
    this.#wake();
  }

  #release(orderKey: string): void {
    const parked = this.#parked.get(orderKey);
    if (!parked) return;
    parked.waiting -= 1;
    if (parked.waiting > 0) return;
    this.#parked.delete(orderKey);
    for (const record of parked.held) this.#ready.push(record);
  }

  #dirty(): boolean {
    return this.#writeWindow || this.#changes.length > 0 || (this.#window !== null && this.#window.committed !== this.#persisted);
  }

  #persistLater(): void {
    this.#settleTimer ??= this.#deps.clock.after(this.#options.settleDelayMs, () => {
      this.#settleTimer = null;
      if (this.#unwritten) this.#writeWindow = true;
      if (this.#dirty() && !this.#closed) this.#persistSoon();
    });
  }

  #persistSoon(): void {
    if (this.#persistQueued) return;
    this.#persistQueued = true;
    const done = (): void => void (this.#persistQueued = false);
    this.#deps.commit.submit(0, 0, done).catch((thrown: unknown) => {
      done();
      this.#deps.logger.error({ reason: reasonOf(thrown) }, 'settlements could not be stored');
    });
  }

  #wake(): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

function sourceRecord(raw: RawRecord, position: number, attempt: number): SourceRecord {
  const { topic, key, headers, value, timestamp } = raw;
  return { topic, key, headers, value, timestamp, position: String(position), orderKey: orderKeyOf(raw), attempt };
}

/** Without a key nothing says which records belong together: the whole topic stays in order. */
function orderKeyOf(raw: RawRecord): string {
  return raw.key === null || raw.key === '' ? `topic:${raw.topic}` : raw.key;
}
