import type { Identity } from '../access/identity.ts';
import { accessErrors } from '../access/errors.ts';
import type { ChannelName, Channels, Position } from '../channels/channels.ts';
import type { LiveType } from '../events/live-type.ts';
import type { Clock } from '../kit/clock.ts';
import { kitErrors, MillraceError } from '../kit/errors.ts';
import type { JsonObject } from '../kit/json.ts';
import type { Logger } from '../kit/log.ts';
import type { Metrics } from '../kit/metrics.ts';
import { type Tracer, noTracer } from '../kit/tracer.ts';
import type { GenerationLease, Generations, PreparedOperation } from '../supergraph/generation.ts';
import { CatchUp } from './catch-up.ts';
import type { LiveContext } from './context.ts';
import type { Cursors } from './cursors.ts';
import { brokenBySchema, liveErrors } from './errors.ts';
import { EventSpans } from './event-spans.ts';
import { Feed } from './feed.ts';
import { layoutOf } from './filter-values.ts';
import { FrameCache } from './frame-cache.ts';
import { GenerationMover } from './generation-mover.ts';
import type { Group, GroupParts, LivePlan } from './group.ts';
import { variablesKey } from './group-key.ts';
import { KeyCounts } from './key-counts.ts';
import { compileMatcher, type Matcher } from './matcher.ts';
import { type LiveSubscription, Member, type SubscriptionOwner } from './member.ts';
import { createLiveMetrics } from './metrics.ts';
import { ENRICHMENT_IDENTITY, LIVE_LIMITS, type LiveLimits } from './options.ts';
import type { Outbox } from './outbox.ts';
import { type EnrichmentIdentity, viewOf } from './view.ts';

export type LiveEngineOptions = {
  readonly channels: Channels;
  readonly generations: Generations;
  readonly cursors: Cursors;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Missing ones: `LIVE_LIMITS`. */
  readonly limits?: Partial<LiveLimits>;
  /** Default `user`: each user's enrichment runs with that user's token. */
  readonly enrichmentIdentity?: EnrichmentIdentity;
  /** Whether subgraphs get the user's token where enrichment runs as the user. Default true. */
  readonly forwardAuthorization?: boolean;
  /** Without it nothing is traced. */
  readonly tracer?: Tracer;
  /** Default `setImmediate`. */
  readonly defer?: (run: () => void) => void;
};

/** A subscription on a live type, as the pipeline let it through. */
export type LiveRequest = {
  readonly operation: PreparedOperation;
  readonly plan: LivePlan;
  readonly variables: Readonly<Record<string, unknown>>;
  /** As the client sent them. */
  readonly rawVariables: JsonObject;
  /** Taken over, also where `subscribe` throws. */
  readonly lease: GenerationLease;
  readonly identity: Identity;
  readonly outbox: Outbox;
  readonly operationId: string;
  /** Last-Event-ID; the argument `after` goes before it. */
  readonly lastCursor: string | null;
  readonly owner: SubscriptionOwner;
};

export interface LiveEngine {
  /**
   * Starts a subscription at once; its channel is attached in the background. Throws UNAUTHENTICATED, CURSOR_INVALID, CURSOR_FOREIGN,
   * FILTER_TOO_DEEP, FILTER_TOO_LARGE, FILTER_INVALID, IDS_TOO_MANY, SUBSCRIPTIONS_EXHAUSTED.
   */
  subscribe(request: LiveRequest): LiveSubscription;
  /** Open sessions by tenant, kept by the session host; for the bytes that full fan-out would have cost. */
  readonly sessions: KeyCounts;
  readonly limits: LiveLimits;
  /** Running subscriptions and attached channels, for health and tests. */
  readonly figures: { readonly subscriptions: number; readonly groups: number; readonly feeds: number; readonly behind: number };
  /** Ends nothing by itself: sessions are ended by their host. Stops catching up and following generations. */
  close(): void;
}

export function createLiveEngine(options: LiveEngineOptions): LiveEngine {
  return new Engine(options);
}

class Engine implements LiveEngine {
  readonly sessions = new KeyCounts();
  readonly limits: LiveLimits;
  readonly #context: LiveContext;
  readonly #feeds = new Map<string, Feed>();
  readonly #mover: GenerationMover;
  readonly #generations: Generations;
  readonly #stopWatching: () => void;

