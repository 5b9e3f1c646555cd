import type { ChannelEvent, ChannelListener, ChannelName, ChannelSubscription, Position } from '../channels/channels.ts';
import type { LiveEvent } from '../events/live-event.ts';
import type { LiveType } from '../events/live-type.ts';
import { MillraceError, toMillraceError } from '../kit/errors.ts';
import type { LiveContext } from './context.ts';
import type { CursorSigner } from './cursors.ts';
import { liveErrors } from './errors.ts';
import { layoutOf } from './filter-values.ts';
import { Group, type GroupParts } from './group.ts';
import { SubscriptionIndex } from './subscription-index.ts';
import { matches } from './matcher.ts';
import type { Member } from './member.ts';
import { type Gap, Moment } from './payload.ts';

/** Groups of one generation: its index, and the groups by document and then by variables and view. */
type Shelf = {
  readonly index: SubscriptionIndex<Group>;
  readonly documents: Map<string, Map<string, Group>>;
};

/**
 * One attachment to one channel for all groups of it. Opened by the first member, closed when the last has left; `onClosed` tells the
 * engine, which forgets it in the same step, so that nobody can join a feed that is closing.
 */
export class Feed implements ChannelListener {
  readonly channel: ChannelName;
  readonly context: LiveContext;
  readonly #onClosed: (feed: Feed) => void;
  readonly #shelves = new Map<number, Shelf>();
  #phase: 'opening' | 'open' | 'closed' = 'opening';
  #subscription: ChannelSubscription | null = null;
  #epoch: string | null = null;
  #offset = 0;
  #signer: CursorSigner | null = null;
  #members = 0;
  #moment: Moment | null = null;
  #dispatching = false;
  #emptied: Group[] = [];
  readonly #visit: (group: Group) => void;

