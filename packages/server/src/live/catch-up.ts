import type { ChannelEvent, Channels, HistorySlice, Position } from '../channels/channels.ts';
import type { Clock } from '../kit/clock.ts';
import type { Logger } from '../kit/log.ts';
import { maySee } from './audience.ts';
import type { Group } from './group.ts';
import type { Member } from './member.ts';
import type { LiveMetrics } from './metrics.ts';
import type { LiveLimits } from './options.ts';
import { Moment, type Payload } from './payload.ts';

export type CatchUpOptions = {
  readonly channels: Channels;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: LiveMetrics;
  readonly limits: LiveLimits;
  /** Runs something in a later turn of the event loop. */
  readonly defer: (run: () => void) => void;
};

type Outcome =
  /** There is more, when its turn comes again. */
  | 'again'
  /** Live, ended, or waiting for its connection. */
  | 'rest'
  /** The store is away or behind. */
  | 'later';

/** Events ahead of the one being delivered whose enrichment is started already. */
const PREFETCH = 16;

/**
 * Feeds members that are behind from history, one page at a time: round robin by tenant, and by member within a tenant, with a
 * budget of pages a turn (spec/delivery.md, D13). A member at the frontier goes live in the very turn in which it is found there:
 * nothing can come in between on one thread.
 */
export class CatchUp {
  readonly #options: CatchUpOptions;
  /** Tenants with waiting members, in the order of their turns. Map keeps that order. */
  readonly #waiting = new Map<string, Queue>();
  #inFlight = 0;
  #budget = 0;
  #deferred = false;
  #closed = false;

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  /** Once for a member, however often it is called. */
  add(member: Member): void {
    if (member.scheduled || this.#closed) return;
    member.scheduled = true;
    const { tenant } = member.group.feed.channel;
    const queue = this.#waiting.get(tenant);
    if (queue) queue.push(member);
    else this.#waiting.set(tenant, new Queue(member));
    this.#defer();
  }

  close(): void {
    this.#closed = true;
    this.#waiting.clear();
  }

  #defer(): void {
    if (this.#deferred || this.#closed) return;
    this.#deferred = true;
    this.#options.defer(() => {
      this.#deferred = false;
      this.#budget = this.#options.limits.catchUpBudget;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#waiting.size > 0 && this.#inFlight < this.#options.limits.catchUpConcurrency) {
      if (this.#budget <= 0) return this.#defer();
      this.#budget -= 1;
      const member = this.#next();
      if (member) void this.#serve(member);
    }
  }

  /** The first tenant's first member; the tenant goes to the end of the line. */
  #next(): Member | undefined {
    const first = this.#waiting.entries().next().value;
    if (!first) return undefined;
    const [tenant, queue] = first;
    this.#waiting.delete(tenant);
    const member = queue.take();
    if (queue.size > 0) this.#waiting.set(tenant, queue);
    return member;
  }

