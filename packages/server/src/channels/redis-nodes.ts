import type { Clock } from '../kit/clock.ts';
import { kitErrors, MillraceError, reasonOf } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { channelsErrors } from './errors.ts';
import type { RedisMetrics } from './metrics.ts';
import { RedisConnection, type ConnectionUse, type Reply, refusal, replyError } from './redis-connection.ts';
import { type PartitionNames, slotOf } from './redis-names.ts';
import type { RedisAddress, RedisChannelsOptions } from './redis-options.ts';
import { scripts, type Script, type ScriptName } from './redis-scripts.ts';
import { createTopology, type Topology } from './redis-topology.ts';

export type NodesDeps = {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: RedisMetrics;
  /** `RedisConnection.open`; another where a test brings faults in. */
  readonly connect?: typeof RedisConnection.open;
};

type Node = {
  readonly address: RedisAddress;
  connection: RedisConnection | null;
  opening: Promise<RedisConnection> | null;
  failures: number;
  retryAt: number;
};

/** A server that did not answer is not asked again for this long, doubling up to the second. */
const [REOPEN_MS, REOPEN_MAX_MS] = [50, 1_000];
/** Between two tries of one call. */
const PAUSE_MS = 25;
/** Times that one call follows servers that send it elsewhere. */
const MAX_REDIRECTIONS = 16;

/**
 * The servers, and which of them runs a call. A call goes to the master of its partition's slot and follows MOVED and ASK. It is tried
 * again only where the server has said that it did not run it; where that cannot be told it rejects with CHANNELS_AWAY.
 */
export class RedisNodes {
  readonly #options: RedisChannelsOptions;
  readonly #deps: NodesDeps;
  readonly #topology: Topology;
  readonly #nodes = new Map<string, Node>();
  readonly #slots = new Map<string, number>();
  #closed = false;

  constructor(options: RedisChannelsOptions, deps: NodesDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#topology = createTopology(options.store, options, deps);
  }

  masterOf(partition: PartitionNames): RedisAddress | null {
    return this.#topology.masterOf(this.#slot(partition));
  }

  refresh(): Promise<void> {
    return this.#topology.refresh();
  }

  moved(partition: PartitionNames, message: string): void {
    const to = redirectionOf(message);
    if (to) this.#topology.moved(this.#slot(partition), to);
  }