  constructor(options: LiveEngineOptions) {
    const { channels, cursors, clock, log, generations } = options;
    const metrics = createLiveMetrics(options.metrics);
    this.#generations = generations;
    this.limits = { ...LIVE_LIMITS, ...options.limits };
    const defer = options.defer ?? ((run) => void setImmediate(run));
    this.#context = {
      channels,
      cursors,
      clock,
      log,
      metrics,
      limits: this.limits,
      enrichmentIdentity: options.enrichmentIdentity ?? ENRICHMENT_IDENTITY,
      forwardAuthorization: options.forwardAuthorization ?? true,
      frames: new FrameCache(),
      catchUp: new CatchUp({ channels, clock, log, metrics, limits: this.limits, defer }),
      sessions: this.sessions,
      spans: new EventSpans(options.tracer ?? noTracer),
    };
    this.#mover = new GenerationMover(
      generations,
      clock,
      log,
      () => this.#feeds.values(),
      (group, operation) => this.#regroup(group, operation),
    );
    this.#stopWatching = generations.onSwap((next) => this.#mover.target(next));
  }

  get figures(): LiveEngine['figures'] {
    const { subscriptions, groups, feeds, behind } = this.#context.metrics.counts;
    return { subscriptions, groups, feeds, behind };
  }

  subscribe(request: LiveRequest): LiveSubscription {
    try {
      return this.#subscribe(request);
    } catch (error) {
      request.lease.release();
      if (error instanceof MillraceError) this.#context.metrics.refused.inc({ code: error.code });
      throw error;
    }
  }

  close(): void {
    this.#stopWatching();
    this.#mover.close();
    this.#context.catchUp.close();
  }

  #subscribe(request: LiveRequest): LiveSubscription {
    const { plan, identity, outbox, operationId, lease } = request;
    const channel: ChannelName = { tenant: tenantOf(identity, plan.liveType), type: plan.liveType.name };
    if (this.#context.metrics.counts.subscriptions >= this.limits.subscriptions) {
      throw new MillraceError(liveErrors.SUBSCRIPTIONS_EXHAUSTED, 'the server has as many subscriptions as it may; try again later');
    }
    const args = plan.arguments(request.variables);
    const position = this.#positionOf(args['after'] ?? request.lastCursor, channel);
    const key = JSON.stringify([channel.type, channel.tenant]);
    const draft = this.#draftOf(request, identity, channel);
    const present = this.#feeds.get(key);
    const shared = present?.find(lease.generation.number, request.operation.normalised, draft.variablesKey);
    // Compiled before there is a feed: a filter that is refused leaves nothing behind.
    const matcher = shared?.matcher ?? compileMatcher(plan.liveType, plan.field, args, layoutOf(plan.liveType), this.limits);
    if (shared) lease.release();
    const feed = present ?? this.#newFeed(key, channel);
    const group = shared ?? feed.addGroup({ ...draft, matcher, lease });
    const slot = this.#context.frames.slotFor(outbox, operationId);
    const member = new Member(group, outbox, identity, operationId, slot, request.owner);
    feed.join(group, member, position);
    if (!present) void feed.open();
    this.#mover.noticed(lease.generation.number);
    return member;
  }

  #positionOf(cursor: unknown, channel: ChannelName): Position | null {
    if (cursor === null || cursor === undefined) return null;
    return this.#context.cursors.verify(typeof cursor === 'string' ? cursor : '', channel);
  }

  #draftOf(work: GroupWork, identity: Identity, channel: ChannelName): Omit<GroupParts, 'matcher' | 'lease'> {
    const { operation, plan, variables, rawVariables } = work;
    const enriches = plan.enriches(variables);
    const { enrichmentIdentity, forwardAuthorization } = this.#context;
    const view = viewOf(identity, channel.tenant, enriches, enrichmentIdentity, forwardAuthorization);
    return { operation, plan, variables, rawVariables, enriches, view, variablesKey: variablesKey(operation, variables, view) };
  }

  #newFeed(key: string, channel: ChannelName): Feed {
    const feed = new Feed(channel, this.#context, () => this.#feeds.delete(key));
    this.#feeds.set(key, feed);
    return feed;
  }

  /** A group's document has been prepared in the current generation: its members go over, or end where it broke. */
  #regroup(group: Group, operation: PreparedOperation): void {
    const { feed } = group;
    const { rawVariables } = group.parts;
    const coerced = operation.coerceVariables(rawVariables);
    const plan = operation.subscription;
    if ('errors' in coerced || plan?.kind !== 'live' || plan.liveType.name !== feed.channel.type) {
      group.failAll(brokenBySchema('errors' in coerced ? coerced.errors[0]?.message : undefined));
      return;
    }
    const variables = coerced.values;
    const matcher = compileMatcher(plan.liveType, plan.field, plan.arguments(variables), layoutOf(plan.liveType), this.limits);
    group.release((member, from) => {
      // For each member: a selection that has to ask a subgraph now parts users that were together until now.
      const draft = this.#draftOf({ operation, plan, variables, rawVariables }, member.identity, feed.channel);
      const next = this.#currentGroup(feed, draft, matcher);
      next.add(member);
      member.moveTo(next, from);
    });
  }

  #currentGroup(feed: Feed, draft: Omit<GroupParts, 'matcher' | 'lease'>, matcher: Matcher): Group {
    const lease = this.#generations.lease();
    // The mover holds a lease on it while this runs.
    if (!lease) throw new MillraceError(kitErrors.INTERNAL, 'there is no current generation');
    const present = feed.find(lease.generation.number, draft.operation.normalised, draft.variablesKey);
    if (present) lease.release();
    return present ?? feed.addGroup({ ...draft, matcher, lease });
  }
}

type GroupWork = Pick<LiveRequest, 'operation' | 'plan' | 'variables' | 'rawVariables'>;

/** The one place where a subscription gets its tenant: from the verified identity (spec/delivery.md, D4). */
function tenantOf(identity: Identity, type: LiveType): string {
  if (identity.kind === 'user') return identity.tenant;
  if (identity.tenant !== null && type.visibility === 'PUBLIC') return identity.tenant;
  throw new MillraceError(accessErrors.UNAUTHENTICATED, `events of ${type.name} are for signed-in users: send a token`);
}
