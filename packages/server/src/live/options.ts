import type { EnrichmentIdentity } from './view.ts';

/** Bounds of the live room, with what happens at each: spec/delivery.md section 11. */
export type LiveLimits = {
  readonly subscriptions: number;
  readonly filterDepth: number;
  readonly filterSize: number;
  readonly ids: number;
  /** Bytes that a connection may hold before its subscriptions go behind. */
  readonly outboxBytes: number;
  /** Events of one group that wait for subgraphs at a time. */
  readonly enrichmentInFlight: number;
  readonly enrichmentDeadlineMs: number;
  readonly catchUpPage: number;
  readonly catchUpPageBytes: number;
  /** Pages started in one turn of the event loop. */
  readonly catchUpBudget: number;
  readonly catchUpConcurrency: number;
  /** Pause before a page is read again whose store was away, ms. */
  readonly catchUpRetryMs: number;
  readonly recentPayloads: number;
  readonly recentPayloadBytes: number;
};

export const LIVE_LIMITS: LiveLimits = {
  subscriptions: 2_000_000,
  filterDepth: 8,
  filterSize: 1_000,
  ids: 1_000,
  outboxBytes: 1_048_576,
  enrichmentInFlight: 64,
  enrichmentDeadlineMs: 3_000,
  catchUpPage: 128,
  catchUpPageBytes: 262_144,
  catchUpBudget: 32,
  catchUpConcurrency: 16,
  catchUpRetryMs: 500,
  recentPayloads: 64,
  recentPayloadBytes: 262_144,
};

export type SessionLimits = {
  readonly sessions: number;
  readonly sessionsPerTenant: number;
  readonly sessionsPerAddress: number;
  readonly operationsPerSession: number;
  readonly subscriptionsPerSession: number;
  /** A connection that takes no data for so long is closed, ms. */
  readonly stuckMs: number;
  /** A session without an operation for so long is closed, ms. */
  readonly idleMs: number;
  readonly maxAgeMs: number;
  readonly drainWindowMs: number;
};

export const SESSION_LIMITS: SessionLimits = {
  sessions: 100_000,
  sessionsPerTenant: 50_000,
  sessionsPerAddress: 20_000,
  operationsPerSession: 1_000,
  subscriptionsPerSession: 500,
  stuckMs: 60_000,
  idleMs: 1_800_000,
  maxAgeMs: 86_400_000,
  drainWindowMs: 10_000,
};

export const ENRICHMENT_IDENTITY: EnrichmentIdentity = 'user';
