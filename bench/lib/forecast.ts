import type { AnyRow } from './row.ts';

/** Runs that a row's `seconds` are about. */
const USUAL_RUNS = 5;
const UNKNOWN_S = 45;

/** How much is still to come: what rows say of themselves, corrected by how much longer this machine has needed so far. */
export class Forecast {
  readonly #rows: readonly { readonly name: string; readonly seconds: number }[];
  #expected = 0;
  #taken = 0;
  #through = 0;

  constructor(rows: readonly Pick<AnyRow, 'name' | 'seconds'>[], runs: number) {
    this.#rows = rows.map(({ name, seconds = UNKNOWN_S }) => ({ name, seconds: (seconds * runs) / USUAL_RUNS }));
  }

  where(name: string): string {
    const index = this.#rows.findIndex((row) => row.name === name);
    const left = this.#rows.slice(index).reduce((sum, { seconds }) => sum + seconds, 0);
    const factor = this.#expected > 0 ? this.#taken / this.#expected : 1;
    return `row ${this.#through + 1} of ${this.#rows.length}, about ${duration(left * factor)} left`;
  }

  took(name: string, seconds: number): void {
    this.#through += 1;
    this.#expected += this.#rows.find((row) => row.name === name)?.seconds ?? 0;
    this.#taken += seconds;
  }
}

export function duration(seconds: number): string {
  return seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
}
