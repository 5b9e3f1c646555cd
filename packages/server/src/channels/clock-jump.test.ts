/**
 * The fault: history and interest were aged by the wall clock. Where somebody set it an hour ahead (NTP, an operator, a resumed virtual machine),
 * every event was over its age at the next publish and left history, and channels were past their linger time: clients that
 * reconnected in that moment got a GAP although nothing was lost. Ages are measured by time that passed.
 */
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { DEALS, Ear } from './conformance.ts';
import { MemoryChannels } from './memory.ts';
import { createChannelsMetrics } from './metrics.ts';
import { liveEvent } from './testing/events.ts';

describe('a wall clock that jumps', () => {
  it.each([3_600_000, -3_600_000])('by %i ms neither empties history nor ends interest', async (jump) => {
    const clock = new ManualClock();
    const channels = new MemoryChannels(
      { logger: silentLogger, metrics: createChannelsMetrics(new Metrics()), clock },
      { lingerMs: 600_000 },
    );
    const subscription = await channels.subscribe(DEALS, new Ear());
    await channels.publish([liveEvent('1')]);
    subscription.close();
    clock.jump(jump);
    clock.advance(10_000);
    expect((await channels.publish([liveEvent('2')])).map(({ kind }) => kind)).toEqual(['published']);
    const slice = await channels.history(DEALS, subscription.position, 10, 1_000_000);
    expect([slice.gap, slice.events.map(({ event }) => event.id)]).toEqual([null, ['1', '2']]);
    await channels.close();
  });
});
