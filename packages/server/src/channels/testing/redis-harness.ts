import { ManualClock } from '../../kit/clock.ts';
import { silentLogger } from '../../kit/log.ts';
import { Metrics } from '../../kit/metrics.ts';
import { systemRandom } from '../../kit/random.ts';
import type { ChannelsHarness, ChannelsHarnessOptions } from '../conformance.ts';
import { createChannelsMetrics, createRedisMetrics } from '../metrics.ts';
import { RedisChannels } from '../redis.ts';
import { RedisConnection } from '../redis-connection.ts';
import type { RedisStore } from '../redis-options.ts';

const [LEASE_MS, HOLD_MS, CHECK_MS] = [3_000, 15_000, 1_000];
/** Leases, holds and looks are renewed in between, as by a process that runs. */
const STEP_MS = 1_000;

/** One process: its connections can be ended as by kill -9. */
class Process {
  readonly channels: RedisChannels;
  readonly #end: () => void;

  private constructor(channels: RedisChannels, end: () => void) {
    this.channels = channels;
    this.#end = end;
  }

  static async start(store: RedisStore, keyPrefix: string, options: ChannelsHarnessOptions, clock: ManualClock): Promise<Process> {
    const metrics = new Metrics();
    const open = new Set<RedisConnection>();
    let dead = false;
    const connect: typeof RedisConnection.open = async (...args) => {
      if (dead) throw new Error('this process was killed');
      const connection = await RedisConnection.open(...args);
      open.add(connection);
      return connection;
    };
    const channels = await RedisChannels.open(
      { ...options, store, keyPrefix, partitions: 2, leaseMs: LEASE_MS, holdMs: HOLD_MS, checkMs: CHECK_MS },
      {
        logger: silentLogger,
        metrics: createChannelsMetrics(metrics),
        redisMetrics: createRedisMetrics(metrics),
        clock,
        random: systemRandom,
        storeTime: () => clock.now(),
        connect,
      },
    );
    return new Process(channels, () => {
      dead = true;
      for (const connection of open) connection.close();
    });
  }

  async kill(): Promise<void> {
    this.#end();
    await this.channels.close();
  }
}

/** Redis is real, its time is the harness's. */
export async function redisHarness(store: RedisStore, options: ChannelsHarnessOptions): Promise<ChannelsHarness> {
  const clock = new ManualClock();
  const keyPrefix = `conformance-${systemRandom.hex(6)}`;
  const begin = (): Promise<Process> => Process.start(store, keyPrefix, options, clock);
  const others: Process[] = [];
  let first = await begin();
  const settled = async (): Promise<void> => {
    await Promise.all([first, ...others].map(({ channels }) => channels.settle()));
  };
  const elapse = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= STEP_MS) {
      clock.advance(Math.min(STEP_MS, left));
      await settled();
    }
  };
  // A new store trusts nobody's lease, and that of a process that was killed runs out.
  const leasesOver = (): Promise<void> => elapse(LEASE_MS + 1);
  await leasesOver();
  return {
    get channels() {
      return first.channels;
    },
    durable: true,
    interestLagMs: HOLD_MS + 2 * CHECK_MS,
    another: async () => {
      const process = await begin();
      others.push(process);
      await settled();
      return process.channels;
    },
    elapse,
    settled,
    async restart() {
      await first.kill();
      first = await begin();
      await leasesOver();
    },
    async dispose() {
      for (const { channels } of [first, ...others]) await channels.close();
    },
  };
}