  async #serve(member: Member): Promise<void> {
    this.#inFlight += 1;
    let outcome: Outcome;
    try {
      outcome = await this.#page(member);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'a page of history could not be read');
      outcome = 'later';
    }
    this.#inFlight -= 1;
    member.scheduled = false;
    if (member.state === 'catching-up') {
      if (outcome === 'again') this.add(member);
      else if (outcome === 'later') this.#later(member);
    }
    this.#pump();
  }

  #later(member: Member): void {
    this.#options.metrics.catchUpRetries.inc();
    this.#options.clock.after(this.#options.limits.catchUpRetryMs, () => {
      if (member.state === 'catching-up') this.add(member);
    });
  }

  async #page(member: Member): Promise<Outcome> {
    if (member.state !== 'catching-up') return 'rest';
    if (member.outbox.congested) return wait(member);
    const { group } = member;
    if (group.feed.reachedBy(member)) return live(member);
    const { limits, channels } = this.#options;
    const after = { epoch: member.epoch, offset: member.offset };
    const slice = await channels.history(group.feed.channel, after, limits.catchUpPage, limits.catchUpPageBytes);
    if (!serves(member, group)) return 'again';
    if (slice.gap && !this.#tellGap(member, startOf(slice), slice.gap.missed)) return wait(member);
    if (slice.events.length === 0 && !slice.gap) return this.#stuck(member);
    return this.#walk(member, group, slice.events);
  }

  /** History has nothing after a position below the frontier: it lags behind, or it broke its word. */
  #stuck(member: Member): Outcome {
    const { feed } = member.group;
    if (feed.reachedBy(member)) return live(member);
    const top = feed.position();
    if (top === null || top.epoch !== member.epoch) return 'later';
    this.#options.log.error(
      { type: feed.channel.type, after: member.offset, top: top.offset },
      'history has a hole below the top that it does not tell',
    );
    return this.#tellGap(member, top, top.offset - member.offset) ? live(member) : wait(member);
  }

  async #walk(member: Member, group: Group, events: readonly ChannelEvent[]): Promise<Outcome> {
    const moments = events.map((event) => wanted(member, group, event));
    let ahead = 0;
    for (const [at, event] of events.entries()) {
      if (group.feed.reachedBy(member)) return live(member);
      const { position } = event;
      if (position.epoch === member.epoch && position.offset <= member.offset) continue;
      if (!this.#continues(member, position)) return wait(member);
      const moment = moments[at];
      if (moment) {
        if (group.parts.enriches) ahead = prefetch(group, moments, Math.max(ahead, at), at + PREFETCH);
        const made = group.payloadFor(moment);
        const payload = made instanceof Promise ? await made : made;
        if (!serves(member, group)) return 'again';
        if (!this.#send(member, payload)) return wait(member);
      }
      member.offset = position.offset;
    }
    return group.feed.reachedBy(member) ? live(member) : 'again';
  }

  /** History that skips offsets without saying so is told as a gap: never passed over. False: the connection is full. */
  #continues(member: Member, position: Position): boolean {
    if (position.epoch === member.epoch && position.offset === member.offset + 1) return true;
    const missed = position.epoch === member.epoch ? position.offset - member.offset - 1 : null;
    return this.#tellGap(member, { epoch: position.epoch, offset: position.offset - 1 }, missed);
  }

  /** True: the client has been told, and the member stands at `top`. */
  #tellGap(member: Member, top: Position, missed: number | null): boolean {
    if (!this.#send(member, member.group.gapPayload(top, missed))) return false;
    this.#options.metrics.counts.gaps += 1;
    member.epoch = top.epoch;
    member.offset = top.offset;
    return true;
  }

  #send(member: Member, payload: Payload): boolean {
    const { outbox } = member;
    if (outbox.congested) return false;
    const frame = outbox.codec.next(member.operationId, payload.bytes, payload.cursor);
    if (!outbox.offer(frame)) return false;
    this.#options.metrics.counts.delivered += 1;
    this.#options.metrics.counts.bytesSent += frame.length;
    return true;
  }
}

/** First in, first out. An array's `shift` moves all others, which a hundred thousand members behind would feel. */
class Queue {
  #items: (Member | undefined)[];
  #head = 0;

  constructor(first: Member) {
    this.#items = [first];
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(member: Member): void {
    this.#items.push(member);
  }

  take(): Member | undefined {
    const member = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return member;
  }
}

/** False: it ended, or moved to another group, while something was awaited. */
function serves(member: Member, group: Group): boolean {
  return member.state === 'catching-up' && member.group === group;
}

function wait(member: Member): Outcome {
  member.waitForDrain();
  return 'rest';
}

function live(member: Member): Outcome {
  member.reachFrontier();
  return 'rest';
}

function startOf(slice: HistorySlice): Position {
  const first = slice.events[0];
  return first ? { epoch: first.position.epoch, offset: first.position.offset - 1 } : slice.top;
}

function wanted(member: Member, group: Group, { event, position }: ChannelEvent): Moment | null {
  if (!group.feed.matches(group, event) || !maySee(member.identity, event.audience)) return null;
  return new Moment(event, position, group.feed.signerFor(position.epoch));
}

/** Starts the enrichment of what comes next, so that a page costs a few round trips and not one for each event. */
function prefetch(group: Group, moments: readonly (Moment | null)[], from: number, to: number): number {
  let at = from;
  for (; at < Math.min(to, moments.length); at += 1) {
    const moment = moments[at];
    if (moment) void group.payloadFor(moment);
  }
  return at;
}
