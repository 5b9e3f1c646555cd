import type { AnyRow } from '../lib/row.ts';
import { kafka } from './brokers.ts';
import { enrichment, enrichmentGroups } from './enrichment.ts';
import { bursts, fanOut } from './fan-out.ts';
import { filters } from './filters.ts';
import { gateway, gatewayShared } from './gateway.ts';
import { ingestBatches, ingestSingle } from './ingest.ts';
import { latency } from './latency.ts';
import { generator } from './generator.ts';
import { matching } from './matching.ts';
import { memory, memoryTraffic } from './memory.ts';
import { start } from './start.ts';
import { subscribe } from './subscribe.ts';

/** In the order in which they run. Rows of one stage stand together, so that it is opened once. */
export const rows: readonly AnyRow[] = [
  fanOut,
  bursts,
  latency,
  generator,
  filters,
  memory,
  subscribe,
  matching,
  enrichment,
  enrichmentGroups,
  gateway,
  gatewayShared,
  ingestBatches,
  ingestSingle,
  start,
] as readonly unknown[] as readonly AnyRow[];

/** Too long for every day, or on servers that not every machine has. */
export const longRows: readonly AnyRow[] = [kafka, memoryTraffic] as readonly unknown[] as readonly AnyRow[];
