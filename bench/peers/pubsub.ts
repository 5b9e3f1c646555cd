/**
 * The least that a pub/sub between a handler and async iterators can be, used by every peer that brings none of its own. Published
 * implementations do more for each event, so this one gives the peers the benefit of the doubt.
 */
export class PubSub<T> {
  readonly #subscribers = new Set<(event: T) => void>();

  publish(event: T): void {
    for (const subscriber of this.#subscribers) subscriber(event);
  }

  /** In the manner of `withFilter`: every event is offered to every subscriber, whose predicate decides. */
  subscribe(wanted: ((event: T) => boolean) | null = null): AsyncGenerator<T, undefined, undefined> {
    const waiting: T[] = [];
    let wake: ((result: IteratorResult<T, undefined>) => void) | null = null;
    let ended = false;
    const push = (event: T): void => {
      if (wanted !== null && !wanted(event)) return;
      if (wake === null) return void waiting.push(event);
      const resolve = wake;
      wake = null;
      resolve({ value: event, done: false });
    };
    this.#subscribers.add(push);
    const end = (): Promise<IteratorResult<T, undefined>> => {
      ended = true;
      this.#subscribers.delete(push);
      wake?.({ value: undefined, done: true });
      wake = null;
      return Promise.resolve({ value: undefined, done: true });
    };
    return {
      next() {
        const value = waiting.shift();
        if (value !== undefined) return Promise.resolve({ value, done: false });
        if (ended) return Promise.resolve({ value: undefined, done: true });
        return new Promise((resolve) => void (wake = resolve));
      },
      return: end,
      throw: end,
      [Symbol.asyncIterator]() {
        return this;
      },
      async [Symbol.asyncDispose]() {
        await end();
      },
    };
  }
}
