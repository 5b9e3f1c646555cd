import type { Identity } from '../access/identity.ts';
import { identityHeaders } from '../access/upstream-headers.ts';
import type { Position } from '../channels/channels.ts';
import type { Audience } from '../events/live-event.ts';
import type { MillraceError } from '../kit/errors.ts';
import type { JsonObject } from '../kit/json.ts';
import type { GenerationLease, PreparedOperation, SubscriptionPlan } from '../supergraph/generation.ts';
import { maySee } from './audience.ts';
import type { Feed } from './feed.ts';
import type { Indexed } from './subscription-index.ts';
import type { Matcher } from './matcher.ts';
import type { Member } from './member.ts';
import { FAILED_TEXT, type Gap, gapSource, type Moment, type Payload, payloadOf, withError } from './payload.ts';
import { PendingQueue } from './pending-queue.ts';
import { RecentPayloads } from './recent-payloads.ts';

export type LivePlan = SubscriptionPlan & { readonly kind: 'live' };

export type GroupParts = {
  readonly operation: PreparedOperation;
  readonly plan: LivePlan;
  readonly variables: Readonly<Record<string, unknown>>;
  /** As the client sent them, to be coerced again in another generation. */
  readonly rawVariables: JsonObject;
  readonly matcher: Matcher;
  readonly view: string;
  readonly enriches: boolean;
  /** The group's own; released when the group ends. */
  readonly lease: GenerationLease;
  /** Identity of the document and the variables within the generation. */
  readonly variablesKey: string;
};

/**
 * Subscriptions that want the same, with the same view: one execution and one serialisation per event, the frame bytes shared.
 * Live members stand first in `#members`, so that a delivery walks an array and looks at nothing else. A group without enrichment is
 * synchronous from channel to socket; one with enrichment keeps the order by a bounded queue.
 */
export class Group implements Indexed {
  readonly feed: Feed;
  readonly parts: GroupParts;
  readonly matcher: Matcher;
  /** Of the index. */
  slot = -1;
  liveCount = 0;
  closed = false;
  readonly #members: Member[] = [];
  /** Live members by user, kept once an event came for certain users only. */
  #byUser: Map<string, Member[]> | null = null;
  #recent: RecentPayloads | null = null;
  #queue: PendingQueue | null = null;
  #abort: AbortController | null = null;
  #identity: Identity | null = null;
  /** A delivery walks the members: whoever leaves meanwhile is taken out afterwards. */
  #walking = false;
  #left: Member[] | null = null;

  constructor(feed: Feed, parts: GroupParts) {
    this.feed = feed;
    this.parts = parts;
    this.matcher = parts.matcher;
  }

  get size(): number {
    return this.#members.length;
  }

  members(): readonly Member[] {
    return this.#members;
  }

  // ---- membership -----------------------------------------------------------------------------------------------------------

  add(member: Member): void {
    member.index = this.#members.length;
    this.#members.push(member);
    this.#identity = longerLived(this.#identity, member.identity);
  }

