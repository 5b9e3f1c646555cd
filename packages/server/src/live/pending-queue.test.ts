import { expect, it } from 'vitest';
import type { LiveContext } from './context.ts';
import type { Group } from './group.ts';
import { LIVE_LIMITS } from './options.ts';
import { Moment } from './payload.ts';
import { PendingQueue } from './pending-queue.ts';
import { liveEvent, testCursors } from './testing.ts';

it('never holds more than its bound and one mark, however many events come', () => {
  const signer = testCursors.signer({ tenant: 'acme', type: 'Deal' }, 'e');
  let enriched = 0;
  const group = { enriched: () => ((enriched += 1), new Promise<never>(() => {})) } as unknown as Group;
  const context = { limits: { ...LIVE_LIMITS, enrichmentInFlight: 3 } } as unknown as LiveContext;
  const queue = new PendingQueue(group, context);
  for (let offset = 1; offset <= 100; offset += 1) queue.offer(new Moment(liveEvent(), { epoch: 'e', offset }, signer));
  queue.offerGap({
    channel: { tenant: 'acme', type: 'Deal' },
    from: { epoch: 'e', offset: 100 },
    top: { epoch: 'f', offset: 0 },
    missed: null,
  });
  expect([queue.length, enriched]).toEqual([4, 3]);
  expect(queue.doneBefore()).toEqual({ epoch: 'e', offset: 0 });
  queue.clear();
  expect([queue.busy, queue.doneBefore()]).toEqual([false, null]);
});
