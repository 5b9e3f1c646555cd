/**
 * Pauses a source that yields mostly dead letters: a producer that changed its format would otherwise move a whole topic there.
 * Deciding only; the worker brings the time and acts.
 *
 * | state     | a record is decided                                   | time                    |
 * |-----------|-------------------------------------------------------|-------------------------|
 * | closed    | ≥ minDead and ≥ share of the window are dead → open   | a new window starts     |
 * | open      | counts for nothing (it was taken before)              | cool-down over → half-open |
 * | half-open | share of the probe dead → open, twice the cool-down; whole probe decided → closed | –  |
 */
export class DeadLetterBreaker {
  readonly #options: BreakerOptions;
  #state: BreakerState = 'closed';
  #windowStart = Number.NEGATIVE_INFINITY;
  #decided = 0;
  #dead = 0;
  #until = 0;
  #coolDownMs: number;
  /** Half-open: records taken and neither decided nor given back, plus those decided. */
  #taken = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#coolDownMs = options.coolDownMs;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** When an open breaker becomes half-open, on the clock whose `now` it is given. */
  get until(): number {
    return this.#until;
  }

  /** How many records may be taken now. */
  allowance(now: number): number {
    if (this.#state === 'closed') return Number.POSITIVE_INFINITY;
    if (this.#state === 'open') {
      if (now < this.#until) return 0;
      this.#state = 'half-open';
      this.#decided = this.#dead = this.#taken = 0;
    }
    return Math.max(0, this.#options.probe - this.#taken);
  }

  take(count: number): void {
    if (this.#state === 'half-open') this.#taken += count;
  }

  /** Taken records that were parked for a retry: the probe may take others, or the same again. */
  giveBack(count: number): void {
    if (this.#state === 'half-open') this.#taken = Math.max(this.#decided, this.#taken - count);
  }

  decide(dead: boolean, now: number): void {
    if (this.#state === 'open') return;
    if (this.#state === 'closed' && now - this.#windowStart >= this.#options.windowMs) {
      this.#windowStart = now;
      this.#decided = this.#dead = 0;
    }
    this.#decided++;
    if (dead) this.#dead++;
    if (this.#state === 'closed') {
      if (this.#dead >= this.#options.minDead && this.#dead >= this.#options.share * this.#decided)
        this.#open(now, this.#options.coolDownMs);
    } else if (this.#dead >= this.#options.share * this.#options.probe) {
      this.#open(now, Math.min(this.#coolDownMs * 2, this.#options.maxCoolDownMs));
    } else if (this.#decided >= this.#options.probe) this.#close();
  }

  #open(now: number, coolDownMs: number): void {
    this.#state = 'open';
    this.#coolDownMs = coolDownMs;
    this.#until = now + coolDownMs;
  }

  #close(): void {
    this.#state = 'closed';
    this.#windowStart = Number.NEGATIVE_INFINITY;
    this.#coolDownMs = this.#options.coolDownMs;
  }
}

export type BreakerState = 'closed' | 'open' | 'half-open';

export type BreakerOptions = {
  /** Ms over which records are counted. */
  readonly windowMs: number;
  /** Dead letters in a window below which nothing happens. */
  readonly minDead: number;
  /** Part of the decided records, 0 to 1. */
  readonly share: number;
  /** Ms of the first pause; doubles while probes fail. */
  readonly coolDownMs: number;
  readonly maxCoolDownMs: number;
  /** Records that a half-open breaker lets through. */
  readonly probe: number;
};

export const BREAKER_DEFAULTS: BreakerOptions = {
  windowMs: 10_000,
  minDead: 500,
  share: 0.5,
  coolDownMs: 10_000,
  maxCoolDownMs: 300_000,
  probe: 20,
};
