import type { ChannelEvent, ChannelListener, ChannelName, Position } from './channels.ts';
import type { ChannelPart } from './redis-messages.ts';

export type RefillPage = {
  readonly top: Position;
  readonly missed: number | null;
  /** Offset of the first of `events`, or of the next event where there is none. */
  readonly from: number;
  /** Null in the place of one that cannot be read. */
  readonly events: readonly (ChannelEvent | null)[];
};

/** `from`: where attaching began; `top`: the channel's top, in the same epoch, when it was complete. */
export type AttachedAt = { readonly from: Position; readonly top: number };

/** What a channel wants of its partition. */
export type EdgeChannelPorts = {
  /** Attaches and waits until every publisher knows. */
  attach(channel: EdgeChannel): Promise<AttachedAt>;
  refill(channel: EdgeChannel, after: Position): Promise<RefillPage>;
  decode(part: ChannelPart, name: ChannelName, from: number): readonly (ChannelEvent | null)[];
  /** Runs `wake` a little later: the store could not be asked. */
  later(channel: EdgeChannel, error: unknown): void;
  gapTold(why: 'epoch' | 'evicted' | 'unreadable'): void;
  refilled(events: number): void;
  fault(thrown: unknown): void;
};

/** Other epochs whose offsets are remembered. */
const MAX_EPOCHS = 8;

type Attached = { readonly listener: ChannelListener; closed: boolean };

/**
 * One channel on one edge. Knows up to where it has fanned out and up to where the channel has been seen to reach; whatever lies in
 * between is read from history.
 *
 * - **E1** Within an epoch offsets are fanned out in order, each once; one that is not is told as a gap.
 * - **E2** The epoch changes only together with a gap, and only when every publisher knows that the channel is listened to.
 */
export class EdgeChannel {
  readonly name: ChannelName;
  readonly wire: string;
  readonly #ports: EdgeChannelPorts;
  /** Replaced, never changed, so that a fan-out in progress goes on over the listeners that it began with. */
  #listeners: readonly Attached[] = [];
  #epoch: string | null = null;
  #offset = 0;
  /** The highest offset known of the epoch. */
  #known = 0;
  /** The same of other epochs. */
  readonly #foreign = new Map<string, number>();
  /** Up to where epochs that were left have been fanned out: while a master is replaced, the old one may answer once more. */
  readonly #left = new Map<string, number>();
  #attachWanted = true;
  #working: Promise<void> | null = null;
  #opening = Promise.withResolvers<void>();
  #closed = false;
  /** Listeners, and those who are about to be one. */
  users = 0;

  constructor(name: ChannelName, wire: string, ports: EdgeChannelPorts) {
    this.name = { tenant: name.tenant, type: name.type };
    this.wire = wire;
    this.#ports = ports;
  }

  get epoch(): string | null {
    return this.#epoch;
  }

  /**
   * Resolves when the channel is attached; rejects where that fails now. What was published since attaching began is not fanned out
   * before those who wait here had their turn.
   */
  opened(): Promise<void> {
    if (this.#epoch !== null) return Promise.resolve();
    if (this.#working === null) {
      this.#opening = Promise.withResolvers<void>();
      this.#working = this.#work();
      this.#working.catch((error: unknown) => {
        this.#opening.reject(error);
        // Attached, and then something else failed.
        if (!this.#closed && this.#epoch !== null) this.#ports.later(this, error);
      });
    }
    return this.#opening.promise;
  }

  /** Goes on with what is to be done. Never rejects: what cannot be done now comes back through `ports.later`. */
  wake(): void {
    if (this.#working || this.#closed || this.#epoch === null || this.#isUpToDate()) return;
    this.#working = this.#work();
    this.#working.catch((error: unknown) => {
      if (!this.#closed) this.#ports.later(this, error);
    });
  }

