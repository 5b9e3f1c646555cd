import { join } from 'node:path';
import { makeFolder, removeFolder } from './folder.ts';
import { freePorts } from './ports.ts';
import { type RedisReply, redisCommand } from './redis-command.ts';
import { type RedisNode, redisNode } from './redis-sentinel.ts';
import { until } from './until.ts';

const [MASTERS, SLOTS] = [3, 16_384];
const KEYS_A_MOVE = 100;

/** Three masters with a replica each; a node that is silent for two seconds is failed over. */
export class ClusterService implements AsyncDisposable {
  readonly folder: string;
  /** The masters at the start come first. */
  readonly nodes: readonly RedisNode[];

  private constructor(folder: string, nodes: readonly RedisNode[]) {
    this.folder = folder;
    this.nodes = nodes;
  }

  static async start(): Promise<ClusterService> {
    const folder = makeFolder('cluster');
    const ports = await freePorts(MASTERS * 4);
    const nodes = ports.slice(0, MASTERS * 2).map((port, index) => {
      // The bus would be at port + 10000, among the ports of outgoing connections.
      const bus = ports[MASTERS * 2 + index]!;
      return redisNode(folder, port, clusterLines(folder, port, bus));
    });
    const service = new ClusterService(folder, nodes);
    try {
      await Promise.all(nodes.map(({ process }) => process.start()));
      await service.#form(ports.slice(MASTERS * 2));
      return service;
    } catch (error) {
      await service.stop();
      throw error;
    }
  }

  get urls(): readonly string[] {
    return this.nodes.map(({ port }) => `redis://127.0.0.1:${port}`);
  }

  command(node: RedisNode, ...command: readonly (string | number)[]): Promise<RedisReply> {
    return redisCommand(node, ...command);
  }

  /** The master that has the slot now, as a running node sees it. */
  async ownerOf(slot: number): Promise<RedisNode> {
    const ranges = (await redisCommand(this.#running(), 'CLUSTER', 'SLOTS')) as readonly (readonly [
      number,
      number,
      readonly RedisReply[],
    ])[];
    const range = ranges.find(([from, to]) => from <= slot && slot <= to);
    if (!range) throw new Error(`nobody has slot ${slot}`);
    return this.#node(Number(range[2][1]));
  }

  async slotOf(key: string): Promise<number> {
    return Number(await redisCommand(this.#running(), 'CLUSTER', 'KEYSLOT', key));
  }

  /** Moves a slot with its keys to another master, as an operator does: clients hear ASK meanwhile and MOVED afterwards. */
  async moveSlot(slot: number, to: RedisNode): Promise<void> {
    const from = await this.ownerOf(slot);
    if (from === to) return;
    const [fromId, toId] = [await idOf(from), await idOf(to)];
    await redisCommand(to, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
    await redisCommand(from, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
    for (;;) {
      const keys = (await redisCommand(from, 'CLUSTER', 'GETKEYSINSLOT', slot, KEYS_A_MOVE)) as readonly string[];
      if (keys.length === 0) break;
      await redisCommand(from, 'MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys);
    }
    // The new owner first: the other way round nobody has the slot in between.
    await redisCommand(to, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    await redisCommand(from, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId);
    await until(`all nodes to know the new owner of slot ${slot}`, async () => ((await this.#allAgree(slot, to)) ? true : null));
  }

  /** Resolves when all running nodes agree that another than `old` has the slot, as after `old.process.kill()`. */
  async newOwner(slot: number, old: RedisNode): Promise<RedisNode> {
    return until(`a new owner of slot ${slot}`, async () => {
      const owner = await this.ownerOf(slot);
      return owner !== old && (await this.#allAgree(slot, owner)) ? owner : null;
    });
  }

  /** Resolves when every running node says that the cluster is whole. A node that has just died is noticed two seconds later. */
  async ok(): Promise<void> {
    await until('cluster_state:ok on all nodes', async () => {
      for (const node of this.nodes.filter(({ process }) => process.running))
        if (!String(await redisCommand(node, 'CLUSTER', 'INFO')).includes('cluster_state:ok')) return null;
      return true;
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(({ process }) => process.kill()));
    await removeFolder(this.folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #form(buses: readonly number[]): Promise<void> {
    const masters = this.nodes.slice(0, MASTERS);
    const share = Math.ceil(SLOTS / MASTERS);
    for (const [index, master] of masters.entries()) {
      // Epochs that differ from the start: nodes need not settle a conflict first.
      await redisCommand(master, 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
      await redisCommand(master, 'CLUSTER', 'ADDSLOTSRANGE', index * share, Math.min(SLOTS, (index + 1) * share) - 1);
    }
    for (const [index, node] of this.nodes.entries())
      if (index > 0) await redisCommand(this.nodes[0]!, 'CLUSTER', 'MEET', '127.0.0.1', node.port, buses[index]!);
    await until('nodes that know each other', async () => {
      for (const node of this.nodes)
        if (!String(await redisCommand(node, 'CLUSTER', 'INFO')).includes(`cluster_known_nodes:${this.nodes.length}`)) return null;
      return true;
    });
    for (const [index, master] of masters.entries()) {
      const replica = this.nodes[MASTERS + index]!;
      const id = await idOf(master);
      await until('a replica that knows its master', async () => await redisCommand(replica, 'CLUSTER', 'REPLICATE', id));
      await until('a replica in step', async () =>
        String(await redisCommand(replica, 'INFO', 'replication')).includes('master_link_status:up') ? true : null,
      );
    }
    await this.ok();
  }

  async #allAgree(slot: number, owner: RedisNode): Promise<boolean> {
    for (const node of this.nodes.filter(({ process }) => process.running)) {
      const ranges = (await redisCommand(node, 'CLUSTER', 'SLOTS')) as readonly (readonly [number, number, readonly RedisReply[]])[];
      const range = ranges.find(([from, to]) => from <= slot && slot <= to);
      if (Number(range?.[2][1]) !== owner.port) return false;
    }
    return true;
  }

  #running(): RedisNode {
    const node = this.nodes.find(({ process }) => process.running);
    if (!node) throw new Error('no node of the cluster runs');
    return node;
  }

  #node(port: number): RedisNode {
    const node = this.nodes.find((each) => each.port === port);
    if (!node) throw new Error(`no node of ours on port ${port}`);
    return node;
  }
}

function clusterLines(folder: string, port: number, bus: number): readonly string[] {
  const state = join(folder, `nodes-${port}.conf`);
  return ['cluster-enabled yes', `cluster-port ${bus}`, `cluster-config-file "${state}"`, 'cluster-node-timeout 2000'];
}

async function idOf(node: RedisNode): Promise<string> {
  return String(await redisCommand(node, 'CLUSTER', 'MYID'));
}
