import type { DealStore, OutboxRow } from './deal-store.ts';

export type PublisherOptions = {
  readonly store: DealStore;
  /** Millrace's ingest address, `http://127.0.0.1:4000/events`. */
  readonly eventsUrl: string;
  readonly token: string | null;
  readonly log: (line: string) => void;
  readonly fetch?: typeof fetch;
};

/** Events in one request at most. */
const BATCH = 100;
const BACK_OFF_MS = { first: 250, most: 10_000 } as const;
const REQUEST_TIMEOUT_MS = 15_000;

type Answer = { readonly status: string; readonly code?: string; readonly reason?: string };

/**
 * Sends what stands in the outbox, in order, one request at a time. An event leaves the outbox only when Millrace has said that
 * it is durable there; until then it is sent again, with growing pauses, however long Millrace is away.
 */
export class OutboxPublisher {
  readonly #options: PublisherOptions;
  readonly #url: URL;
  #batch = BATCH;
  #failures = 0;
  #stopped = false;
  readonly #abort = new AbortController();
  #wake: () => void = () => {};

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#url = new URL(options.eventsUrl);
    this.#url.searchParams.set('topic', 'crm.deals');
  }

  /** Call after every change. */
  notify(): void {
    this.#wake();
  }

  /** Resolves after `stop`. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      const rows = this.#options.store.pending(this.#batch);
      const pause = rows.length === 0 ? Number.POSITIVE_INFINITY : await this.#send(rows);
      if (pause > 0 && !this.#stopped) await this.#sleep(pause);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#abort.abort();
    this.#wake();
  }

  /** Ms to wait before the next request. */
  async #send(rows: readonly OutboxRow[]): Promise<number> {
    try {
      const authorization = this.#options.token ? { authorization: `Bearer ${this.#options.token}` } : {};
      const response = await (this.#options.fetch ?? fetch)(this.#url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...authorization },
        body: `[${rows.map((row) => row.body).join(',')}]`,
        signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]),
      });
      return this.#settle(rows, response.status, response.headers.get('retry-after'), await response.text());
    } catch (error) {
      return this.#stopped ? 0 : this.#backOff(`Millrace does not answer (${reasonOf(error)})`, 0);
    }
  }

  #settle(rows: readonly OutboxRow[], status: number, retryAfter: string | null, text: string): number {
    if (status === 413) return this.#tooLarge(rows);
    const answers = status < 500 && status !== 429 ? answersOf(text) : null;
    if (answers?.length !== rows.length) return this.#backOff(`Millrace answered ${status}`, Number(retryAfter ?? 0) * 1_000);
    const held = this.#settleEach(rows, answers);
    if (held !== null) return this.#backOff(`Millrace does not know the topic yet (${held})`, 0);
    if (this.#failures > 0) this.#options.log('Millrace is back');
    this.#failures = 0;
    this.#batch = BATCH;
    return 0;
  }

  /** The reason why some of them have to wait, or null. */
  #settleEach(rows: readonly OutboxRow[], answers: readonly Answer[]): string | null {
    const done: number[] = [];
    let held: string | null = null;
    rows.forEach((row, i) => {
      const answer = answers[i];
      if (answer?.status === 'accepted' || answer?.status === 'duplicate') done.push(row.seq);
      // The schema with this topic has not been pushed yet: the event is right, the time is wrong.
      else if (answer?.code === 'TOPIC_UNKNOWN') held = answer.reason ?? answer.code;
      else this.#refuse(row, answer?.code ?? 'UNKNOWN', answer?.reason ?? '');
    });
    this.#options.store.settled(done);
    return held;
  }

  #tooLarge(rows: readonly OutboxRow[]): number {
    const [only] = rows;
    if (rows.length === 1 && only) this.#refuse(only, 'TOO_LARGE', 'larger than Millrace takes');
    this.#batch = Math.max(1, Math.floor(rows.length / 2));
    return 0;
  }

  #refuse(row: OutboxRow, code: string, reason: string): void {
    this.#options.log(`event ${row.seq} refused: ${code} ${reason}`);
    this.#options.store.refuse(row, code, reason);
  }

  #backOff(why: string, atLeast: number): number {
    // Said once for each outage: a line for every attempt would drown the terminal.
    if (this.#failures === 0) this.#options.log(`${why}; keeping events until it does`);
    const limit = Math.min(BACK_OFF_MS.most, BACK_OFF_MS.first * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    return Math.max(Number.isFinite(atLeast) ? atLeast : 0, limit / 2 + (Math.random() * limit) / 2);
  }

  /** Ends early on `stop`, and on `notify` only where there is nothing to wait for: a change must not shorten a back-off. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(resolve, ms) : undefined;
      this.#wake = () => {
        if (timer !== undefined && !this.#stopped) return;
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function answersOf(text: string): readonly Answer[] | null {
  try {
    const { events } = JSON.parse(text) as { events?: unknown };
    return Array.isArray(events) ? (events as Answer[]) : null;
  } catch {
    return null;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause as { code?: string } | undefined;
  return cause?.code ?? error.message;
}
