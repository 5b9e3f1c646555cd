import { ClusterService } from '../../tools/services/redis-cluster.ts';
import { SentinelService } from '../../tools/services/redis-sentinel.ts';
import { RedisService } from '../../tools/services/redis.ts';
import { between, type Chance, oneOf } from '../lib/chance.ts';
import { type PairSite, restartOne, startPair } from '../lib/pair.ts';
import { pause } from '../lib/pause.ts';
import { type Fault, runnable, type RunnableFault } from '../lib/run.ts';
import type { Topology } from '../lib/site.ts';
import { TcpProxy } from '../lib/tcp-proxy.ts';
import { owning } from '../lib/owning.ts';

type RedisSite = PairSite & { readonly redis: RedisService; readonly wire: TcpProxy };
type SentinelSite = PairSite & { readonly redis: SentinelService };
type ClusterSite = PairSite & { readonly redis: ClusterService };

const PREFIX = 'chaos';
const PARTITIONS = 2;

async function withRedis(folder: string, persistent: boolean): Promise<RedisSite> {
  await using opening = new AsyncDisposableStack();
  const redis = opening.use(await RedisService.start({ persistent }));
  const wire = opening.use(await TcpProxy.start(redis.port));
  const site = opening.use(await startPair(folder, { URLS: `redis://127.0.0.1:${wire.port}`, KEY_PREFIX: PREFIX }));
  return owning(opening, { ...site, redis, wire });
}

const onRedis: Topology<RedisSite> = { name: 'two processes on one Redis', needs: ['redis'], start: (folder) => withRedis(folder, false) };
const onDisk: Topology<RedisSite> = {
  name: 'two processes on one Redis that keeps its data on disk',
  needs: ['redis'],
  start: (folder) => withRedis(folder, true),
};

const onSentinel: Topology<SentinelSite> = {
  name: 'two processes on a Redis under sentinels',
  needs: ['redis-sentinel'],
  async start(folder) {
    await using opening = new AsyncDisposableStack();
    const redis = opening.use(await SentinelService.start());
    const urls = redis.sentinels.map(({ port }) => `redis://127.0.0.1:${port}`).join(',');
    const site = opening.use(await startPair(folder, { MODE: 'sentinel', URLS: urls, MASTER_NAME: redis.masterName, KEY_PREFIX: PREFIX }));
    return owning(opening, { ...site, redis });
  },
};

const onCluster: Topology<ClusterSite> = {
  name: 'two processes on a Redis Cluster of three masters with a replica each',
  needs: ['redis-cluster'],
  async start(folder) {
    await using opening = new AsyncDisposableStack();
    const redis = opening.use(await ClusterService.start());
    const site = opening.use(await startPair(folder, { MODE: 'cluster', URLS: redis.urls.slice(0, 3).join(','), KEY_PREFIX: PREFIX }));
    return owning(opening, { ...site, redis });
  },
};

const slotOfAPartition = (redis: ClusterService, chance: Chance): Promise<number> =>
  redis.slotOf(`{${PREFIX}:${between(chance, 0, PARTITIONS - 1)}}`);

const standalone: readonly Fault<RedisSite>[] = [
  {
    name: 'edge-kill',
    title: 'kill -9 of one of two processes that share their channels; its users go on at the other',
    topology: onRedis,
    gaps: 'none',
    strike: restartOne,
  },
  {
    name: 'redis-cut',
    title: 'every connection to Redis is reset, then nothing passes for a while',
    topology: onRedis,
    gaps: 'none',
    async strike({ wire }, chance) {
      wire.cut();
      await pause(chance, 50, 300);
      wire.freeze();
      await pause(chance, 100, 800);
      wire.thaw();
      await pause(chance, 0, 100);
      wire.cut();
    },
  },
  {
    name: 'redis-restart-empty',
    title: 'Redis is killed and comes back without its data',
    topology: onRedis,
    gaps: 'allowed',
    async strike({ redis }, chance) {
      await redis.kill();
      await pause(chance, 0, 300);
      await redis.start();
    },
  },
];

const persistent: Fault<RedisSite> = {
  name: 'redis-restart-data',
  title: 'Redis is killed and comes back with its data, which may lack the last writes',
  topology: onDisk,
  gaps: 'allowed',
  async strike({ redis }, chance) {
    await redis.kill();
    await pause(chance, 0, 300);
    await redis.start();
  },
};

const sentinelFailover: Fault<SentinelSite> = {
  name: 'sentinel-failover',
  title: 'kill -9 of the master; the sentinels promote its replica',
  topology: onSentinel,
  gaps: 'allowed',
  async strike({ redis }) {
    const master = await redis.master();
    await master.process.kill();
    await redis.newMaster(master);
    await master.process.start();
  },
};

const cluster: readonly Fault<ClusterSite>[] = [
  {
    name: 'cluster-slot-move',
    title: 'a slot moves to another master while it is used',
    topology: onCluster,
    gaps: 'allowed',
    async strike({ redis }, chance) {
      const slot = await slotOfAPartition(redis, chance);
      const owner = await redis.ownerOf(slot);
      const others: (typeof owner)[] = [];
      for (let at = 0; at < 16_384 && others.length < 2; at += 1_024) {
        const other = await redis.ownerOf(at);
        if (other !== owner && !others.includes(other)) others.push(other);
      }
      await redis.moveSlot(slot, oneOf(chance, others));
    },
  },
  {
    name: 'cluster-node-loss',
    title: 'kill -9 of the master of a slot that is used; its replica takes over',
    topology: onCluster,
    gaps: 'allowed',
    async strike({ redis }, chance) {
      const slot = await slotOfAPartition(redis, chance);
      const owner = await redis.ownerOf(slot);
      await owner.process.kill();
      await redis.newOwner(slot, owner);
      await owner.process.start();
      await redis.ok();
    },
  },
];

export const redisFaults: readonly RunnableFault[] = [
  ...standalone.map(runnable),
  runnable(persistent),
  runnable(sentinelFailover),
  ...cluster.map(runnable),
];
