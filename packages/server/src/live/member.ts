import type { Identity } from '../access/identity.ts';
import type { Position } from '../channels/channels.ts';
import type { MillraceError } from '../kit/errors.ts';
import { errorsText } from './error-text.ts';
import type { Group } from './group.ts';
import type { DrainWaiter, Outbox } from './outbox.ts';
import { nextSubscriptionState, type SubscriptionInput, type SubscriptionState } from './subscription-state.ts';

/** A running subscription as its session sees it. */
export interface LiveSubscription {
  /** Silent: nothing is written for it afterwards and `onEnd` is not called. Idempotent. */
  stop(): void;
}

/** Whose subscription it is. One object for all of a connection's, so that none needs a closure of its own. */
export interface SubscriptionOwner {
  /** `subscription` ended by itself and has written its last frame. Not called after `stop`. */
  subscriptionEnded(operationId: string, subscription: LiveSubscription): void;
}

/**
 * One subscription: the one object that exists for each, so it holds as little as it can. States: spec/delivery.md section 8.
 * `epoch` and `offset` are the position up to which it is done; while live they are kept by deliveries and may lag behind events that
 * did not match.
 */
export class Member implements LiveSubscription, DrainWaiter {
  readonly outbox: Outbox;
  readonly identity: Identity;
  readonly operationId: string;
  /** Of the frame cache. */
  readonly slot: number;
  readonly #owner: SubscriptionOwner;
  group: Group;
  state: SubscriptionState = 'starting';
  /** Empty: no position yet, it starts where the channel is when it has been attached. */
  epoch = '';
  offset = 0;
  /** Its place among the group's members; owned by the group. */
  index = -1;
  /** Waits for or is being served by the catch-up scheduler; owned by it. */
  scheduled = false;

  constructor(group: Group, outbox: Outbox, identity: Identity, operationId: string, slot: number, owner: SubscriptionOwner) {
    this.group = group;
    this.outbox = outbox;
    this.identity = identity;
    this.operationId = operationId;
    this.slot = slot;
    this.#owner = owner;
  }

  /** The channel is attached. `position` is where to start. */
  begin(position: Position): void {
    this.epoch = this.group.feed.sameEpoch(position.epoch);
    this.offset = position.offset;
    if (this.group.feed.reachedBy(this)) {
      if (this.#apply('joined-at-frontier')) this.group.enlist(this);
    } else if (this.#apply('joined-behind')) {
      this.#counts.behind += 1;
      this.#seekCatchUp();
    }
  }

  /** From live only. `offset` is the last that it is done with. The caller has taken it from the group's live members. */
  goBehind(why: 'congested' | 'overflowed', epoch: string, offset: number): void {
    if (!this.#apply(why)) return;
    this.epoch = epoch;
    this.offset = offset;
    this.#counts.behind += 1;
    this.#counts.wentBehind += 1;
    this.#seekCatchUp();
  }

  /** A page met a full connection: the rest waits until it has drained. */
  waitForDrain(): void {
    this.#apply('congested');
    this.outbox.wait(this);
  }

  reachFrontier(): void {
    if (!this.#apply('reached-frontier')) return;
    this.#counts.behind -= 1;
    this.#counts.caughtUp += 1;
    this.group.enlist(this);
  }

  /** Its group went to another generation. A live member's position is exact now: `from`. */
  moveTo(group: Group, from: Position | null): void {
    const wasLive = this.state === 'live';
    if (!this.#apply('moved')) return;
    this.group = group;
    if (from) {
      this.epoch = from.epoch;
      this.offset = from.offset;
    }
    if (!wasLive) return;
    this.#counts.behind += 1;
    if (group.feed.reachedBy(this)) this.reachFrontier();
    else this.#seekCatchUp();
  }

  stop(): void {
    this.#leave('stopped');
  }

  /** The error is the operation's last frame. */
  fail(error: MillraceError): void {
    if (!this.#leave('failed')) return;
    this.group.feed.context.metrics.refused.inc({ code: error.code });
    this.outbox.write(this.outbox.codec.error(this.operationId, errorsText(error)));
    this.#owner.subscriptionEnded(this.operationId, this);
  }

  onDrained(): void {
    if (this.state === 'catching-up') this.#seekCatchUp();
  }

  get #counts() {
    return this.group.feed.context.metrics.counts;
  }

  #seekCatchUp(): void {
    if (this.outbox.congested) this.outbox.wait(this);
    else this.group.feed.context.catchUp.add(this);
  }

  #leave(input: 'stopped' | 'failed'): boolean {
    if (this.state === 'ended') return false;
    if (this.state === 'catching-up') this.#counts.behind -= 1;
    this.#apply(input);
    this.group.leave(this);
    return true;
  }

  /** False: the state stays as it is, or has been final for long; there is nothing to do. */
  #apply(input: SubscriptionInput): boolean {
    const next = nextSubscriptionState(this.state, input);
    if (next === null) {
      const { metrics, log } = this.group.feed.context;
      metrics.counts.faults += 1;
      log.error({ state: this.state, input }, 'a subscription met an input that its state does not know');
      return false;
    }
    if (this.state === 'ended') return false;
    this.state = next;
    return true;
  }
}
