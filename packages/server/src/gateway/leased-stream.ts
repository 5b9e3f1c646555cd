import type { ExecutionResult } from 'graphql';
import type { GenerationLease } from '../supergraph/generation.ts';

/**
 * Results of a subgraph's own subscription as JSON texts, holding the generation's lease for exactly as long as the stream lives.
 * Not an async generator: one that is returned before its first `next` never runs its `finally`, and the lease would stay for ever.
 */
export class LeasedStream implements AsyncIterableIterator<string> {
  readonly #source: AsyncIterator<ExecutionResult>;
  readonly #upstream = new AbortController();
  readonly #lease: GenerationLease;
  readonly #text: (result: ExecutionResult) => string;
  readonly #signal: AbortSignal;
  readonly #aborted = (): void => void this.return();
  #over = false;

  /**
   * `start` opens the upstream with the signal that ends it: of an async generator that waits for its upstream, `return` alone would
   * wait with it.
   */
  constructor(
    start: (signal: AbortSignal) => AsyncIterable<ExecutionResult>,
    lease: GenerationLease,
    text: (result: ExecutionResult) => string,
    signal: AbortSignal,
  ) {
    this.#source = start(this.#upstream.signal)[Symbol.asyncIterator]();
    this.#lease = lease;
    this.#text = text;
    this.#signal = signal;
    if (signal.aborted) void this.return();
    else signal.addEventListener('abort', this.#aborted, { once: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<string>> {
    if (this.#over) return { done: true, value: undefined };
    try {
      const step = await this.#source.next();
      if (step.done !== true) return { done: false, value: this.#text(step.value) };
    } catch (thrown) {
      this.#release();
      throw thrown;
    }
    this.#release();
    return { done: true, value: undefined };
  }

  /** Ends the upstream too. Its failure to end is of no use to anybody here. */
  async return(): Promise<IteratorResult<string>> {
    if (!this.#over) {
      this.#release();
      await this.#source.return?.().catch(() => undefined);
    }
    return { done: true, value: undefined };
  }

  #release(): void {
    if (this.#over) return;
    this.#over = true;
    this.#signal.removeEventListener('abort', this.#aborted);
    this.#upstream.abort();
    this.#lease.release();
  }
}
