import type { Channels } from '../channels/channels.ts';
import type { Clock } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import type { CatchUp } from './catch-up.ts';
import type { Cursors } from './cursors.ts';
import type { FrameCache } from './frame-cache.ts';
import type { LiveMetrics } from './metrics.ts';
import type { LiveLimits } from './options.ts';
import type { KeyCounts } from './key-counts.ts';
import type { EventSpans } from './event-spans.ts';
import type { EnrichmentIdentity } from './view.ts';

/** What the parts of one engine share. One object, so that a group or a member holds one reference. */
export type LiveContext = {
  readonly channels: Channels;
  readonly cursors: Cursors;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: LiveMetrics;
  readonly limits: LiveLimits;
  readonly enrichmentIdentity: EnrichmentIdentity;
  readonly forwardAuthorization: boolean;
  readonly frames: FrameCache;
  readonly catchUp: CatchUp;
  readonly sessions: KeyCounts;
  readonly spans: EventSpans;
};
