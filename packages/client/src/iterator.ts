import type { LiveError } from './errors.ts';
import type { Gap, LiveEvent, SubscribeOptions, Subscription } from './subscription.ts';

export type LiveItem<T> = ({ readonly kind: 'event' } & LiveEvent<T>) | ({ readonly kind: 'gap' } & Gap);

export type IterateOptions = Pick<SubscribeOptions<unknown>, 'query' | 'variables' | 'operationName' | 'after' | 'cursorVariable'> & {
  /**
   * Items that may wait for the reader. Default 1,000. When as many wait, the subscription is paused; when half are read, it
   * continues behind the last one by its cursor, and where that cannot be, there is a gap item. Nothing is skipped in silence.
   */
  readonly buffer?: number;
};

export class LiveIterator<T> implements AsyncIterableIterator<LiveItem<T>> {
  readonly #subscription: Subscription<T>;
  readonly #limit: number;
  readonly #items: LiveItem<T>[] = [];
  #waiting: { resolve(result: IteratorResult<LiveItem<T>>): void; reject(error: unknown): void }[] = [];
  #error: LiveError | null = null;
  #done = false;

  constructor(options: IterateOptions, subscribe: (options: SubscribeOptions<T>) => Subscription<T>) {
    const { buffer = 1_000, ...operation } = options;
    if (!(Number.isInteger(buffer) && buffer >= 1))
      throw new RangeError(`buffer: expected a whole number of at least 1, got ${String(buffer)}`);
    this.#limit = buffer;
    this.#subscription = subscribe({
      ...operation,
      onEvent: (event) => this.#push({ kind: 'event', ...event }),
      onGap: (gap) => this.#push({ kind: 'gap', ...gap }),
      onError: (error) => this.#finish(error),
      onEnd: () => this.#finish(null),
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<LiveItem<T>>> {
    const item = this.#items.shift();
    if (item) {
      if (this.#items.length <= this.#limit / 2) this.#subscription.resume();
      return Promise.resolve({ done: false, value: item });
    }
    if (this.#error) {
      const error = this.#error;
      this.#error = null;
      return Promise.reject(error);
    }
    if (this.#done) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<LiveItem<T>>> {
    this.#items.length = 0;
    this.#finish(null);
    this.#subscription.unsubscribe();
    return Promise.resolve({ done: true, value: undefined });
  }

  #push(item: LiveItem<T>): void {
    const reader = this.#waiting.shift();
    if (reader) return reader.resolve({ done: false, value: item });
    this.#items.push(item);
    if (this.#items.length >= this.#limit) this.#subscription.pause();
  }

  #finish(error: LiveError | null): void {
    if (this.#done) return;
    this.#done = true;
    const [first, ...rest] = this.#waiting;
    this.#waiting = [];
    if (error && first) first.reject(error);
    else first?.resolve({ done: true, value: undefined });
    if (error && !first) this.#error = error;
    for (const reader of rest) reader.resolve({ done: true, value: undefined });
  }
}
