import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '../../kit/clock.ts';
import { silentLogger } from '../../kit/log.ts';
import { Metrics } from '../../kit/metrics.ts';
import { type DeliveryLedger, openDeliveryLedger } from '../delivery-ledger.ts';
import { EMBEDDED_LOG_DEFAULTS, type EmbeddedLog, openEmbeddedLog } from '../embedded-log.ts';
import type { EventSource } from '../event-source.ts';
import { type BrokersMetrics, createBrokersMetrics } from '../metrics.ts';

/** What stands beside a foreign broker: the data folder with dead letters and ledger, on a clock that the test moves. */
export class Beside {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-beside-'));
  readonly metrics: BrokersMetrics = createBrokersMetrics(new Metrics());
  readonly logger = silentLogger;
  clock = new ManualClock();
  readonly #maxDeadLetters: number;
  #log: EmbeddedLog | null = null;
  #ledger: DeliveryLedger | null = null;
  #redriven: EventSource | null = null;

  constructor(maxDeadLetters = EMBEDDED_LOG_DEFAULTS.deadLetters.maxCount) {
    this.#maxDeadLetters = maxDeadLetters;
  }

  async open(): Promise<void> {
    const { logger, metrics, clock } = this;
    const deadLetters = { ...EMBEDDED_LOG_DEFAULTS.deadLetters, maxCount: this.#maxDeadLetters };
    this.#log = openEmbeddedLog(join(this.folder, 'events.sqlite'), { logger, metrics, clock }, { deadLetters });
    this.#ledger = openDeliveryLedger(join(this.folder, 'delivery.sqlite'));
    this.#redriven = this.#log.source('ingest');
    await this.#redriven.open();
  }

  get log(): EmbeddedLog {
    if (this.#log === null) throw new Error('not open');
    return this.#log;
  }

  get ledger(): DeliveryLedger {
    if (this.#ledger === null) throw new Error('not open');
    return this.#ledger;
  }

  get redriven(): EventSource {
    if (this.#redriven === null) throw new Error('not open');
    return this.#redriven;
  }

  async close(): Promise<void> {
    await this.#log?.close();
    this.#ledger?.close();
    this.clock = new ManualClock(this.clock.now());
  }

  async dispose(): Promise<void> {
    await this.close().catch(() => {});
    rmSync(this.folder, { recursive: true, force: true });
  }
}
