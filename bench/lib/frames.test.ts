import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientFrame, type FrameState, readFrames, serverFrame } from './frames.ts';

type Seen = { opcode: number; size: number };

/** Reads the stream in the given pieces; a frame is told once, wherever the pieces end. */
function read(stream: Buffer, sizes: readonly number[]): { seen: Seen[]; state: FrameState } {
  const state: FrameState = { left: 0, opcode: 0, head: null, index: 0 };
  const seen: Seen[] = [];
  const sink = { frame: (opcode: number) => void seen.push({ opcode, size: state.left }) };
  let at = 0;
  for (let piece = 0; at < stream.length; piece += 1) {
    const size = sizes[piece % sizes.length]!;
    const chunk = stream.subarray(at, at + size);
    readFrames(state, chunk, chunk.length, sink);
    at += size;
  }
  return { seen, state };
}

describe('frames of the load generator', () => {
  it('are counted once each, however the stream is cut', () => {
    const texts = fc.array(fc.integer({ min: 0, max: 70_000 }), { minLength: 1, maxLength: 6 });
    const cuts = fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(texts, cuts, (lengths, sizes) => {
        const stream = Buffer.concat(lengths.map((length) => serverFrame('x'.repeat(Math.min(length, 65_535)))));
        const { seen, state } = read(stream, sizes);
        expect(seen.map(({ size }) => size)).toEqual(lengths.map((length) => Math.min(length, 65_535)));
        expect(seen.every(({ opcode }) => opcode === 1)).toBe(true);
        expect(state).toMatchObject({ left: 0, head: null });
      }),
      { numRuns: 60 },
    );
  });

  it('of a client are masked, with a mask that changes nothing', () => {
    const frame = clientFrame('{"type":"ping"}');
    expect([...frame.subarray(0, 6)]).toEqual([0x81, 0x80 | 15, 0, 0, 0, 0]);
    expect(frame.subarray(6).toString()).toBe('{"type":"ping"}');
  });
});
