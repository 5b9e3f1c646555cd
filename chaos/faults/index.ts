import { runnable, type RunnableFault } from '../lib/run.ts';
import { brokerFaults } from './brokers.ts';
import { diskFull } from './disk-full.ts';
import { oneProcessFaults } from './one-process.ts';
import { proxyFaults } from './proxy.ts';
import { redisFaults } from './redis.ts';

export const faults: readonly RunnableFault[] = [
  ...oneProcessFaults.map(runnable),
  runnable(diskFull),
  ...redisFaults,
  ...brokerFaults,
  ...proxyFaults,
];
