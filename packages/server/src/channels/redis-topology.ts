import { MillraceError, reasonOf } from '../kit/errors.ts';
import { channelsErrors } from './errors.ts';
import { RedisConnection, type ConnectionDeps, type ConnectionOptions, type Reply } from './redis-connection.ts';
import type { RedisAddress, RedisStore } from './redis-options.ts';

/**
 * PORT. Which server is the master of a slot, as far as is known. It may be wrong at any time: servers say so themselves (MOVED,
 * READONLY), and then `refresh` finds out.
 */
export interface Topology {
  /** Null before the first `refresh`, or where nobody has the slot. No I/O. */
  masterOf(slot: number): RedisAddress | null;
  /** Asks. One at a time: who comes meanwhile shares the answer. Rejects where nobody can be asked; what was known stays. */
  refresh(): Promise<void>;
  /** A server has said who has the slot. */
  moved(slot: number, to: RedisAddress): void;
}

export function createTopology(store: RedisStore, options: ConnectionOptions, deps: ConnectionDeps): Topology {
  switch (store.kind) {
    case 'standalone':
      return { masterOf: () => store.server, refresh: () => Promise.resolve(), moved: () => {} };
    case 'sentinel': {
      const login = store.sentinelLogin ?? { username: null, password: null };
      return new SentinelTopology(store.sentinels, store.masterName, { ...options, login }, deps);
    }
    case 'cluster':
      return new ClusterTopology(store.nodes, options, deps);
  }
}

/** Asks one server after the other until one gives an answer that `read` takes. */
async function askAny<T>(
  servers: Iterable<RedisAddress>,
  command: readonly string[],
  read: (reply: Reply, from: RedisAddress) => T | null,
  options: ConnectionOptions,
  deps: ConnectionDeps,
): Promise<T> {
  let last = 'no server is known';
  for (const address of servers) {
    let connection: RedisConnection | null = null;
    try {
      connection = await RedisConnection.open(address, 'commands', options, deps, () => {});
      const answer = read(await connection.send(command), address);
      if (answer !== null) return answer;
      last = `${address.host}:${address.port} does not know`;
    } catch (error) {
      if (error instanceof MillraceError && error.spec === channelsErrors.CHANNELS_STORE_REFUSED) throw error;
      last = `${address.host}:${address.port}: ${reasonOf(error)}`;
    } finally {
      connection?.close();
    }
  }
  throw new MillraceError(channelsErrors.CHANNELS_AWAY, `nobody could be asked where the masters are; the last: ${last}`);
}

abstract class AskingTopology implements Topology {
  #refreshing: Promise<void> | null = null;

  refresh(): Promise<void> {
    this.#refreshing ??= this.ask().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  protected abstract ask(): Promise<void>;
  abstract masterOf(slot: number): RedisAddress | null;
  abstract moved(slot: number, to: RedisAddress): void;
}

class SentinelTopology extends AskingTopology {
  readonly #sentinels: RedisAddress[];
  readonly #masterName: string;
  readonly #options: ConnectionOptions;
  readonly #deps: ConnectionDeps;
  #master: RedisAddress | null = null;

  constructor(sentinels: readonly RedisAddress[], masterName: string, options: ConnectionOptions, deps: ConnectionDeps) {
    super();
    this.#sentinels = [...sentinels];
    this.#masterName = masterName;
    this.#options = options;
    this.#deps = deps;
  }

  masterOf(): RedisAddress | null {
    return this.#master;
  }

  moved(): void {}

  protected async ask(): Promise<void> {
    const command = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.#masterName];
    const found = await askAny(
      [...this.#sentinels],
      command,
      (reply, from) => {
        const address = addressOf(reply, from);
        // Who has answered is asked first the next time.
        if (address) this.#sentinels.sort((a, b) => Number(b === from) - Number(a === from));
        return address;
      },
      this.#options,
      this.#deps,
    );
    this.#master = found;
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
  readonly #options: ConnectionOptions;
  readonly #deps: ConnectionDeps;
  #ranges: readonly { readonly from: number; readonly to: number; readonly master: RedisAddress }[] = [];
  /** What servers said since the last refresh. */
  readonly #corrections = new Map<number, RedisAddress>();

  constructor(seeds: readonly RedisAddress[], options: ConnectionOptions, deps: ConnectionDeps) {
    super();
    this.#seeds = seeds;
    this.#options = options;
    this.#deps = deps;
  }

  masterOf(slot: number): RedisAddress | null {
    return this.#corrections.get(slot) ?? this.#ranges.find(({ from, to }) => from <= slot && slot <= to)?.master ?? null;
  }

  moved(slot: number, to: RedisAddress): void {
    this.#corrections.set(slot, to);
  }

  protected async ask(): Promise<void> {
    const known = [
      ...new Map([...this.#ranges.map(({ master }) => master), ...this.#seeds].map((node) => [`${node.host}:${node.port}`, node])).values(),
    ];
    const before = new Map(this.#corrections);
    this.#ranges = await askAny(known, ['CLUSTER', 'SLOTS'], rangesOf, this.#options, this.#deps);
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
