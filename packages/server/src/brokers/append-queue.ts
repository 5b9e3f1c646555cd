import { MillraceError } from '../kit/errors.ts';
import { brokersErrors } from './errors.ts';
import type { AppendResult, SinkRecord } from './event-sink.ts';

type Waiting = {
  readonly records: readonly SinkRecord[];
  readonly resolve: (results: readonly AppendResult[]) => void;
  readonly reject: (error: unknown) => void;
};

type Send = (records: readonly SinkRecord[]) => Promise<readonly AppendResult[]>;

/** One send at a time, in the order of the calls: what comes meanwhile shares the next one. A failure rejects the calls of its send only. */
export class AppendQueue {
  readonly #send: Send;
  readonly #maxPending: number;
  readonly #maxBatch: number;
  #waiting: Waiting[] = [];
  #pending = 0;
  #sending: Promise<void> | null = null;
  #closed = false;

  constructor(send: Send, { maxPending, maxBatch }: { readonly maxPending: number; readonly maxBatch: number }) {
    this.#send = send;
    this.#maxPending = maxPending;
    this.#maxBatch = maxBatch;
  }

  async append(records: readonly SinkRecord[]): Promise<readonly AppendResult[]> {
    if (this.#closed) throw new MillraceError(brokersErrors.BROKER_CLOSED, 'the broker client is closing');
    if (records.length === 0) return [];
    if (this.#pending + records.length > this.#maxPending)
      throw new MillraceError(brokersErrors.BROKER_BUSY, `${this.#pending} records wait for the broker already`);
    this.#pending += records.length;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ records, resolve, reject });
      this.#sending ??= this.#drain().finally(() => (this.#sending = null));
    });
  }

  /** Takes nothing more; resolves when what was taken is answered. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sending;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const calls = this.#next();
      const records = calls.flatMap((call) => call.records);
      try {
        const results = await this.#send(records);
        let from = 0;
        for (const call of calls) call.resolve(results.slice(from, (from += call.records.length)));
      } catch (error) {
        for (const call of calls) call.reject(error);
      }
      this.#pending -= records.length;
    }
  }

  #next(): Waiting[] {
    let count = 0;
    const end = this.#waiting.findIndex(({ records }, i) => (count += records.length) > this.#maxBatch && i > 0);
    const calls = end === -1 ? this.#waiting : this.#waiting.slice(0, end);
    this.#waiting = end === -1 ? [] : this.#waiting.slice(end);
    return calls;
  }
}