  /** Opens a connection for subscriptions; the caller owns it. */
  open(address: RedisAddress, use: ConnectionUse, onEnd: (reason: string) => void): Promise<RedisConnection> {
    return (this.#deps.connect ?? RedisConnection.open)(address, use, this.#options, this.#deps, onEnd);
  }

  /**
   * Runs a script in the partition. Rejects with CHANNELS_AWAY where it was not run or it cannot be told whether it was,
   * CHANNELS_OVERLOADED, CHANNELS_STORE_REFUSED.
   */
  async call(partition: PartitionNames, name: ScriptName, keys: readonly string[], args: readonly string[]): Promise<readonly Reply[]> {
    const { metrics, clock } = this.#deps;
    const began = clock.monotonic();
    metrics.calls.inc({ script: name });
    try {
      const reply = await this.#run(partition, scripts[name], [`${keys.length}`, ...keys, ...args], began + this.#options.patienceMs);
      if (Array.isArray(reply)) return reply as readonly Reply[];
      return [reply];
    } catch (error) {
      metrics.failures.inc({ script: name });
      throw this.#coded(error);
    } finally {
      metrics.latency.observe((clock.monotonic() - began) / 1_000);
    }
  }

  /** A connection turned out to serve another than the master: nothing more is sent over it. */
  drop(address: RedisAddress): void {
    const node = this.#nodes.get(keyOf(address));
    node?.connection?.close();
    if (node) node.connection = null;
  }

  close(): void {
    this.#closed = true;
    this.#topology.close();
    for (const { connection } of this.#nodes.values()) connection?.close();
    this.#nodes.clear();
  }

  async #run(partition: PartitionNames, script: Script, rest: readonly string[], deadline: number): Promise<Reply> {
    let asked: RedisAddress | null = null;
    for (let tries = 0; ; tries++) {
      const address: RedisAddress | null = asked ?? this.masterOf(partition);
      try {
        if (!address) throw new Error('no master is known');
        const ready: RedisConnection | Promise<RedisConnection> = this.#connection(address);
        // Not awaited where it is open: calls leave in the order in which they were made.
        return await evaluate(ready instanceof RedisConnection ? ready : await ready, script, rest, asked !== null);
      } catch (error) {
        const next: Next = this.#next(error, partition, address);
        if (next.kind === 'give-up' || this.#closed) throw error;
        if (tries >= MAX_REDIRECTIONS || this.#deps.clock.monotonic() >= deadline) throw error;
        this.#deps.metrics.repeats.inc();
        asked = next.kind === 'ask' ? next.address : null;
        if (next.kind === 'later') await this.#later(next.refresh);
      }
    }
  }

  #next(error: unknown, partition: PartitionNames, address: RedisAddress | null): Next {
    const reply = replyError(error);
    if (!reply) {
      if (address === null) return { kind: 'later', refresh: true };
      // It ended or never began: who is asked next shall be who is master now. Whether the call was run cannot be told.
      this.#refreshSoon();
      return { kind: 'give-up' };
    }
    switch (reply.word) {
      case 'MOVED':
        this.moved(partition, reply.message);
        this.#refreshSoon();
        return { kind: 'again' };
      case 'ASK': {
        const to = redirectionOf(reply.message);
        return to ? { kind: 'ask', address: to } : { kind: 'give-up' };
      }
      case 'READONLY':
        if (address) this.drop(address);
        return { kind: 'later', refresh: true };
      case 'TRYAGAIN':
      case 'CLUSTERDOWN':
      case 'MASTERDOWN':
      case 'LOADING':
      case 'BUSY':
        return { kind: 'later', refresh: true };
      default:
        return { kind: 'give-up' };
    }
  }

  async #later(refresh: boolean): Promise<void> {
    await new Promise<void>((resolve) => void this.#deps.clock.after(PAUSE_MS, resolve));
    if (refresh) await this.#topology.refresh().catch(() => {});
  }

  #refreshSoon(): void {
    void this.#topology.refresh().catch(() => {});
  }

  #connection(address: RedisAddress): RedisConnection | Promise<RedisConnection> {
    const key = keyOf(address);
    let node = this.#nodes.get(key);
    if (!node) this.#nodes.set(key, (node = { address, connection: null, opening: null, failures: 0, retryAt: 0 }));
    if (node.connection && !node.connection.ended) return node.connection;
    if (this.#deps.clock.monotonic() < node.retryAt) throw new Error(`${key} did not answer a moment ago`);
    return (node.opening ??= this.#open(node));
  }

  async #open(node: Node): Promise<RedisConnection> {
    try {
      const connection = await this.open(node.address, 'commands', (reason) => {
        if (node.connection === connection) node.connection = null;
        this.#deps.logger.warn({ server: keyOf(node.address), reason }, 'a connection to Redis ended');
        this.#refreshSoon();
      });
      if (this.#closed) connection.close();
      node.connection = connection;
      node.failures = 0;
      return connection;
    } catch (error) {
      node.failures += 1;
      node.retryAt = this.#deps.clock.monotonic() + Math.min(REOPEN_MAX_MS, REOPEN_MS * 2 ** Math.min(node.failures, 10));
      throw error;
    } finally {
      node.opening = null;
    }
  }

  #slot({ tag }: PartitionNames): number {
    let slot = this.#slots.get(tag);
    if (slot === undefined) this.#slots.set(tag, (slot = slotOf(tag)));
    return slot;
  }

  #coded(error: unknown): MillraceError {
    if (error instanceof MillraceError) return error;
    const refused = refusal(error);
    if (refused) return refused;
    const reply = replyError(error);
    const reason = reasonOf(error).slice(0, 300);
    if (reply && !PASSING.has(reply.word)) {
      this.#deps.logger.error({ reason }, 'a script failed in Redis');
      return new MillraceError(kitErrors.INTERNAL, 'a script failed in Redis; the log has the particulars', {}, error);
    }
    return new MillraceError(channelsErrors.CHANNELS_AWAY, `Redis could not be asked: ${reason}`, {}, error);
  }
}

/** What servers answer that cannot serve at the moment; anything else is a fault of the script's, or of what it was given. */
const PASSING = new Set('MOVED ASK TRYAGAIN CLUSTERDOWN READONLY MASTERDOWN LOADING BUSY OOM NOREPLICAS MISCONF NOSCRIPT'.split(' '));

type Next =
  | { readonly kind: 'again' }
  | { readonly kind: 'ask'; readonly address: RedisAddress }
  | { readonly kind: 'later'; readonly refresh: boolean }
  | { readonly kind: 'give-up' };

async function evaluate(connection: RedisConnection, { sha, source }: Script, rest: readonly string[], asking: boolean): Promise<Reply> {
  // ASKING counts for the next command only; both leave together.
  if (asking) void connection.send(['ASKING']).catch(() => {});
  try {
    return await connection.send(['EVALSHA', sha, ...rest]);
  } catch (error) {
    if (replyError(error)?.word !== 'NOSCRIPT') throw error;
    if (asking) void connection.send(['ASKING']).catch(() => {});
    return connection.send(['EVAL', source, ...rest]);
  }
}

function keyOf({ host, port }: RedisAddress): string {
  return `${host}:${port}`;
}

/** `MOVED 3999 127.0.0.1:6381`; an IPv6 address has colons of its own. */
function redirectionOf(message: string): RedisAddress | null {
  const [, , where = ''] = message.split(' ');
  const colon = where.lastIndexOf(':');
  const port = Number(where.slice(colon + 1));
  return colon > 0 && Number.isInteger(port) && port > 0 ? { host: where.slice(0, colon), port } : null;
}
