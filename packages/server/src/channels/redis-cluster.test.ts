import { describe } from 'vitest';
import { available, service } from '../../../../tools/services/shared.ts';
import { channelsConformance } from './conformance.ts';
import { redisHarness } from './testing/redis-harness.ts';

describe.skipIf(!available('redis-cluster'))('redis, Cluster', () => {
  channelsConformance(
    'redis Cluster',
    async (options) => {
      const { urls } = await service('redis-cluster');
      const nodes = urls.map((url) => ({ host: '127.0.0.1', port: Number(new URL(url).port) }));
      return redisHarness({ kind: 'cluster', nodes }, options);
    },
    { shared: true, modelRuns: 20 },
  );
});
