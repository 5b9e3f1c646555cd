import { afterEach, expect, it, vi } from 'vitest';
import { FrameReader, type FrameSink } from './frame-reader.ts';

/**
 * The buffer of a message grew by just what had arrived whenever a fragment was whole, because nothing more was announced. Each of a message's fragments then
 * copied all before it: 4,096 small ones within the size limit cost 200 times the CPU of the same message in one frame, before anybody had signed in. Room is
 * now doubled while more fragments are to come.
 */
afterEach(() => {
  vi.restoreAllMocks();
});

it.each([1, 16, 63])('room for a message in fragments of %i bytes stays in proportion to its size', (size) => {
  const count = 4_096;
  const frames = Array.from({ length: count }, (_, nth) => {
    const frame = Buffer.alloc(6 + size, 0x61);
    frame.fill(0, 2, 6);
    frame[0] = nth === 0 ? 0x01 : nth === count - 1 ? 0x80 : 0x00;
    frame[1] = 0x80 | size;
    return frame;
  });
  const heard: number[] = [];
  const sink: FrameSink = {
    onMessage: (data) => heard.push(data.length),
    onPing: () => undefined,
    onPong: () => undefined,
    onClose: () => undefined,
    onViolation: ({ code }) => heard.push(-code),
  };
  const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow');
  const reader = new FrameReader({ maxMessageBytes: 262_144, maxFragments: count, compression: false });
  for (const frame of frames) reader.read(frame, sink);
  expect(heard).toEqual([count * size]);
  const room = allocate.mock.calls.reduce((sum, [bytes]) => sum + bytes, 0);
  expect(room).toBeGreaterThanOrEqual(count * size);
  expect(room).toBeLessThan(4 * count * size + 4_096);
});
