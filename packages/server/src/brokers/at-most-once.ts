import type { DeadLetters } from './dead-letters.ts';
import { deadLetterOf } from './dead-settlement.ts';
import type { EventSource, Settlement, SourceRecord } from './event-source.ts';
import type { Logger } from '../kit/log.ts';
import { reasonOf } from '../kit/errors.ts';

/**
 * A source whose records count as settled before anybody sees them: never twice, and lost where the process dies with them. Dead letters are
 * kept all the same; nothing is retried by the source.
 */
export class AtMostOnceSource implements EventSource {
  readonly name: string;
  readonly #source: EventSource;
  readonly #deadLetters: Pick<DeadLetters, 'add'>;
  readonly #logger: Logger;
  readonly #adding = new Set<Promise<unknown>>();

  constructor(source: EventSource, deadLetters: Pick<DeadLetters, 'add'>, logger: Logger) {
    this.name = source.name;
    this.#source = source;
    this.#deadLetters = deadLetters;
    this.#logger = logger;
  }

  open(): Promise<void> {
    return this.#source.open();
  }

  async pull(max: number): Promise<readonly SourceRecord[]> {
    const records = await this.#source.pull(max);
    for (const record of records) this.#source.settle(record, { kind: 'done' });
    // Handed out before that were durable, a crash would bring them again.
    try {
      if (records.length > 0) await this.#source.flush();
    } catch (error) {
      this.#logger.error(
        { reason: reasonOf(error), source: this.name, records: records.length },
        'records were lost: settled, and not handed out',
      );
      throw error;
    }
    return records;
  }

  settle(record: SourceRecord, settlement: Settlement): void {
    if (settlement.kind !== 'dead') return;
    const adding = this.#deadLetters
      .add(deadLetterOf(record, settlement, null))
      .catch((error: unknown) => this.#logger.error({ reason: reasonOf(error), position: record.position }, 'a dead letter was lost'))
      .finally(() => this.#adding.delete(adding));
    this.#adding.add(adding);
  }

  async flush(): Promise<void> {
    await Promise.all(this.#adding);
    await this.#source.flush();
  }

  lag(): Promise<number> {
    return this.#source.lag();
  }

  async close(): Promise<void> {
    await Promise.all(this.#adding);
    await this.#source.close();
  }
}
