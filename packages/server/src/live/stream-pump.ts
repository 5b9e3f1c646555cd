import { errorsText } from './error-text.ts';
import type { SubscriptionOwner } from './member.ts';
import type { DrainWaiter, Outbox } from './outbox.ts';

/**
 * Results of a subscription that a subgraph serves, to one connection. There is no history to read again, so nothing is taken from
 * upstream while the connection is full: the back-pressure reaches the subgraph.
 */
export class StreamPump implements DrainWaiter {
  readonly #outbox: Outbox;
  readonly #operationId: string;
  readonly #results: AsyncIterator<string>;
  readonly #owner: SubscriptionOwner;
  #stopped = false;
  #resume: (() => void) | null = null;

  constructor(outbox: Outbox, operationId: string, results: AsyncIterable<string>, owner: SubscriptionOwner) {
    this.#outbox = outbox;
    this.#operationId = operationId;
    this.#results = results[Symbol.asyncIterator]();
    this.#owner = owner;
  }

  /** Never rejects. */
  async run(): Promise<void> {
    const { codec } = this.#outbox;
    try {
      while (!this.#stopped) {
        const next = await this.#results.next();
        if (this.#stopped) return;
        if (next.done === true) {
          this.#outbox.write(codec.complete(this.#operationId));
          break;
        }
        this.#outbox.write(codec.next(this.#operationId, Buffer.from(next.value), null));
        if (this.#outbox.congested) await this.#drained();
      }
    } catch (error) {
      if (this.#stopped) return;
      this.#outbox.write(codec.error(this.#operationId, errorsText(error)));
    }
    if (this.#stopped) return;
    this.#stopped = true;
    this.#owner.subscriptionEnded(this.#operationId, this);
  }

  /** Silent. Closes the upstream. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#resume?.();
    void closeQuietly(this.#results);
  }

  onDrained(): void {
    this.#resume?.();
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
      this.#outbox.wait(this);
    });
  }
}

/** Of a stream that nobody wants any more: what it says to being closed interests nobody either. */
export async function closeQuietly(results: AsyncIterator<string>): Promise<void> {
  try {
    await results.return?.();
  } catch {
    // The upstream was failing already.
  }
}
