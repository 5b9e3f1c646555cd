import type { Position } from '../channels/channels.ts';
import type { LiveContext } from './context.ts';
import type { Group } from './group.ts';
import type { Gap, Moment, Payload } from './payload.ts';

type Pending =
  | { readonly kind: 'event'; readonly moment: Moment; payload: Payload | null }
  | { readonly kind: 'gap'; readonly gap: Gap }
  /** The queue was full: everybody reads on from history after `position`. Stands last; what comes meanwhile is not queued. */
  | { readonly kind: 'behind'; readonly position: Position };

/** Events of one group whose enrichment is under way: executed side by side, delivered in order. Bounded by `enrichmentInFlight`. */
export class PendingQueue {
  readonly #group: Group;
  readonly #context: LiveContext;
  #items: Pending[] = [];
  #overflowed = false;

  constructor(group: Group, context: LiveContext) {
    this.#group = group;
    this.#context = context;
  }

  get busy(): boolean {
    return this.#items.length > 0;
  }

  get length(): number {
    return this.#items.length;
  }

  offer(moment: Moment): void {
    if (this.#overflowed) return;
    if (this.#items.length >= this.#context.limits.enrichmentInFlight) {
      this.#overflow({ epoch: moment.epoch, offset: moment.offset - 1 });
      return;
    }
    const item: Pending = { kind: 'event', moment, payload: null };
    this.#items.push(item);
    void this.#group.enriched(moment).then((payload) => {
      item.payload = payload;
      this.#drain();
    });
  }

  /** After an overflow, and where there is no room for it, history says it itself. */
  offerGap(gap: Gap): void {
    if (this.#overflowed) return;
    if (this.#items.length < this.#context.limits.enrichmentInFlight) this.#items.push({ kind: 'gap', gap });
    else this.#overflow(gap.from);
  }

  /** The position up to which the group has delivered; null where nothing waits. */
  doneBefore(): Position | null {
    const head = this.#items[0];
    if (!head) return null;
    if (head.kind === 'event') return { epoch: head.moment.epoch, offset: head.moment.offset - 1 };
    return head.kind === 'gap' ? head.gap.from : head.position;
  }

  /** Results that are still on their way find themselves gone. */
  clear(): void {
    this.#items = [];
    this.#overflowed = false;
  }

  #overflow(position: Position): void {
    this.#overflowed = true;
    this.#items.push({ kind: 'behind', position });
  }

  #drain(): void {
    for (;;) {
      const head = this.#items[0];
      if (!head || (head.kind === 'event' && head.payload === null)) return;
      this.#items.shift();
      if (head.kind === 'event') {
        this.#group.deliver(head.moment, head.payload as Payload);
        this.#group.feed.delivered(head.moment);
      } else if (head.kind === 'gap') this.#group.deliverGap(head.gap);
      else {
        this.#overflowed = false;
        this.#group.sendBehind(head.position);
      }
    }
  }
}
