import type { Dispatcher, Pool } from 'undici';
import type { Clock, Timer } from '../kit/clock.ts';

/** What became of one POST. */
export type Exchange =
  | { readonly kind: 'answer'; readonly status: number; readonly contentType: string; readonly text: string }
  /** `beforeAnswer`: it broke before any byte of an answer came. The other side may have done the work all the same: only a query may be sent again. */
  | { readonly kind: 'broken'; readonly beforeAnswer: boolean; readonly reason: string }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'too-large' };

export type ExchangeRequest = {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly signal: AbortSignal | null;
  /** Ms from now. */
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
};

/** Sends one POST and collects the whole answer. Calls `done` exactly once. No stream, no wrapper: this runs for every fetch of every query. */
export function exchange(pool: Pool, request: ExchangeRequest, clock: Clock, done: (result: Exchange) => void): void {
  new ExchangeHandler(request, clock, done).start(pool);
}

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #request: ExchangeRequest;
  readonly #done: (result: Exchange) => void;
  readonly #timer: Timer;
  readonly #onAbort: (() => void) | null;
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #contentType = '';
  #chunks: Buffer[] = [];
  #bytes = 0;
  #ended = false;

  constructor(request: ExchangeRequest, clock: Clock, done: (result: Exchange) => void) {
    this.#request = request;
    this.#done = done;
    this.#timer = clock.after(Math.max(0, request.timeoutMs), () => this.#abandon({ kind: 'timeout' }));
    this.#onAbort = request.signal ? () => this.#abandon({ kind: 'cancelled' }) : null;
    if (this.#onAbort) request.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  start(pool: Pool): void {
    const { path, headers, body } = this.#request;
    pool.dispatch({ path, method: 'POST', headers, body }, this);
  }

  #end(result: Exchange): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer.cancel();
    // Signals of long sessions outlive requests: a listener left behind for each would be a leak.
    if (this.#onAbort) this.#request.signal?.removeEventListener('abort', this.#onAbort);
    this.#chunks = this.#chunks.length > 0 ? [] : this.#chunks;
    this.#done(result);
  }

  #abandon(result: Exchange): void {
    if (this.#ended) return;
    this.#end(result);
    this.#controller?.abort(new Error('abandoned'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#ended) controller.abort(new Error('abandoned'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Record<string, string | string[] | undefined>): void {
    this.#status = status;
    const type = headers['content-type'];
    this.#contentType = typeof type === 'string' ? type : '';
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#ended) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#request.responseBytesMax) this.#abandon({ kind: 'too-large' });
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#ended) return;
    const first = this.#chunks[0];
    const text = this.#chunks.length === 1 && first ? first.toString('utf8') : Buffer.concat(this.#chunks).toString('utf8');
    this.#end({ kind: 'answer', status: this.#status, contentType: this.#contentType, text });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const code = (error as NodeJS.ErrnoException).code;
    this.#end({ kind: 'broken', beforeAnswer: this.#status === 0, reason: typeof code === 'string' ? code : 'connection failed' });
  }
}
