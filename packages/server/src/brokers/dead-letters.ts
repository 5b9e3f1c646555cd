import type { RawRecord } from '../events/record.ts';

/**
 * PORT. Records that could not become events, with everything needed to understand and to redrive them.
 * Bounded by count and age; the oldest go first, counted. `add` resolves when durable.
 */
export interface DeadLetters {
  add(letter: NewDeadLetter): Promise<string>;
  /** Newest first, without bodies. `after` is the id of the last row seen. */
  list(query: { readonly topic?: string; readonly limit: number; readonly after?: string }): Promise<readonly DeadLetterRow[]>;
  show(id: string): Promise<DeadLetter | null>;
  /** Puts the raw record back into the log and marks the letter as redriven. Idempotent: a second call answers `already`. */
  redrive(id: string): Promise<'redriven' | 'already' | 'unknown'>;
  count(): Promise<number>;
}

export type NewDeadLetter = {
  readonly record: RawRecord;
  readonly position: string;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  readonly firstError: string;
  readonly lastError: string;
};

export type DeadLetterRow = {
  readonly id: string;
  readonly topic: string;
  readonly position: string;
  readonly code: string;
  readonly reason: string;
  readonly attempts: number;
  readonly bytes: number;
  /** Ms since the epoch. */
  readonly at: number;
  readonly redrivenAt: number | null;
};

export type DeadLetter = DeadLetterRow & NewDeadLetter;
