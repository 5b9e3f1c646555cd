import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameCache, NO_SLOT } from './frame-cache.ts';
import { Outbox } from './outbox.ts';
import { FakeTransport } from './testing.ts';

const frame = (length: number): Buffer => Buffer.alloc(length, 'x');

describe('the outbox', () => {
  it('D12: holds no more than its bound, or one frame; tells when it is full, and once when it has drained', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 1, max: 150 }) },
      { weight: 1, arbitrary: fc.constantFrom('drain' as const, 'slow' as const, 'wait' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const transport = new FakeTransport();
        transport.slow = true;
        const told: string[] = [];
        const outbox = new Outbox(transport, 100, { onCongested: () => told.push('full'), onUncongested: () => told.push('free') });
        let waiting = false;
        for (const one of steps) {
          if (one === 'drain') transport.drain();
          else if (one === 'slow') transport.slow = true;
          else if (one === 'wait') {
            if (!outbox.congested || waiting) continue;
            waiting = true;
            outbox.wait({ onDrained: () => (waiting = false) });
          } else {
            const before = transport.bufferedBytes();
            const full = outbox.congested;
            const written = outbox.offer(frame(one));
            expect(written).toBe(!full && (before === 0 || before + one <= 100));
            expect(transport.bufferedBytes()).toBeLessThanOrEqual(Math.max(100, one, before));
          }
          if (!outbox.congested) expect(waiting).toBe(false);
        }
        expect(told.every((word, at) => word === (at % 2 === 0 ? 'full' : 'free'))).toBe(true);
      }),
    );
  });

  it('lets through what exists once, even where it is full', () => {
    const transport = new FakeTransport();
    transport.slow = true;
    const outbox = new Outbox(transport, 100);
    outbox.write(frame(300));
    expect(outbox.congested).toBe(true);
    outbox.write(frame(1));
    expect(outbox.offer(frame(1))).toBe(false);
    expect(transport.frames.length).toBe(2);
  });

  it('tells of a connection that asks for answers and reads none: what exists once is always written and could fill the process', () => {
    const transport = new FakeTransport();
    transport.slow = true;
    let told = 0;
    const outbox = new Outbox(transport, 100, { onCongested() {}, onUncongested() {}, onUnread: () => (told += 1) });
    outbox.write(frame(5_000));
    // One answer may be as large as it is; so may what ends it.
    outbox.write(frame(20));
    for (let at = 0; at < 7; at += 1) outbox.write(frame(100));
    expect(told).toBe(0);
    outbox.write(frame(100));
    expect(told).toBe(1);
    transport.drain();
    transport.slow = true;
    outbox.write(frame(500));
    outbox.write(frame(500));
    expect(told).toBe(1);
  });

  it('asks the transport for its figure once in a bound, not once a frame', () => {
    const transport = new FakeTransport();
    let asked = 0;
    transport.bufferedBytes = () => ((asked += 1), 0);
    const outbox = new Outbox(transport, 1_000);
    for (let at = 0; at < 1_000; at += 1) outbox.offer(frame(100));
    expect(asked).toBeLessThanOrEqual(112);
  });

  it('writes nothing after it was closed, and lets waiting streams go', () => {
    const transport = new FakeTransport();
    transport.slow = true;
    const outbox = new Outbox(transport, 10);
    outbox.offer(frame(5));
    outbox.offer(frame(20));
    let told = 0;
    outbox.wait({ onDrained: () => (told += 1) });
    outbox.close();
    transport.drain();
    outbox.write(frame(1));
    expect([told, outbox.offer(frame(1)), transport.frames.length]).toEqual([1, false, 1]);
  });
});

describe('the frame cache', () => {
  it('makes one frame for equal ids and a payload, and a fresh one for the next payload', () => {
    const cache = new FrameCache();
    const outbox = new Outbox(new FakeTransport(), 100);
    const [one, two, long] = [cache.slotFor(outbox, '1'), cache.slotFor(outbox, '2'), cache.slotFor(outbox, 'a-long-id')];
    expect([cache.slotFor(outbox, '1') === one, one === two, long]).toEqual([true, false, NO_SLOT]);
    cache.begin(Buffer.from('"A"'), 'c');
    const first = cache.frame(outbox, '1', one);
    expect(first.toString()).toBe('{"id":"1","next":"A"}');
    expect(cache.frame(outbox, '1', one)).toBe(first);
    expect(cache.frame(outbox, '2', two).toString()).toBe('{"id":"2","next":"A"}');
    expect(cache.frame(outbox, 'a-long-id', long).toString()).toBe('{"id":"a-long-id","next":"A"}');
    cache.begin(Buffer.from('"B"'), 'c');
    expect(cache.frame(outbox, '1', one).toString()).toBe('{"id":"1","next":"B"}');
  });

  it('is bounded however many short ids clients think of', () => {
    const cache = new FrameCache();
    const outbox = new Outbox(new FakeTransport(), 100);
    const slots = Array.from({ length: 2_000 }, (_, at) => cache.slotFor(outbox, at.toString(36)));
    expect(Math.max(...slots)).toBe(511);
    expect(slots.filter((slot) => slot === NO_SLOT).length).toBe(2_000 - 512);
  });
});
