import { type DeadSettlement, deadLetterOf } from './dead-settlement.ts';
import type { Delivery, DeliveryDesk } from './delivery-desk.ts';
import type { Settlement, SourceRecord } from './event-source.ts';
import type { BrokersMetrics } from './metrics.ts';

export type SettlementParts<Handle> = {
  /** The source's. */
  readonly name: string;
  readonly desk: DeliveryDesk<Handle>;
  readonly dead: DeadSettlement;
  readonly metrics: BrokersMetrics;
  /** The broker is to hear that it is done with; for a dead letter, once that is durable. */
  readonly settled: (delivery: Delivery<Handle>) => void;
  /** It waits for its next attempt. */
  readonly parked: () => void;
};

/** What a settlement means for a record of a broker that is not ours, whichever it is. */
export class Settlements<Handle> {
  readonly #parts: SettlementParts<Handle>;

  constructor(parts: SettlementParts<Handle>) {
    this.#parts = parts;
  }

  /** False: the record is not out any more, and nothing was done. */
  take(record: SourceRecord, settlement: Settlement): boolean {
    const { name, desk, dead, metrics, settled, parked } = this.#parts;
    const delivery = desk.out(record);
    if (delivery === null) return false;
    metrics.settled.inc({ group: name, kind: settlement.kind });
    if (settlement.kind === 'done') settled(delivery);
    else if (settlement.kind === 'dead') {
      desk.hold(delivery);
      dead.add(deadLetterOf(record, settlement, delivery.firstError), () => settled(delivery));
    } else {
      desk.park(delivery, { ...record, attempt: record.attempt + 1 }, settlement.at, `${settlement.code}: ${settlement.reason}`);
      parked();
    }
    return true;
  }
}
