import type { Clock, Timer } from '../kit/clock.ts';
import { reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { type RedisConnection, replyError } from './redis-connection.ts';
import type { PartitionNames } from './redis-names.ts';
import type { RedisNodes } from './redis-nodes.ts';
import type { RedisAddress } from './redis-options.ts';

export type Subscriber = {
  readonly partition: PartitionNames;
  readonly channel: string;
  onMessage(text: string): void;
  /** Redis has confirmed the subscription: what is published from now on arrives, until `onLost`. */
  onSubscribed(): void;
  /** What was published from now on may not have arrived. */
  onLost(): void;
};

type Entry = {
  readonly subscriber: Subscriber;
  /** Where it is confirmed or being confirmed. */
  link: Link | null;
  confirmed: boolean;
};

type Link = { readonly key: string; connection: RedisConnection | null; readonly opened: Promise<RedisConnection> };

/** After a failure; each look at the subscriptions tries again too. */
const RETRY_MS = 100;

/**
 * Sharded subscriptions, each on a connection to the master of its partition, one connection a server. Client libraries lose them in
 * silence when a slot moves; so nothing is left to them: what is wanted is compared with what is confirmed, and where, on every look
 * and whenever a connection ends, a server ends a subscription, or a message was missed.
 */
export class RedisSubscriptions {
  readonly #nodes: RedisNodes;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly #links = new Map<string, Link>();
  #timer: Timer | null = null;
  #closed = false;

  constructor(nodes: RedisNodes, clock: Clock, logger: Logger) {
    this.#nodes = nodes;
    this.#clock = clock;
    this.#logger = logger;
  }

  add(subscriber: Subscriber): void {
    if (this.#closed || this.#entries.has(subscriber.channel)) return;
    const entry: Entry = { subscriber, link: null, confirmed: false };
    this.#entries.set(subscriber.channel, entry);
    void this.#place(entry);
  }

  remove(channel: string): void {
    const entry = this.#entries.get(channel);
    if (!entry) return;
    this.#entries.delete(channel);
    void entry.link?.connection?.unsubscribe(channel).catch(() => {});
  }

  /** Puts every subscription where its master is now. */
  reconcile(): void {
    for (const entry of this.#entries.values()) {
      const master = this.#nodes.masterOf(entry.subscriber.partition);
      if (entry.link === null) void this.#place(entry);
      else if (entry.confirmed && master && keyOf(master) !== entry.link.key) this.#unplace(entry);
    }
  }

  /** A message was missed: the connection is not believed any more, and everything on it is subscribed again. */
  distrust(channel: string): void {
    const link = this.#entries.get(channel)?.link;
    if (!link?.connection) return;
    link.connection.close();
    this.#ended(link, 'a message was missed');
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#entries.clear();
    for (const link of this.#links.values()) link.connection?.close();
    this.#links.clear();
  }

  async #place(entry: Entry): Promise<void> {
    const { subscriber } = entry;
    const address = this.#nodes.masterOf(subscriber.partition);
    if (!address) return this.#again(true);
    const link = this.#link(address);
    entry.link = link;
    try {
      const connection = await link.opened;
      if (!this.#isAt(entry, link)) return;
      await connection.subscribe(subscriber.channel, (text) => {
        if (entry.link === link) subscriber.onMessage(text);
      });
      if (!this.#isAt(entry, link)) return;
      entry.confirmed = true;
      subscriber.onSubscribed();
    } catch (error) {
      if (!this.#isAt(entry, link)) return;
      entry.link = null;
      const reply = replyError(error);
      if (reply?.word === 'MOVED') this.#nodes.moved(subscriber.partition, reply.message);
      else
        this.#logger.debug({ channel: subscriber.channel, reason: reasonOf(error) }, 'a subscription could not be made; it is tried again');
      this.#again(reply === null);
    }
  }

  /** False where it was removed, or put elsewhere, in the meantime. */
  #isAt(entry: Entry, link: Link): boolean {
    return this.#entries.get(entry.subscriber.channel) === entry && entry.link === link;
  }

  #link(address: RedisAddress): Link {
    const key = keyOf(address);
    const known = this.#links.get(key);
    if (known) return known;
    const opened = this.#nodes.open(address, 'subscriptions', (reason) => this.#ended(link, reason));
    const link: Link = { key, connection: null, opened };
    this.#links.set(key, link);
    opened.then(
      (connection) => {
        link.connection = connection;
        connection.onMoved((channel) => this.#moved(link, channel));
        if (this.#links.get(key) !== link) connection.close();
      },
      (error: unknown) => this.#ended(link, reasonOf(error)),
    );
    return link;
  }

  #ended(link: Link, reason: string): void {
    if (this.#links.get(link.key) !== link) return;
    this.#links.delete(link.key);
    if (this.#closed) return;
    // A server that is away is tried ten times a second.
    if (link.connection) this.#logger.warn({ server: link.key, reason }, 'subscriptions to Redis were lost; they are made again');
    for (const entry of this.#entries.values()) if (entry.link === link) this.#unplace(entry, false);
    this.#again(true);
  }

  #moved(link: Link, channel: string): void {
    const entry = this.#entries.get(channel);
    if (entry?.link !== link) return;
    this.#unplace(entry, false);
    this.#again(true);
  }

  #unplace(entry: Entry, unsubscribe = true): void {
    const { link, confirmed, subscriber } = entry;
    entry.link = null;
    entry.confirmed = false;
    if (unsubscribe) void link?.connection?.unsubscribe(subscriber.channel).catch(() => {});
    if (confirmed) subscriber.onLost();
    if (unsubscribe) void this.#place(entry);
  }

  #again(refresh: boolean): void {
    if (this.#closed || this.#timer) return;
    this.#timer = this.#clock.after(RETRY_MS, () => {
      this.#timer = null;
      const look = refresh ? this.#nodes.refresh().catch(() => {}) : Promise.resolve();
      void look.then(() => this.reconcile());
    });
  }
}

function keyOf({ host, port }: RedisAddress): string {
  return `${host}:${port}`;
}
