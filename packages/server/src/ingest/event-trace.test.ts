import { describe, expect, test } from 'vitest';
import { EventTrace, type TraceEntry } from './event-trace.ts';

const entry: Omit<TraceEntry, 'seq'> = {
  time: 0,
  topic: 't',
  position: '1',
  outcome: 'published',
  code: null,
  reason: null,
  tenant: 'acme',
  type: 'Deal',
  key: '1',
  action: 'ADDED',
  id: 'e1',
  at: null,
  channel: null,
};

function traced(trace: EventTrace, count: number): void {
  for (let i = 0; i < count; i++) trace.record(entry);
}

describe('the event trace', () => {
  test('keeps the newest entries, oldest first', () => {
    const trace = new EventTrace({ capacity: 3 });
    traced(trace, 5);
    expect(trace.recent(10).map((one) => one.seq)).toEqual([3, 4, 5]);
    expect(trace.recent(2).map((one) => one.seq)).toEqual([4, 5]);
  });

  test('tells a slow listener how many it missed', async () => {
    const trace = new EventTrace({ listenerCapacity: 2 });
    const listener = trace.subscribe();
    traced(trace, 5);
    const batch = await listener?.next();
    expect(batch?.entries.map((one) => one.seq)).toEqual([1, 2]);
    expect(batch?.skipped).toBe(3);
    expect(trace.skipped).toBe(3);
    traced(trace, 1);
    expect(await listener?.next()).toMatchObject({ skipped: 0, entries: [{ seq: 6 }] });
  });

  test('wakes a waiting listener, and ends it on close', async () => {
    const trace = new EventTrace();
    const listener = trace.subscribe();
    const next = listener?.next();
    traced(trace, 1);
    expect((await next)?.entries).toHaveLength(1);
    const last = listener?.next();
    trace.close();
    expect(await last).toBeNull();
    expect(trace.listeners).toBe(0);
  });

  test('starts with the backlog that was asked for; leaving the loop unsubscribes', async () => {
    const trace = new EventTrace();
    traced(trace, 4);
    for await (const batch of trace.subscribe(2) ?? []) {
      expect(batch.entries.map((one) => one.seq)).toEqual([3, 4]);
      break;
    }
    expect(trace.listeners).toBe(0);
  });

  test('bounds its listeners', () => {
    const trace = new EventTrace({ maxListeners: 1 });
    const first = trace.subscribe();
    expect(trace.subscribe()).toBeNull();
    first?.close();
    expect(trace.subscribe()).not.toBeNull();
  });
});
