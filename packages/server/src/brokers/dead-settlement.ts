import type { Clock } from '../kit/clock.ts';
import { reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { Pauses } from '../kit/patience.ts';
import type { DeadLetters, NewDeadLetter } from './dead-letters.ts';
import type { Settlement, SourceRecord } from './event-source.ts';

/** Ms between attempts to keep a letter. Until it is kept its record stays unsettled, and the bound on those stops the source. */
const RETRY_MS = 1_000;

/** Keeps dead letters in the store beside a source. A letter is durable before its record counts as settled. */
export class DeadSettlement {
  readonly #letters: Pick<DeadLetters, 'add'>;
  readonly #logger: Logger;
  readonly #adding = new Set<Promise<void>>();
  readonly #pauses: Pauses;
  #closed = false;

  constructor(letters: Pick<DeadLetters, 'add'>, clock: Clock, logger: Logger) {
    this.#letters = letters;
    this.#pauses = new Pauses(clock);
    this.#logger = logger;
  }

  /** Calls `kept` once the letter is durable; never after `close`. */
  add(letter: NewDeadLetter, kept: () => void): void {
    const adding = this.#try(letter, kept).finally(() => this.#adding.delete(adding));
    this.#adding.add(adding);
  }

  async settled(): Promise<void> {
    while (this.#adding.size > 0) await Promise.all(this.#adding);
  }

  close(): void {
    this.#closed = true;
    this.#pauses.end();
  }

  async #try(letter: NewDeadLetter, kept: () => void): Promise<void> {
    for (;;) {
      try {
        await this.#letters.add(letter);
        return kept();
      } catch (error) {
        this.#logger.error({ reason: reasonOf(error), position: letter.position }, 'a dead letter could not be kept; trying again');
      }
      await this.#pauses.pause(RETRY_MS);
      if (this.#closed) return;
    }
  }
}

/** The first error is the oldest that anybody knows: of the source's own retries, else of those that the caller made by itself. */
export function deadLetterOf(record: SourceRecord, settlement: Settlement & { kind: 'dead' }, first: string | null): NewDeadLetter {
  const { code, reason } = settlement;
  const lastError = `${code}: ${reason}`;
  const firstError = first ?? settlement.firstError ?? lastError;
  return { record, position: record.position, code, reason, attempts: settlement.attempts ?? record.attempt, firstError, lastError };
}
