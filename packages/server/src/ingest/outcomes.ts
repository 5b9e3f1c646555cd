import type { EventSource, SourceRecord } from '../brokers/event-source.ts';
import type { PublishResult } from '../channels/channels.ts';
import type { LiveEvent } from '../events/live-event.ts';
import type { Clock } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import type { DeadLetterBreaker } from './breaker.ts';
import { ingestErrors } from './errors.ts';
import type { EventTrace, TraceEntry, TraceOutcome } from './event-trace.ts';
import type { SourceMetrics } from './metrics.ts';

export type OutcomesPorts = {
  readonly source: EventSource;
  readonly trace: EventTrace;
  readonly clock: Clock;
  readonly logger: Logger;
};

/**
 * Everything that is said about a record when its fate is known: settlement to the source, entry in the trace, counters, and the
 * breaker's count. One place, so that no outcome is ever only half told.
 */
export class Outcomes {
  readonly #ports: OutcomesPorts;
  readonly #metrics: SourceMetrics;
  readonly #breaker: DeadLetterBreaker;

  constructor(ports: OutcomesPorts, metrics: SourceMetrics, breaker: DeadLetterBreaker) {
    this.#ports = ports;
    this.#metrics = metrics;
    this.#breaker = breaker;
  }

  /** The record has had its effect, or is to have none. */
  done(record: SourceRecord): void {
    this.#ports.source.settle(record, { kind: 'done' });
    this.#decide(false);
  }

  dropped(record: SourceRecord, reason: string): void {
    this.#tell(record, 'dropped', null, { reason });
    this.done(record);
  }

  dead(
    record: SourceRecord,
    code: string,
    reason: string,
    history: { readonly attempts?: number; readonly firstError?: string } = {},
  ): void {
    this.#metrics.rejected(code);
    this.#tell(record, 'rejected', null, { code, reason });
    this.#ports.source.settle(record, { kind: 'dead', code, reason, ...history });
    this.#decide(true);
  }

  /** Of one event of a record; the record itself is settled by `done`. */
  noInterest(record: SourceRecord, event: LiveEvent): void {
    this.#tell(record, 'no-interest', event, {});
  }

  /** Of one event of a record; the record itself is settled by `done`. */
  published(record: SourceRecord, event: LiveEvent, result: PublishResult): void {
    if (result.kind !== 'published') {
      this.#tell(record, result.kind, event, {});
      return;
    }
    const { audience } = event;
    if (audience.kind === 'members' && audience.users.length === 0 && audience.groups.length === 0) this.#metrics.hidden.inc();
    this.#tell(record, 'published', event, { channel: result.position });
  }

  retry(record: SourceRecord, reason: string): void {
    this.#metrics.retries.inc();
    this.#tell(record, 'retry', null, { code: ingestErrors.PUBLISH_FAILED.code, reason });
  }

  #decide(dead: boolean): void {
    const before = this.#breaker.state;
    this.#breaker.decide(dead, this.#ports.clock.monotonic());
    const after = this.#breaker.state;
    if (before === after) return;
    const { logger, source, clock } = this.#ports;
    if (after === 'open') {
      this.#metrics.breakerTrips.inc();
      const pauseMs = Math.round(this.#breaker.until - clock.monotonic());
      logger.error(
        { source: source.name, pauseMs },
        'most records are dead letters: the source is paused; see `millrace dead-letters list`',
      );
    } else logger.info({ source: source.name }, 'records are good again: the source goes on');
  }

  #tell(
    record: SourceRecord,
    outcome: TraceOutcome,
    event: LiveEvent | null,
    { code = null, reason = null, channel = null }: Partial<Pick<TraceEntry, 'code' | 'reason' | 'channel'>>,
  ): void {
    this.#metrics.outcome[outcome].inc();
    this.#ports.trace.record({
      time: this.#ports.clock.now(),
      topic: record.topic,
      position: record.position,
      outcome,
      code,
      reason,
      tenant: event?.tenant ?? null,
      type: event?.type ?? null,
      key: event?.key ?? null,
      action: event?.action ?? null,
      id: event?.id ?? null,
      at: event?.at ?? null,
      channel,
    });
  }
}
