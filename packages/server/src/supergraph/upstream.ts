import type { Clock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { supergraphErrors } from './errors.ts';
import type { SubgraphAnswer, SubgraphRequest } from './generation.ts';

/** One open subscription at a subgraph. */
export interface Upstream {
  /** Idempotent; the queue ends without an error. */
  close(): void;
}

export type UpstreamSettings = {
  readonly url: URL;
  readonly request: SubgraphRequest;
  readonly queue: UpstreamQueue;
  readonly clock: Clock;
  readonly messageBytesMax: number;
  readonly connectMs: number;
};

/** Results between an upstream and its one reader, bounded. */
export class UpstreamQueue implements AsyncIterable<SubgraphAnswer> {
  readonly #subgraph: string;
  readonly #max: number;
  readonly #items: SubgraphAnswer[] = [];
  #state: { readonly kind: 'open' } | { readonly kind: 'ended'; readonly error: MillraceError | null } = { kind: 'open' };
  #wake: (() => void) | null = null;

  constructor(subgraph: string, max: number) {
    this.#subgraph = subgraph;
    this.#max = max;
  }

  push(answer: SubgraphAnswer): void {
    if (this.#state.kind === 'ended') return;
    if (this.#items.length >= this.#max) {
      this.lost(`has ${this.#max} results waiting that nobody took`);
      return;
    }
    this.#items.push(answer);
    this.#wake?.();
  }

  /** The upstream broke; what came before is still read. */
  lost(what: string): void {
    this.end(new MillraceError(supergraphErrors.SUBGRAPH_STREAM_LOST, `the subscription to subgraph "${this.#subgraph}" ${what}`));
  }

  end(error: MillraceError | null = null): void {
    if (this.#state.kind === 'ended') return;
    this.#state = { kind: 'ended', error };
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SubgraphAnswer, void, void> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        yield item;
      } else if (this.#state.kind === 'ended') {
        if (this.#state.error) throw this.#state.error;
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        this.#wake = null;
      }
    }
  }
}
