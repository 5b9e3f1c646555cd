import type { Dispatcher, Pool } from 'undici';
import type { Clock } from '../kit/clock.ts';
import { type Exchange, type ExchangeRequest, type Exchanger, PendingExchange } from './http-exchange.ts';

/**
 * For `https:` origins, where TLS costs more than a client's own machinery: sessions, certificates and protocols are undici's affair. It is
 * loaded with the first of them: 15 MB that a graph of plain addresses does not need.
 */
export class UndiciExchanger implements Exchanger {
  readonly #pool: Promise<Pool>;
  readonly #clock: Clock;

  constructor(origin: string, connections: number, clock: Clock) {
    // Deadlines are ours; undici's own time-outs would end a request earlier, with another code.
    this.#pool = import('undici').then((undici) => new undici.Pool(origin, { connections, headersTimeout: 0, bodyTimeout: 0 }));
    this.#clock = clock;
  }

  post(request: ExchangeRequest, done: (result: Exchange) => void): void {
    void this.#dispatch(new PendingExchange(request, this.#clock, done));
  }

  async #dispatch(pending: PendingExchange): Promise<void> {
    const { path, headers, body } = pending.request;
    try {
      (await this.#pool).dispatch({ path, method: 'POST', headers: { ...headers }, body }, new ExchangeHandler(pending));
    } catch {
      pending.end({ kind: 'broken', beforeAnswer: true, reason: 'the client could not be loaded' });
    }
  }

  async close(): Promise<void> {
    await (await this.#pool).destroy();
  }
}

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #pending: PendingExchange;
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #contentType = '';
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(pending: PendingExchange) {
    this.#pending = pending;
    pending.onAbandoned = () => this.#controller?.abort(new Error('abandoned'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#pending.ended) controller.abort(new Error('abandoned'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    const type = headers['content-type'];
    this.#contentType = typeof type === 'string' ? type : '';
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#pending.ended) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#pending.request.responseBytesMax) this.#pending.abandon({ kind: 'too-large' });
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const text = Buffer.concat(this.#chunks).toString('utf8');
    this.#pending.end({ kind: 'answer', status: this.#status, contentType: this.#contentType, text });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const code = (error as NodeJS.ErrnoException).code;
    this.#pending.end({ kind: 'broken', beforeAnswer: this.#status === 0, reason: typeof code === 'string' ? code : 'connection failed' });
  }
}
