import { setTimeout as sleep } from 'node:timers/promises';
import { between, type Chance, oneOf } from './chance.ts';
import { tokenOf } from './tokens.ts';

export type Deal = {
  readonly event_id: string;
  readonly company_id: string;
  readonly id: string;
  readonly key: string;
  readonly n: number;
  /** Performance time of the first attempt to publish it. */
  readonly at: number;
  readonly title: string;
};

/** Resolves when the events are safe, as far as a producer can know; rejects where it cannot, and then they are sent again. */
export type Send = (tenant: string, deals: readonly Deal[]) => Promise<void>;

/** Ms between two attempts at the same batch. */
const PAUSE_MS = 50;

/** Publishes one tenant's events in order, each until it is safe: what is not acknowledged is sent again under its id. */
export class Producer {
  readonly tenant: string;
  /** By key: how many are safe. */
  readonly published = new Map<string, number>();
  readonly #send: Send;
  readonly #chance: Chance;
  readonly #keys: readonly string[];
  readonly #batch: number;
  /** Attempts that were not acknowledged. */
  retries = 0;
  lastError = '';
  #total = 0;

  constructor(tenant: string, send: Send, chance: Chance, { keys, batch }: { readonly keys: number; readonly batch: number }) {
    this.tenant = tenant;
    this.#send = send;
    this.#chance = chance;
    this.#batch = batch;
    this.#keys = Array.from({ length: keys }, (_, i) => `${tenant}-deal-${i}`);
  }

  get total(): number {
    return this.#total;
  }

  /** Until `enough` says so. Rejects when `signal` is aborted while a batch still finds nobody to take it. */
  async run(enough: () => boolean, signal: AbortSignal, pauseMs: number): Promise<void> {
    while (!enough() && !signal.aborted) {
      const keys = Array.from({ length: between(this.#chance, 1, this.#batch) }, () => oneOf(this.#chance, this.#keys));
      await this.#publish(keys, signal);
      if (pauseMs > 0) await sleep(pauseMs);
    }
  }

  /** One more event of every key: whoever has these has, in order, all there was, or was told of the gap. */
  close(signal: AbortSignal): Promise<void> {
    return this.#publish(this.#keys, signal);
  }

  /** Something that every subscriber of the tenant hears, and that counts for nothing. */
  prime(): Promise<void> {
    const at = performance.now();
    const deal = { company_id: this.tenant, id: `${this.tenant}-primer`, key: 'primer', n: 0, at, title: 'primer' };
    return this.#send(this.tenant, [{ ...deal, event_id: `${this.tenant}-primer-${at}` }]);
  }

  async #publish(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const next = new Map(this.published);
    const at = performance.now();
    const deals = keys.map((key): Deal => {
      const n = (next.get(key) ?? 0) + 1;
      next.set(key, n);
      return { event_id: `${key}-${n}`, company_id: this.tenant, id: key, key, n, at, title: `the ${n}th of ${key}` };
    });
    for (;;) {
      try {
        await this.#send(this.tenant, deals);
        break;
      } catch (error) {
        this.retries += 1;
        this.lastError = error instanceof Error ? error.message : String(error);
        if (signal.aborted) throw new Error(`${this.tenant}: no answer to the last batch: ${this.lastError}`, { cause: error });
        await sleep(PAUSE_MS);
      }
    }
    for (const [key, n] of next) this.published.set(key, n);
    this.#total += deals.length;
  }
}

/** `POST /events` at the tenant's address. Anything but acceptance of every event is a failure of the attempt. */
export function sendOverHttp(addressOf: (tenant: string) => string): Send {
  return async (tenant, deals) => {
    const url = new URL(addressOf(tenant));
    url.searchParams.set('topic', 'crm.deals');
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await tokenOf(tenant, 'producer')}` },
      body: JSON.stringify(deals),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (response.status !== 202) throw new Error(`answered ${response.status}: ${text.slice(0, 200)}`);
    const { events } = JSON.parse(text) as { readonly events: readonly { readonly status: string }[] };
    const refused = events.find(({ status }) => status !== 'accepted' && status !== 'duplicate');
    if (refused) throw new Error(`refused: ${JSON.stringify(refused)}`);
  };
}