  /** Its position has reached the frontier: from now on it is served by deliveries. */
  enlist(member: Member): void {
    this.#swap(member.index, this.liveCount);
    this.liveCount += 1;
    if (this.#byUser) addByUser(this.#byUser, member);
  }

  /** It has ended. */
  leave(member: Member): void {
    if (this.#walking) {
      (this.#left ??= []).push(member);
      return;
    }
    this.#unlist(member);
    this.#remove(member);
    if (this.#members.length === 0) this.feed.closeGroup(this);
    this.feed.memberLeft();
  }

  /** All members at once, to a group of another generation or to their end. The group is empty and closed afterwards. */
  release(each: (member: Member, from: Position | null) => void): void {
    const done = this.#queue?.doneBefore() ?? this.feed.position();
    const members = this.#members.splice(0);
    const live = this.liveCount;
    this.liveCount = 0;
    this.#byUser = null;
    this.#queue?.clear();
    for (const [index, member] of members.entries()) {
      member.index = -1;
      // A live member is done with what the group has delivered; its own position lags behind events that did not match.
      each(member, index < live && done ? furthest(member, done) : null);
    }
    this.feed.closeGroup(this);
  }

  failAll(error: MillraceError): void {
    for (const member of [...this.#members]) member.fail(error);
  }

  /** Ends what is under way. Called by the feed once. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#queue?.clear();
    this.#abort?.abort();
    this.parts.lease.release();
  }

  // ---- events ---------------------------------------------------------------------------------------------------------------

  /** An event of the channel that matches. */
  offer(moment: Moment): void {
    // Members that are behind read it from history.
    if (this.liveCount === 0 || !this.#anyoneMaySee(moment.event.audience)) return;
    if (!this.parts.enriches) {
      this.deliver(moment, this.#completed(moment));
      return;
    }
    this.#queue ??= new PendingQueue(this, this.feed.context);
    this.#queue.offer(moment);
  }

  gap(gap: Gap): void {
    if (this.#queue?.busy) this.#queue.offerGap(gap);
    else this.deliverGap(gap);
  }

  /** To every live member that may see it and is not past it. */
  deliver(moment: Moment, payload: Payload): void {
    const { frames, metrics, spans } = this.feed.context;
    frames.begin(payload.bytes, payload.cursor);
    const { audience } = moment.event;
    const span = spans.start('live.deliver', moment);
    const before = metrics.counts.delivered;
    this.#walking = true;
    try {
      if (audience.kind === 'members' && audience.groups.length === 0) this.#deliverToUsers(moment, audience.users);
      else if (audience.kind === 'members') this.#deliverToAll(moment, audience);
      else this.#deliverToAll(moment, audience.kind === 'tenant' && this.#identity?.kind === 'anonymous' ? audience : null);
    } finally {
      this.#endWalk();
      span?.set('millrace.deliveries', metrics.counts.delivered - before);
      span?.end();
    }
  }

  deliverGap(gap: Gap): void {
    const { frames, metrics } = this.feed.context;
    if (this.liveCount === 0) return;
    const payload = this.gapPayload(gap.top, gap.missed);
    frames.begin(payload.bytes, payload.cursor);
    this.#walking = true;
    for (let at = 0; at < this.liveCount;) {
      const member = this.#members[at] as Member;
      // Told already, by history, while this waited behind enrichments.
      const past = member.epoch !== gap.from.epoch || (member.epoch === gap.top.epoch && member.offset >= gap.top.offset);
      if (member.state !== 'live' || past || this.#send(member)) {
        at += 1;
        if (past || member.state !== 'live') continue;
        metrics.counts.gaps += 1;
        member.epoch = gap.top.epoch;
        member.offset = gap.top.offset;
      } else {
        this.#setBehind(member, 'congested', gap.from.epoch, gap.from.offset);
      }
    }
    this.#endWalk();
  }

  /** The group's queue is full: live members read from history what comes after `position`. */
  sendBehind(position: Position): void {
    this.feed.context.metrics.counts.enrichmentOverflows += 1;
    while (this.liveCount > 0) {
      const member = this.#members[this.liveCount - 1] as Member;
      const { epoch, offset } = furthest(member, position);
      this.#setBehind(member, 'overflowed', epoch, offset);
    }
  }

  // ---- payloads -------------------------------------------------------------------------------------------------------------

  /** For members that catch up. Shared with whoever asks for the same moment soon. */
  payloadFor(moment: Moment): Payload | Promise<Payload> {
    const recent = this.#recents();
    const present = recent.get(moment.epoch, moment.offset);
    if (present !== undefined) return present;
    const made = this.parts.enriches ? this.enriched(moment) : this.#completed(moment);
    if (!(made instanceof Promise)) recent.put(moment.epoch, moment.offset, made);
    return made;
  }

  /** Never rejects. In flight it is shared through the recent payloads. */
  enriched(moment: Moment): Promise<Payload> {
    const recent = this.#recents();
    const present = recent.get(moment.epoch, moment.offset);
    if (present !== undefined) return Promise.resolve(present);
    const made = this.#enrich(moment).then((payload) => {
      if (this.size > this.liveCount) recent.put(moment.epoch, moment.offset, payload);
      else recent.delete(moment.offset);
      return payload;
    });
    recent.put(moment.epoch, moment.offset, made);
    return made;
  }

  gapPayload(top: Position, missed: number | null): Payload {
    const { cursors, clock } = this.feed.context;
    const cursor = cursors.sign(this.feed.channel, top);
    return payloadOf(this.#complete(gapSource(cursor, missed, clock.now())), cursor);
  }

  #completed(moment: Moment): Payload {
    this.feed.context.metrics.counts.executions += 1;
    const span = this.feed.context.spans.start('group.execute', moment);
    const payload = payloadOf(this.#complete(moment.source(this.parts.plan.liveType)), moment.cursor);
    span?.end();
    // Kept only while somebody is behind who may ask for it: a million quiet groups keep nothing.
    if (this.size > this.liveCount) this.#recents().put(moment.epoch, moment.offset, payload);
    return payload;
  }

  #complete(source: Parameters<LivePlan['complete']>[0]): string {
    try {
      return this.parts.plan.complete(source, this.parts.variables).text;
    } catch (error) {
      this.feed.fault(error, 'a selection could not be completed');
      return FAILED_TEXT;
    }
  }

  async #enrich(moment: Moment): Promise<Payload> {
    const { clock, limits, metrics, enrichmentIdentity, forwardAuthorization } = this.feed.context;
    const { plan, variables, view } = this.parts;
    const started = clock.monotonic();
    metrics.counts.executions += 1;
    this.#abort ??= new AbortController();
    const identity = this.#identity ?? { kind: 'anonymous', tenant: this.feed.channel.tenant };
    const headers = identityHeaders(identity, this.feed.channel.tenant, enrichmentIdentity, forwardAuthorization);
    const span = this.feed.context.spans.start('group.execute', moment);
    const traceparent = span?.traceparent ?? moment.event.traceparent;
    const source = moment.source(plan.liveType);
    try {
      const { text } = await plan.enrich(source, {
        variables,
        headers: traceparent === null ? headers : { ...headers, traceparent },
        view,
        signal: this.#abort.signal,
        deadline: started + limits.enrichmentDeadlineMs,
      });
      return payloadOf(text, moment.cursor);
    } catch (error) {
      metrics.counts.enrichmentFailures += 1;
      this.feed.fault(error, 'an enrichment rejected');
      return payloadOf(withError(this.#complete(source)), moment.cursor);
    } finally {
      metrics.enrichment.observe((clock.monotonic() - started) / 1_000);
      span?.end();
    }
  }

  #recents(): RecentPayloads {
    const { recentPayloads, recentPayloadBytes } = this.feed.context.limits;
    return (this.#recent ??= new RecentPayloads(recentPayloads, recentPayloadBytes));
  }

  // ---- the walk -------------------------------------------------------------------------------------------------------------

  /** `audience` null: every member of the group may see it, which its view has settled. */
  #deliverToAll(moment: Moment, audience: Audience | null): void {
    const { offset, epoch } = moment;
    for (let at = 0; at < this.liveCount;) {
      const member = this.#members[at] as Member;
      // Another epoch: history has told the member of the change while this event waited behind enrichments.
      if (
        offset <= member.offset ||
        member.epoch !== epoch ||
        member.state !== 'live' ||
        (audience !== null && !maySee(member.identity, audience))
      )
        at += 1;
      else if (this.#send(member)) {
        member.offset = offset;
        at += 1;
      } else {
        // The last live member takes its place and is looked at next.
        this.#setBehind(member, 'congested', moment.epoch, offset - 1);
      }
    }
  }

  /** Costs the users that are named, not the members that there are. */
  #deliverToUsers(moment: Moment, users: readonly string[]): void {
    const byUser = this.#indexedByUser();
    for (const user of users) {
      const members = byUser.get(user);
      if (!members) continue;
      // A copy is made only where somebody goes behind and thereby leaves this very array.
      for (let at = members.length - 1; at >= 0; at -= 1) {
        const member = members[at];
        if (member === undefined || member.state !== 'live' || moment.offset <= member.offset || member.epoch !== moment.epoch) continue;
        if (this.#send(member)) member.offset = moment.offset;
        else this.#setBehind(member, 'congested', moment.epoch, moment.offset - 1);
      }
    }
  }

  #send(member: Member): boolean {
    const { outbox } = member;
    if (outbox.congested) return false;
    const { frames, metrics } = this.feed.context;
    const frame = frames.frame(outbox, member.operationId, member.slot);
    if (!outbox.offer(frame)) return false;
    metrics.counts.delivered += 1;
    metrics.counts.bytesSent += frame.length;
    return true;
  }

  #anyoneMaySee(audience: Audience): boolean {
    if (audience.kind !== 'members') return audience.kind === 'public' || this.#identity?.kind !== 'anonymous';
    if (audience.groups.length === 0) {
      const byUser = this.#indexedByUser();
      return audience.users.some((user) => byUser.has(user));
    }
    for (let at = 0; at < this.liveCount; at += 1) if (maySee((this.#members[at] as Member).identity, audience)) return true;
    return false;
  }

  #indexedByUser(): ReadonlyMap<string, Member[]> {
    if (this.#byUser === null) {
      this.#byUser = new Map();
      for (let at = 0; at < this.liveCount; at += 1) addByUser(this.#byUser, this.#members[at] as Member);
    }
    return this.#byUser;
  }

  #setBehind(member: Member, why: 'congested' | 'overflowed', epoch: string, offset: number): void {
    this.#unlist(member);
    member.goBehind(why, epoch, offset);
  }

  #endWalk(): void {
    this.#walking = false;
    const left = this.#left;
    if (left === null) return;
    this.#left = null;
    for (const member of left) this.leave(member);
  }

  #unlist(member: Member): void {
    if (member.index >= this.liveCount || member.index < 0) return;
    this.liveCount -= 1;
    this.#swap(member.index, this.liveCount);
    if (this.#byUser) removeByUser(this.#byUser, member);
    // Nobody is left to deliver to; what is in flight would be delivered to nobody and hold up whoever comes next.
    if (this.liveCount === 0) this.#queue?.clear();
  }

  #remove(member: Member): void {
    const last = this.#members.pop();
    if (last !== undefined && last !== member) {
      this.#members[member.index] = last;
      last.index = member.index;
    }
    member.index = -1;
    // Without enrichment only the kind of identity matters, which is the same for all members of a view.
    if (this.parts.enriches && this.#identity === member.identity) {
      this.#identity = this.#members.reduce<Identity | null>((best, one) => longerLived(best, one.identity), null);
    }
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#members[a], this.#members[b]];
    if (a === b || !first || !second) return;
    this.#members[a] = second;
    this.#members[b] = first;
    second.index = a;
    first.index = b;
  }
}

/** Enrichment runs with a token of the group's view; the one that lasts longest is the least likely to expire on the way. */
function longerLived(a: Identity | null, b: Identity): Identity {
  if (a === null || a.kind === 'anonymous' || b.kind === 'anonymous') return b;
  return (a.expiresAt ?? Infinity) >= (b.expiresAt ?? Infinity) ? a : b;
}

/**
 * Where a live member stands when its group stands at `done`: there, unless history has brought it further. A member of another epoch is
 * further: it was told of the change while `done` waited behind enrichments, and must not be taken back.
 */
function furthest(member: Member, done: Position): Position {
  return member.epoch !== done.epoch || member.offset > done.offset ? { epoch: member.epoch, offset: member.offset } : done;
}

function addByUser(map: Map<string, Member[]>, member: Member): void {
  if (member.identity.kind !== 'user') return;
  const present = map.get(member.identity.user);
  if (present) present.push(member);
  else map.set(member.identity.user, [member]);
}

function removeByUser(map: Map<string, Member[]>, member: Member): void {
  if (member.identity.kind !== 'user') return;
  const present = map.get(member.identity.user);
  const at = present?.indexOf(member) ?? -1;
  if (!present || at < 0) return;
  const last = present.pop();
  if (last !== undefined && last !== member) present[at] = last;
  if (present.length === 0) map.delete(member.identity.user);
}