  constructor(channel: ChannelName, context: LiveContext, onClosed: (feed: Feed) => void) {
    this.channel = channel;
    this.context = context;
    this.#onClosed = onClosed;
    this.#visit = (group) => {
      this.context.metrics.counts.matched += 1;
      this.#offer(group);
    };
    context.metrics.counts.feeds += 1;
  }

  /** Attaches. Never rejects: a failure ends the members with CHANNEL_UNAVAILABLE. */
  async open(): Promise<void> {
    try {
      this.#subscription = await this.context.channels.subscribe(this.channel, this);
    } catch (error) {
      this.fault(error, 'a channel could not be attached to');
      return this.#failed();
    }
    if (this.#members === 0) return this.#close();
    this.#phase = 'open';
    const { position } = this.#subscription;
    // Events may have arrived between the attachment and this turn.
    if (this.#epoch === null) this.#setPosition(position);
    for (const group of this.groups()) for (const member of [...group.members()]) this.#begin(member, position);
  }

  /** The last position that was fanned out; null before the channel has been attached. */
  position(): Position | null {
    return this.#epoch === null ? null : { epoch: this.#epoch, offset: this.#offset };
  }

  /** Nothing lies between the member's position and what was fanned out. */
  reachedBy(member: Member): boolean {
    return member.epoch === this.#epoch && member.offset >= this.#offset;
  }

  /** The channel's own string where it is equal: deliveries then compare two pointers. */
  sameEpoch(epoch: string): string {
    return this.#epoch === epoch ? this.#epoch : epoch;
  }

  signerFor(epoch: string): CursorSigner {
    if (this.#signer?.epoch === epoch) return this.#signer;
    const signer = this.context.cursors.signer(this.channel, epoch);
    if (epoch === this.#epoch) this.#signer = signer;
    return signer;
  }

  // ---- groups and members ---------------------------------------------------------------------------------------------------

  find(generation: number, normalised: string, variablesKey: string): Group | undefined {
    return this.#shelves.get(generation)?.documents.get(normalised)?.get(variablesKey);
  }

  addGroup(parts: GroupParts): Group {
    const shelf = this.#shelf(parts.lease.generation.number, parts.plan.liveType);
    const group = new Group(this, parts);
    const { normalised } = parts.operation;
    let variants = shelf.documents.get(normalised);
    if (!variants) shelf.documents.set(normalised, (variants = new Map()));
    variants.set(parts.variablesKey, group);
    shelf.index.add(group);
    this.context.metrics.counts.groups += 1;
    return group;
  }

  *groups(): Iterable<Group> {
    for (const shelf of [...this.#shelves.values()]) {
      for (const variants of [...shelf.documents.values()]) yield* [...variants.values()];
    }
  }

  /** `position` null: from the channel's top. */
  join(group: Group, member: Member, position: Position | null): void {
    this.#members += 1;
    this.context.metrics.counts.subscriptions += 1;
    group.add(member);
    if (position) {
      member.epoch = position.epoch;
      member.offset = position.offset;
    }
    const top = this.position();
    if (this.#phase === 'open' && top) this.#begin(member, top);
  }

  memberLeft(): void {
    this.#members -= 1;
    this.context.metrics.counts.subscriptions -= 1;
    // While it opens, `open` looks at the number of members itself.
    if (this.#members === 0 && this.#phase === 'open') this.#close();
  }

  /** Takes an empty group out. During a fan-out, afterwards: the index is being walked. */
  closeGroup(group: Group): void {
    if (this.#dispatching) this.#emptied.push(group);
    else this.#removeGroup(group);
  }

  /** Closes a feed that nobody joined after all. */
  closeIfUnused(): void {
    if (this.#members === 0 && this.#phase === 'open') this.#close();
  }

  matches(group: Group, event: LiveEvent): boolean {
    const shelf = this.#shelves.get(group.parts.lease.generation.number);
    return shelf !== undefined && matches(group.matcher, event, shelf.index.load(event));
  }

  // ---- the channel ----------------------------------------------------------------------------------------------------------

  onEvents(events: readonly ChannelEvent[]): void {
    if (this.#phase === 'closed') return;
    for (const event of events) this.#accept(event);
  }

  onGap(gap: { readonly top: Position; readonly missed: number | null }): void {
    if (this.#phase === 'closed') return;
    const from = this.position();
    this.#setPosition(gap.top);
    // Before the first position nobody has been promised anything.
    if (from) this.#tellGap({ channel: this.channel, from, top: gap.top, missed: gap.missed });
  }

  /** A fault of our own must not reach the channel's fan-out, which serves others too. */
  fault(error: unknown, message: string): void {
    this.context.metrics.counts.faults += 1;
    this.context.log.error({ err: error, type: this.channel.type }, message);
  }

  #accept({ event, position }: ChannelEvent): void {
    if (this.#epoch !== position.epoch || position.offset !== this.#offset + 1) {
      if (this.#epoch === position.epoch && position.offset <= this.#offset) return;
      const before = { epoch: position.epoch, offset: position.offset - 1 };
      if (this.#epoch === null) this.#setPosition(before);
      else this.onGap({ top: before, missed: this.#epoch === position.epoch ? before.offset - this.#offset : null });
    }
    this.#offset = position.offset;
    this.context.metrics.counts.bytesFullFanOut += event.bytes * this.context.sessions.of(this.channel.tenant);
    this.#dispatch(new Moment(event, position, this.signerFor(position.epoch)));
  }

  #dispatch(moment: Moment): void {
    const { counts } = this.context.metrics;
    const before = counts.delivered;
    const matched = counts.matched;
    const span = this.context.spans.start('live.match', moment);
    this.#moment = moment;
    this.#dispatching = true;
    for (const shelf of this.#shelves.values()) shelf.index.match(moment.event, this.#visit);
    this.#moment = null;
    span?.set('millrace.groups', counts.matched - matched);
    span?.end();
    this.#endDispatch();
    if (counts.delivered > before) this.delivered(moment);
  }

  /** Once an event, not once a group: a histogram costs as much as a delivery. */
  delivered(moment: Moment): void {
    this.context.metrics.delivery.observe(Math.max(0, this.context.clock.now() - moment.event.receivedAt) / 1_000);
  }

  /** Whoever cannot be served is told so; the other groups are not touched by it. */
  #offer(group: Group): void {
    try {
      if (this.#moment) group.offer(this.#moment);
    } catch (error) {
      this.fault(error, 'an event could not be delivered to a group');
      group.failAll(toMillraceError(error));
    }
  }

  #tellGap(gap: Gap): void {
    this.#dispatching = true;
    for (const group of this.groups()) group.gap(gap);
    this.#endDispatch();
  }

  #endDispatch(): void {
    this.#dispatching = false;
    if (this.#emptied.length === 0) return;
    const emptied = this.#emptied;
    this.#emptied = [];
    for (const group of emptied) this.#removeGroup(group);
    this.closeIfUnused();
  }

  #begin(member: Member, top: Position): void {
    if (member.state !== 'starting') return;
    member.begin(member.epoch === '' ? top : { epoch: member.epoch, offset: member.offset });
  }

  #setPosition(position: Position): void {
    this.#epoch = position.epoch;
    this.#offset = position.offset;
  }

  #shelf(generation: number, type: LiveType): Shelf {
    let shelf = this.#shelves.get(generation);
    if (!shelf) {
      shelf = { index: new SubscriptionIndex<Group>(layoutOf(type)), documents: new Map() };
      this.#shelves.set(generation, shelf);
    }
    return shelf;
  }

  #removeGroup(group: Group): void {
    // Somebody may have joined it while it waited to be taken out.
    if (group.closed || group.size > 0) return;
    const { operation, variablesKey, lease } = group.parts;
    const { number } = lease.generation;
    group.close();
    this.context.metrics.counts.groups -= 1;
    const shelf = this.#shelves.get(number);
    if (!shelf) return;
    shelf.index.remove(group);
    const variants = shelf.documents.get(operation.normalised);
    variants?.delete(variablesKey);
    if (variants?.size === 0) shelf.documents.delete(operation.normalised);
    if (shelf.index.size === 0) this.#shelves.delete(number);
  }

  #failed(): void {
    const error = new MillraceError(liveErrors.CHANNEL_UNAVAILABLE, `events of ${this.channel.type} are not available at the moment`);
    // Closed first: who comes back at once must not join a feed that is about to be forgotten.
    this.#close();
    for (const group of this.groups()) group.failAll(error);
  }

  #close(): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.context.metrics.counts.feeds -= 1;
    this.#onClosed(this);
    this.#subscription?.close();
  }
}
