/**
 * `node packages/server/src/channels/testing/measure-redis.ts`: what one event costs when it is published through Redis, here and in Redis itself,
 * one at a time and in batches, to one channel and to a hundred. A private Redis on this machine; DESIGN.md has the figures.
 */
import { RedisService } from '../../../../../tools/services/redis.ts';
import type { LiveEvent } from '../../events/live-event.ts';
import { RedisProcess, standalone, Witness } from './redis-process.ts';
import { liveEvent } from './events.ts';

const SECONDS = 3;
const RAW = JSON.stringify({ id: 'd1', title: 'A deal of ordinary size', stage: 'won', value: 12_000.5, note: 'x'.repeat(120) });

await using redis = await RedisService.start();
const store = standalone(redis.port);
await using publisher = await RedisProcess.start({ store, keyPrefix: 'millrace', partitions: 32 });
await using subscriber = await RedisProcess.start({ store, keyPrefix: 'millrace', partitions: 32, publishes: false });
const names = Array.from({ length: 100 }, (_, i) => ({ tenant: `t${i}`, type: 'Deal' }));
const witnesses = names.map(() => new Witness());
await Promise.all(names.map((name, i) => subscriber.channels.subscribe(name, witnesses[i]!)));

let next = 0;
function events(count: number, channels: number): LiveEvent[] {
  return Array.from({ length: count }, (_, i) =>
    liveEvent(`event-${next++}`, { tenant: `t${i % channels}`, key: `d${next % 50}`, version: next, raw: RAW, bytes: RAW.length }),
  );
}

/** Microseconds that Redis itself spent in scripts. */
async function scriptTime(): Promise<number> {
  return Number(/cmdstat_evalsha:.*?usec=(\d+)/.exec(String(await redis.command('INFO', 'commandstats')))?.[1] ?? 0);
}

async function measure(what: string, batch: number, channels: number, concurrency: number): Promise<void> {
  const [began, cpu, inRedis, first] = [performance.now(), process.cpuUsage(), await scriptTime(), next];
  const latencies: number[] = [];
  const one = async (): Promise<void> => {
    while (performance.now() - began < SECONDS * 1_000) {
      const start = performance.now();
      await publisher.channels.publish(events(batch, channels));
      latencies.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  const [elapsed, count] = [performance.now() - began, next - first];
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const figures = {
    'events a second': Math.round((count * 1_000) / elapsed),
    'median of a call, ms': Number(latencies[latencies.length >> 1]!.toFixed(3)),
    'in Redis, µs an event': Number((((await scriptTime()) - inRedis) / count).toFixed(2)),
    'publisher and subscriber, µs an event': Number(((user + system) / count).toFixed(2)),
  };
  process.stdout.write(`${what.padEnd(60)} ${JSON.stringify(figures)}\n`);
}

await measure('warm-up', 100, 100, 4);
await measure('batches of 1, one at a time', 1, 1, 1);
await measure('batches of 1, 64 at a time', 1, 100, 64);
await measure('batches of 100 to one channel', 100, 1, 4);
await measure('batches of 100 to 100 channels in 32 partitions', 100, 100, 4);
for (const witness of witnesses) if (witness.faults.length > 0) throw new Error(witness.faults[0]);
