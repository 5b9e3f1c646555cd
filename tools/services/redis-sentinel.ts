import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Need, needProgram, programNeed } from './available.ts';
import { makeFolder, removeFolder } from './folder.ts';
import { freePorts } from './ports.ts';
import { type RedisReply, redisCommand } from './redis-command.ts';
import { ServerProcess } from './server-process.ts';
import { until } from './until.ts';

export type RedisNode = { readonly port: number; readonly process: ServerProcess };

export type SentinelOptions = { readonly replicas?: 1 | 2 };

export const sentinelNeed = (): Need | null =>
  programNeed('redis-server', 'redis-server') ?? programNeed('redis-sentinel', 'redis-sentinel');

const MASTER = 'millrace';

/** A master, its replicas and three sentinels that fail over after one second of silence. */
export class SentinelService implements AsyncDisposable {
  /** The name under which clients ask the sentinels for the master. */
  readonly masterName: string = MASTER;
  readonly folder: string;
  readonly nodes: readonly RedisNode[];
  readonly sentinels: readonly RedisNode[];

  private constructor(folder: string, nodes: readonly RedisNode[], sentinels: readonly RedisNode[]) {
    this.folder = folder;
    this.nodes = nodes;
    this.sentinels = sentinels;
  }

  static async start(options: SentinelOptions = {}): Promise<SentinelService> {
    const folder = makeFolder('sentinel');
    const ports = await freePorts(1 + (options.replicas ?? 1) + 3);
    const [master] = ports as [number];
    const nodes = ports.slice(0, -3).map((port) => redisNode(folder, port, port === master ? [] : [`replicaof 127.0.0.1 ${master}`]));
    const sentinels = ports.slice(-3).map((port) => sentinelNode(folder, port, master));
    const service = new SentinelService(folder, nodes, sentinels);
    try {
      await Promise.all(nodes.map(({ process }) => process.start()));
      await Promise.all(sentinels.map(({ process }) => process.start()));
      await service.#settled();
      return service;
    } catch (error) {
      await service.stop();
      throw error;
    }
  }

  /** Whom the first sentinel that answers names as master. */
  async master(): Promise<RedisNode> {
    const running = this.sentinels.find(({ process }) => process.running);
    if (!running) throw new Error('no sentinel runs');
    const reply = await redisCommand(running, 'SENTINEL', 'get-master-addr-by-name', MASTER);
    return this.node(Number((reply as readonly string[])[1]));
  }

  node(port: number): RedisNode {
    const node = this.nodes.find((each) => each.port === port);
    if (!node) throw new Error(`no Redis of ours on port ${port}`);
    return node;
  }

  command(node: RedisNode, ...command: readonly (string | number)[]): Promise<RedisReply> {
    return redisCommand(node, ...command);
  }

  /** An ordered fail-over, without anybody being ended; resolves to the new master when it says itself that it is one. */
  async failover(): Promise<RedisNode> {
    const old = await this.master();
    await redisCommand(this.sentinels[0]!, 'SENTINEL', 'failover', MASTER);
    return this.newMaster(old);
  }

  /** Resolves when another than `old` is master, as after `old.process.kill()`. */
  async newMaster(old: RedisNode): Promise<RedisNode> {
    return until('another master', async () => {
      const master = await this.master();
      return master !== old && (await role(master)) === 'master' ? master : null;
    });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.nodes].map(({ process }) => process.kill()));
    await removeFolder(this.folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Every sentinel knows the other two and all replicas, and the replicas are in step: before that a fail-over finds no majority. */
  async #settled(): Promise<void> {
    await until('sentinels that know each other', async () => {
      for (const sentinel of this.sentinels) {
        const facts = pairs(await redisCommand(sentinel, 'SENTINEL', 'master', MASTER));
        if (facts.get('num-other-sentinels') !== '2' || facts.get('num-slaves') !== `${this.nodes.length - 1}`) return null;
        // A replica that it has only heard of cannot be promoted.
        const replicas = (await redisCommand(sentinel, 'SENTINEL', 'replicas', MASTER)) as readonly RedisReply[];
        if (!replicas.every((replica) => pairs(replica).get('master-link-status') === 'ok')) return null;
      }
      return true;
    });
  }
}

export function redisNode(folder: string, port: number, lines: readonly string[]): RedisNode {
  const config = join(folder, `redis-${port}.conf`);
  const own = ['bind 127.0.0.1', `port ${port}`, `dir "${folder}"`, `dbfilename dump-${port}.rdb`, 'save ""', 'daemonize no'];
  // A replica that has just been added need not wait for others before its first copy.
  writeFileSync(config, `${[...own, 'protected-mode no', 'repl-diskless-sync-delay 0', ...lines].join('\n')}\n`);
  const ready = async (): Promise<void> => void (await redisCommand({ port }, 'PING'));
  const command = [needProgram('redis-server', 'redis-server'), config] as const;
  return { port, process: new ServerProcess({ name: `redis-${port}`, command, folder, ready }) };
}

function sentinelNode(folder: string, port: number, master: number): RedisNode {
  const config = join(folder, `sentinel-${port}.conf`);
  const lines = ['bind 127.0.0.1', `port ${port}`, `dir "${folder}"`, 'daemonize no', 'protected-mode no'];
  lines.push(`sentinel monitor ${MASTER} 127.0.0.1 ${master} 2`, `sentinel down-after-milliseconds ${MASTER} 1000`);
  lines.push(`sentinel failover-timeout ${MASTER} 5000`);
  writeFileSync(config, `${lines.join('\n')}\n`);
  const ready = async (): Promise<void> => void (await redisCommand({ port }, 'PING'));
  const command = [needProgram('redis-sentinel', 'redis-sentinel'), config] as const;
  return { port, process: new ServerProcess({ name: `sentinel-${port}`, command, folder, ready }) };
}

async function role(node: RedisNode): Promise<RedisReply | undefined> {
  return ((await redisCommand(node, 'ROLE')) as readonly RedisReply[])[0];
}

function pairs(reply: RedisReply): ReadonlyMap<string, string> {
  const flat = reply as readonly string[];
  return new Map(flat.flatMap((key, index) => (index % 2 === 0 ? [[key, flat[index + 1] ?? ''] as const] : [])));
}
