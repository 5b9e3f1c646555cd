import type { Clock, Timer } from '../kit/clock.ts';

/** What became of one POST. */
export type Exchange =
  | { readonly kind: 'answer'; readonly status: number; readonly contentType: string; readonly text: string }
  /** `beforeAnswer`: the connection broke, or was never there, before any byte of the answer came, so nobody can have answered. */
  | { readonly kind: 'broken'; readonly beforeAnswer: boolean; readonly reason: string }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'too-large' };

export type ExchangeRequest = {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal | null;
  /** Ms from now. */
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
  /** Rather not on a connection that has been used before: the last one turned out to be dead. */
  readonly fresh: boolean;
};

/** Sends POSTs to one origin on kept-alive connections. */
export interface Exchanger {
  /** Collects the whole answer. Calls `done` exactly once, at the earliest before this returns. */
  post(request: ExchangeRequest, done: (result: Exchange) => void): void;
  /** Ends what is under way as `broken`. */
  close(): Promise<void>;
}

/** The part of an exchange that has nothing to do with bytes: deadline, signal, and one end only. */
export class PendingExchange {
  readonly request: ExchangeRequest;
  readonly #done: (result: Exchange) => void;
  readonly #timer: Timer;
  readonly #onAbort: (() => void) | null;
  /** Called when nobody waits any more: the deadline has passed or the caller has gone. */
  onAbandoned: (() => void) | null = null;
  ended = false;

  constructor(request: ExchangeRequest, clock: Clock, done: (result: Exchange) => void) {
    this.request = request;
    this.#done = done;
    this.#timer = clock.after(Math.max(0, request.timeoutMs), () => this.abandon({ kind: 'timeout' }));
    this.#onAbort = request.signal ? () => this.abandon({ kind: 'cancelled' }) : null;
    if (this.#onAbort) request.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  end(result: Exchange): void {
    if (this.ended) return;
    this.ended = true;
    this.#timer.cancel();
    // Signals of long sessions outlive requests: a listener left behind for each would be a leak.
    if (this.#onAbort) this.request.signal?.removeEventListener('abort', this.#onAbort);
    this.#done(result);
  }

  abandon(result: Exchange): void {
    if (this.ended) return;
    this.end(result);
    this.onAbandoned?.();
  }
}
