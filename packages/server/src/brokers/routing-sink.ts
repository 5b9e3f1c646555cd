import type { AppendResult, EventSink, SinkGuarantees, SinkRecord } from './event-sink.ts';

/** Sends each record to the sink of its topic: those of foreign brokers by name, everything else to the embedded log. */
export class RoutingSink implements EventSink {
  /** What all of them hold. */
  readonly guarantees: SinkGuarantees;
  readonly #byTopic: ReadonlyMap<string, EventSink>;
  readonly #otherwise: EventSink;

  constructor(byTopic: ReadonlyMap<string, EventSink>, otherwise: EventSink) {
    this.#byTopic = byTopic;
    this.#otherwise = otherwise;
    const all = [otherwise, ...byTopic.values()].map(({ guarantees }) => guarantees);
    this.guarantees = {
      // A call for two sinks may succeed at one of them.
      atomic: byTopic.size === 0 && all.every(({ atomic }) => atomic),
      detectsDuplicates: all.every(({ detectsDuplicates }) => detectsDuplicates),
    };
  }

  async append(records: readonly SinkRecord[]): Promise<readonly AppendResult[]> {
    const parts = Map.groupBy(
      records.map((record, index) => ({ record, index })),
      ({ record }) => this.#byTopic.get(record.topic) ?? this.#otherwise,
    );
    const [only] = parts.keys();
    if (parts.size <= 1) return (only ?? this.#otherwise).append(records);
    const results = new Array<AppendResult>(records.length);
    const sends = [...parts].map(async ([sink, items]) => {
      const answers = await sink.append(items.map(({ record }) => record));
      items.forEach(({ index }, i) => (results[index] = answers[i] as AppendResult));
    });
    // All are waited for: a rejection must not leave another part on its way when the producer is answered.
    for (const outcome of await Promise.allSettled(sends)) if (outcome.status === 'rejected') throw outcome.reason;
    return results;
  }
}
