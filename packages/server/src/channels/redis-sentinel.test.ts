import { describe } from 'vitest';
import { available, service } from '../../../../tools/services/shared.ts';
import { channelsConformance } from './conformance.ts';
import { redisHarness } from './testing/redis-harness.ts';

describe.skipIf(!available('redis-sentinel'))('redis, by Sentinel', () => {
  channelsConformance(
    'redis by Sentinel',
    async (options) => {
      const { masterName, sentinels } = await service('redis-sentinel');
      return redisHarness({ kind: 'sentinel', sentinels, masterName, sentinelLogin: null }, options);
    },
    { shared: true, modelRuns: 20 },
  );
});
