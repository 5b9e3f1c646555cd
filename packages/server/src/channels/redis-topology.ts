import { MillraceError, reasonOf } from '../kit/errors.ts';
import { channelsErrors } from './errors.ts';
import { RedisConnection, type ConnectionDeps, type ConnectionOptions, type Reply } from './redis-connection.ts';
import type { RedisAddress, RedisStore } from './redis-options.ts';

/**
 * Which server is the master of a slot, as far as is known. It may be wrong at any time: servers say so themselves (MOVED,
 * READONLY), and then `refresh` finds out.
 */
export interface Topology {
  /** Null before the first `refresh`, or where nobody has the slot. No I/O. */
  masterOf(slot: number): RedisAddress | null;
  /** Asks. One at a time: who comes meanwhile shares the answer. Rejects where nobody can be asked; what was known stays. */
  refresh(): Promise<void>;
  /** A server has said who has the slot. */
  moved(slot: number, to: RedisAddress): void;
  close(): void;
}

export type TopologyDeps = ConnectionDeps & { readonly connect?: typeof RedisConnection.open };

export function createTopology(store: RedisStore, options: ConnectionOptions, deps: TopologyDeps): Topology {
  switch (store.kind) {
    case 'standalone':
      return { masterOf: () => store.server, refresh: () => Promise.resolve(), moved: () => {}, close: () => {} };
    case 'sentinel': {
      const login = store.sentinelLogin ?? { username: null, password: null };
      return new SentinelTopology(store.sentinels, store.masterName, { ...options, login }, deps);
    }
    case 'cluster':
      return new ClusterTopology(store.nodes, options, deps);
  }
}

/** Asks servers that may know, and keeps the connection to the one that did. */
class Asker {
  readonly #options: ConnectionOptions;
  readonly #deps: TopologyDeps;
  #last: RedisConnection | null = null;
  #closed = false;

  constructor(options: ConnectionOptions, deps: TopologyDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** The first answer that `read` takes: of the server that knew the last time, then of the others in turn. */
  async ask<T>(
    servers: Iterable<RedisAddress>,
    command: readonly string[],
    read: (reply: Reply, from: RedisAddress) => T | null,
  ): Promise<T> {
    let reason = 'no server is known';
    for (const address of [...(this.#last ? [this.#last.address] : []), ...servers]) {
      try {
        const connection = await this.#connection(address);
        const answer = read(await connection.send(command), address);
        if (answer !== null) return answer;
        reason = `${address.host}:${address.port} does not know`;
      } catch (error) {
        if (error instanceof MillraceError && error.spec === channelsErrors.CHANNELS_STORE_REFUSED) throw error;
        reason = `${address.host}:${address.port}: ${reasonOf(error)}`;
      }
      this.#forget();
    }
    throw new MillraceError(channelsErrors.CHANNELS_AWAY, `nobody could be asked where the masters are; the last: ${reason}`);
  }

  close(): void {
    this.#closed = true;
    this.#forget();
  }

  async #connection(address: RedisAddress): Promise<RedisConnection> {
    if (this.#last?.address === address && !this.#last.ended) return this.#last;
    this.#forget();
    const connection = await (this.#deps.connect ?? RedisConnection.open)(address, 'topology', this.#options, this.#deps, () => {});
    if (this.#closed) connection.close();
    else this.#last = connection;
    return connection;
  }

  #forget(): void {
    this.#last?.close();
    this.#last = null;
  }
}

abstract class AskingTopology implements Topology {
  protected readonly asker: Asker;
  #refreshing: Promise<void> | null = null;

  constructor(options: ConnectionOptions, deps: TopologyDeps) {
    this.asker = new Asker(options, deps);
  }

  refresh(): Promise<void> {
    this.#refreshing ??= this.find().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  close(): void {
    this.asker.close();
  }

  protected abstract find(): Promise<void>;
  abstract masterOf(slot: number): RedisAddress | null;
  abstract moved(slot: number, to: RedisAddress): void;
}

class SentinelTopology extends AskingTopology {
  readonly #sentinels: readonly RedisAddress[];
  readonly #masterName: string;
  #master: RedisAddress | null = null;

  constructor(sentinels: readonly RedisAddress[], masterName: string, options: ConnectionOptions, deps: TopologyDeps) {
    super(options, deps);
    this.#sentinels = sentinels;
    this.#masterName = masterName;
  }

  masterOf(): RedisAddress | null {
    return this.#master;
  }

  moved(): void {}

  protected async find(): Promise<void> {
    this.#master = await this.asker.ask(this.#sentinels, ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.#masterName], addressOf);
  }
}

function addressOf(reply: Reply | undefined, from: RedisAddress): RedisAddress | null {
  if (!Array.isArray(reply)) return null;
  const [host, port] = reply as readonly Reply[];
  const number = Number(port);
  if (!Number.isInteger(number) || number <= 0) return null;
  // A node that does not know its own address leaves it empty: it is the one that was asked.
  return { host: typeof host === 'string' && host !== '' ? host : from.host, port: number };
}

class ClusterTopology extends AskingTopology {
  readonly #seeds: readonly RedisAddress[];
  #ranges: readonly { readonly from: number; readonly to: number; readonly master: RedisAddress }[] = [];
  /** What servers said since the last refresh. */
  readonly #corrections = new Map<number, RedisAddress>();

  constructor(seeds: readonly RedisAddress[], options: ConnectionOptions, deps: TopologyDeps) {
    super(options, deps);
    this.#seeds = seeds;
  }

  masterOf(slot: number): RedisAddress | null {
    return this.#corrections.get(slot) ?? this.#ranges.find(({ from, to }) => from <= slot && slot <= to)?.master ?? null;
  }

  moved(slot: number, to: RedisAddress): void {
    this.#corrections.set(slot, to);
  }

  protected async find(): Promise<void> {
    const masters = this.#ranges.map(({ master }) => master);
    const known = new Map([...masters, ...this.#seeds].map((node) => [`${node.host}:${node.port}`, node]));
    const before = new Map(this.#corrections);
    this.#ranges = await this.asker.ask(known.values(), ['CLUSTER', 'SLOTS'], rangesOf);
    // What was said while we asked is newer than the answer.
    for (const [slot, to] of before) if (this.#corrections.get(slot) === to) this.#corrections.delete(slot);
  }
}

function rangesOf(reply: Reply, asked: RedisAddress): { from: number; to: number; master: RedisAddress }[] | null {
  if (!Array.isArray(reply) || reply.length === 0) return null;
  const out: { from: number; to: number; master: RedisAddress }[] = [];
  for (const row of reply as readonly Reply[]) {
    if (!Array.isArray(row)) return null;
    const [from, to, node] = row as readonly Reply[];
    const master = addressOf(node, asked);
    if (typeof from !== 'number' || typeof to !== 'number' || !master) return null;
    out.push({ from, to, master });
  }
  return out;
}
