/**
 * What must hold whatever breaks: every event that a producer was told is safe reaches every subscriber of its tenant exactly once, in the
 * order of its key, or an explicit GAP stands where it is missing. Judged while events arrive, in memory per key and subscriber only, so
 * that ten million events need no more of it than a thousand.
 */

/** `n` counts the events of one key of one tenant from 1, in the order in which they were published. */
export type Said = { readonly tenant: string; readonly key: string; readonly n: number };

type Kept = { readonly last: number; readonly gaps: number };

export type Verdict = {
  readonly subscriber: string;
  readonly delivered: number;
  readonly gaps: number;
  /** Events in whose place a GAP stands. */
  readonly covered: number;
  /** Broken promises, the first few in words. Empty: all kept. */
  readonly faults: readonly string[];
};

/** More than these are counted, not kept. */
const FAULTS_KEPT = 20;

/** One subscriber's account. */
export class Account {
  readonly subscriber: string;
  readonly tenant: string;
  readonly #keys = new Map<string, Kept>();
  readonly #faults: string[] = [];
  #faultCount = 0;
  #delivered = 0;
  #gaps = 0;
  #covered = 0;

  constructor(subscriber: string, tenant: string) {
    this.subscriber = subscriber;
    this.tenant = tenant;
  }

  get delivered(): number {
    return this.#delivered;
  }

  /** The last event of a key that has arrived; 0 before the first. */
  last(key: string): number {
    return this.#keys.get(key)?.last ?? 0;
  }

  event({ tenant, key, n }: Said): void {
    this.#delivered += 1;
    if (tenant !== this.tenant) return this.fault(`got ${tenant}/${key}/${n}, an event of another tenant`);
    const before = this.#keys.get(key) ?? { last: 0, gaps: 0 };
    if (n <= before.last) return this.fault(`got ${key}/${n} again or late: ${key}/${before.last} was there already`);
    this.#missing(key, before, n - 1);
    this.#keys.set(key, { last: n, gaps: this.#gaps });
  }

  gap(): void {
    this.#gaps += 1;
  }

  fault(text: string): void {
    this.#faultCount += 1;
    if (this.#faults.length < FAULTS_KEPT) this.#faults.push(text);
  }

  /** Whether the newest event of every key is here: only then can nothing that a GAP would have to excuse still be on its way. */
  complete(published: ReadonlyMap<string, number>): boolean {
    return [...published].every(([key, n]) => this.last(key) >= n);
  }

  /** After the last event: what the producers were told is safe, by key. */
  verdict(published: ReadonlyMap<string, number>): Verdict {
    for (const [key, n] of published) this.#missing(key, this.#keys.get(key) ?? { last: 0, gaps: 0 }, n);
    const more = this.#faultCount - this.#faults.length;
    return {
      subscriber: this.subscriber,
      delivered: this.#delivered,
      gaps: this.#gaps,
      covered: this.#covered,
      faults: more > 0 ? [...this.#faults, `and ${more} more`] : this.#faults,
    };
  }

  /** Events after the last one of the key, up to `until`, did not come: a GAP must have come since. */
  #missing(key: string, { last, gaps }: Kept, until: number): void {
    if (until <= last) return;
    if (this.#gaps > gaps) this.#covered += until - last;
    else this.fault(`${until - last} events lost in silence: ${key}/${last + 1} to ${key}/${until}`);
  }
}