  listen(listener: ChannelListener): { readonly position: Position; close(): boolean } {
    const attached: Attached = { listener, closed: false };
    this.#listeners = [...this.#listeners, attached];
    const close = (): boolean => {
      if (attached.closed) return false;
      attached.closed = true;
      this.#listeners = this.#listeners.filter((other) => other !== attached);
      return true;
    };
    return { position: { epoch: this.#epoch ?? '', offset: this.#offset }, close };
  }

  close(): void {
    this.#closed = true;
    this.#listeners = [];
  }

  /** What was heard. */
  accept(part: ChannelPart): void {
    const last = part.first + part.payloads.length - 1;
    if (part.epoch !== this.#epoch) {
      remember(this.#foreign, part.epoch, Math.max(last, this.#foreign.get(part.epoch) ?? 0));
      // While the channel is being attached the answer will tell which epoch counts.
      if (this.#epoch !== null) this.reattach();
      return;
    }
    this.#known = Math.max(this.#known, last);
    if (part.first <= this.#offset + 1 && last > this.#offset) this.#fanOut(this.#ports.decode(part, this.name, this.#offset + 1));
    this.wake();
  }

  /** Where the channel stands in Redis; null where Redis does not know it any more. */
  stands(position: Position | null): void {
    if (this.#epoch === null) return;
    if (position?.epoch !== this.#epoch) return this.reattach();
    this.#known = Math.max(this.#known, position.offset);
    this.wake();
  }

  reattach(): void {
    this.#attachWanted = true;
    this.wake();
  }

  /** Resolves when nothing more is to be done, or cannot be done now. */
  async settled(): Promise<void> {
    await this.#working?.catch(() => {});
  }

  #isUpToDate(): boolean {
    return !this.#attachWanted && this.#offset >= this.#known;
  }

  async #work(): Promise<void> {
    try {
      while (!this.#closed && !this.#isUpToDate()) {
        if (this.#attachWanted) await this.#attach();
        else await this.#refill();
      }
    } finally {
      this.#working = null;
    }
  }

  async #attach(): Promise<void> {
    this.#attachWanted = false;
    try {
      const { from, top } = await this.#ports.attach(this);
      if (this.#epoch !== null && this.#epoch !== from.epoch) return await this.#change(from.epoch);
      if (this.#epoch === null) this.#begin(from);
      this.#known = Math.max(this.#known, top);
      this.#opening.resolve();
    } catch (error) {
      this.#attachWanted = true;
      throw error;
    }
  }

  #begin(top: Position): void {
    this.#epoch = top.epoch;
    this.#offset = top.offset;
    this.#known = Math.max(top.offset, this.#foreign.get(top.epoch) ?? 0);
    this.#foreign.clear();
  }

  /** Everything that the new epoch still has, and that has not been fanned out, follows the gap. */
  async #change(epoch: string): Promise<void> {
    const page = await this.#ports.refill(this, { epoch, offset: this.#left.get(epoch) ?? 0 });
    if (this.#closed) return;
    if (page.top.epoch !== epoch) {
      this.#attachWanted = true;
      return;
    }
    this.#leave();
    this.#begin({ epoch, offset: page.from - 1 });
    this.#known = Math.max(this.#known, page.top.offset);
    this.#gap({ top: { epoch, offset: page.from - 1 }, missed: null }, 'epoch');
    this.#fanOut(page.events);
  }

  #leave(): void {
    if (this.#epoch === null) return;
    remember(this.#left, this.#epoch, this.#offset);
  }

  async #refill(): Promise<void> {
    const epoch = this.#epoch ?? '';
    const page = await this.#ports.refill(this, { epoch, offset: this.#offset });
    if (this.#closed || this.#epoch !== epoch) return;
    if (page.top.epoch !== epoch) {
      this.#attachWanted = true;
      return;
    }
    // What has been heard in the meantime is not missing any more.
    if (page.from - 1 > this.#offset) {
      const missed = page.from - 1 - this.#offset;
      this.#offset = page.from - 1;
      this.#gap({ top: { epoch, offset: this.#offset }, missed }, 'evicted');
    }
    this.#known = Math.max(page.top.offset, this.#offset);
    const due = page.events.slice(this.#offset + 1 - page.from);
    this.#ports.refilled(due.length);
    this.#fanOut(due);
  }

  /** Events that continue the offset without a hole; null stands for one that cannot be read. */
  #fanOut(events: readonly (ChannelEvent | null)[]): void {
    for (let from = 0; from < events.length;) {
      let to = from;
      while (to < events.length && events[to] !== null) to += 1;
      const readable = events.slice(from, to).filter((event) => event !== null);
      this.#offset += readable.length;
      if (readable.length > 0) this.#tell((listener) => listener.onEvents(readable));
      if (to < events.length) {
        this.#offset += 1;
        this.#gap({ top: { epoch: this.#epoch ?? '', offset: this.#offset }, missed: 1 }, 'unreadable');
      }
      from = to + 1;
    }
  }

  #gap(gap: { readonly top: Position; readonly missed: number | null }, why: 'epoch' | 'evicted' | 'unreadable'): void {
    this.#ports.gapTold(why);
    this.#tell((listener) => listener.onGap(gap));
  }

  #tell(say: (listener: ChannelListener) => void): void {
    for (const attached of this.#listeners) {
      if (attached.closed) continue;
      try {
        say(attached.listener);
      } catch (thrown) {
        this.#ports.fault(thrown);
      }
    }
  }
}

function remember(offsets: Map<string, number>, epoch: string, offset: number): void {
  offsets.delete(epoch);
  offsets.set(epoch, offset);
  for (const oldest of offsets.keys()) if (offsets.size > MAX_EPOCHS) offsets.delete(oldest);
}
