import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader, type FrameSink, mayBeSent, type ReaderLimits } from './frame-reader.ts';

const LIMITS: ReaderLimits = { maxMessageBytes: 2_000, maxFragments: 8, compression: false };

type Heard = readonly (string | number)[];

function hear(chunks: readonly Buffer[], limits = LIMITS): { readonly heard: readonly Heard[]; readonly resting: boolean } {
  const heard: Heard[] = [];
  const sink: FrameSink = {
    onMessage: (data, opcode, compressed) => heard.push(['message', opcode, data.toString('latin1'), String(compressed)]),
    onPing: (data) => heard.push(['ping', data.toString('latin1')]),
    onPong: () => heard.push(['pong']),
    onClose: (code) => heard.push(['close', code]),
    onViolation: ({ code, reason }) => heard.push(['violation', code, reason]),
  };
  const reader = new FrameReader(limits);
  // Copies: what a reader is given is its own to unmask.
  for (const chunk of chunks) reader.read(Buffer.from(chunk), sink);
  return { heard, resting: reader.resting };
}

type Frame = { readonly first: number; readonly payload: Buffer; readonly key?: number };

function bytesOf({ first, payload, key = 0x01020304 }: Frame): Buffer {
  const length = payload.length;
  const head = length < 126 ? Buffer.from([first, 0x80 | length]) : Buffer.from([first, 0xfe, length >> 8, length & 255]);
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE(key);
  return Buffer.concat([head, mask, Buffer.from(payload.map((byte, at) => byte ^ mask[at & 3]!))]);
}

const frame = fc
  .record({
    fin: fc.boolean(),
    reserved: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.nat(7)),
    opcode: fc.oneof({ weight: 10, arbitrary: fc.constantFrom(0, 0, 1, 1, 2, 8, 9, 10) }, fc.nat(15)),
    payload: fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }).map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    ),
    key: fc.nat(0xffffffff),
  })
  .map(({ fin, reserved, opcode, payload, key }) => bytesOf({ first: (fin ? 0x80 : 0) | (reserved << 4) | opcode, payload, key }));

describe('frames of a client', () => {
  it('are the same however the network cuts them', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(600), { maxLength: 12 }), (frames, sizes) => {
        const bytes = Buffer.concat(frames);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const size of sizes) chunks.push(bytes.subarray(at, (at += size)));
        chunks.push(bytes.subarray(at));
        const whole = hear([bytes]);
        expect(hear(chunks)).toEqual(whole);
        expect(hear([...bytes].map((byte) => Buffer.from([byte])))).toEqual(whole);
      }),
      { numRuns: 500 },
    );
  });

  it('of any bytes never make it throw, and nothing is heard after the end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const { heard } = hear([Buffer.from(bytes)]);
        const end = heard.findIndex(([kind]) => kind === 'close' || kind === 'violation');
        expect(end < 0 || end === heard.length - 1).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ['a whole text', [{ first: 0x81, payload: 'hallo' }], [['message', 1, 'hallo', 'false']]],
    ['an empty text', [{ first: 0x81, payload: '' }], [['message', 1, '', 'false']]],
    [
      'a text in three pieces with a ping between',
      [
        { first: 0x01, payload: 'a' },
        { first: 0x89, payload: 'p' },
        { first: 0x00, payload: 'b' },
        { first: 0x80, payload: 'c' },
      ],
      [
        ['ping', 'p'],
        ['message', 1, 'abc', 'false'],
      ],
    ],
    ['a pong', [{ first: 0x8a, payload: 'x' }], [['pong']]],
    [
      'a close without a code',
      [
        { first: 0x88, payload: '' },
        { first: 0x81, payload: 'late' },
      ],
      [['close', 1005]],
    ],
    ['a close with a code', [{ first: 0x88, payload: '\x03\xe8bye' }], [['close', 1000]]],
    ['a close with half a code', [{ first: 0x88, payload: '\x03' }], [['violation', 1002, 'a close frame with half a code']]],
    ['a close with a code of nobody', [{ first: 0x88, payload: '\x03\xed' }], [['violation', 1002, 'the close code is not valid']]],
    ['a continuation of nothing', [{ first: 0x80, payload: 'a' }], [['violation', 1002, 'a continuation without a beginning']]],
    [
      'a message within a message',
      [
        { first: 0x01, payload: 'a' },
        { first: 0x81, payload: 'b' },
      ],
      [['violation', 1002, 'a new message before the end of the last']],
    ],
    ['a reserved bit', [{ first: 0xc1, payload: 'a' }], [['violation', 1002, 'reserved bits are set']]],
    ['a reserved opcode', [{ first: 0x83, payload: 'a' }], [['violation', 1002, 'the opcode is reserved']]],
    ['a fragmented ping', [{ first: 0x09, payload: 'a' }], [['violation', 1002, 'a control frame is fragmented']]],
    ['a ping of 126 bytes', [{ first: 0x89, payload: 'a'.repeat(126) }], [['violation', 1002, 'a control frame is longer than 125 bytes']]],
    ['an overlong encoding', [{ first: 0x81, payload: '\xc0\xaf' }], [['violation', 1007, 'the text is not UTF-8']]],
    ['a surrogate', [{ first: 0x81, payload: '\xed\xa0\x80' }], [['violation', 1007, 'the text is not UTF-8']]],
    [
      'a character cut between two pieces',
      [
        { first: 0x01, payload: '\xc3' },
        { first: 0x80, payload: '\xa4' },
      ],
      [['message', 1, '\xc3\xa4', 'false']],
    ],
    [
      'a message above the limit in pieces',
      [
        { first: 0x01, payload: 'a'.repeat(1_500) },
        { first: 0x80, payload: 'a'.repeat(501) },
      ],
      [['violation', 1009, 'Message too big']],
    ],
    [
      'more pieces than a message may have',
      [{ first: 0x01, payload: '' }, ...Array.from({ length: 8 }, () => ({ first: 0x00, payload: '' }))],
      [['violation', 1009, 'the message has too many fragments']],
    ],
  ])('%s', (_name, frames, expected) => {
    const bytes = (frames as readonly { readonly first: number; readonly payload: string }[]).map(({ first, payload }) =>
      bytesOf({ first, payload: Buffer.from(payload, 'latin1') }),
    );
    expect(hear(bytes).heard).toEqual(expected);
  });

  it('a frame without a mask, and a length that is only announced, are refused before any of it has come', () => {
    expect(hear([Buffer.from([0x81, 0x01])]).heard).toEqual([['violation', 1002, 'a frame of the client is not masked']]);
    const announced = Buffer.from([0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    expect(hear([announced]).heard).toEqual([['violation', 1009, 'Message too big']]);
  });

  it('may be shared between connections only between messages', () => {
    expect(hear([bytesOf({ first: 0x81, payload: Buffer.from('a') })]).resting).toBe(true);
    expect(hear([bytesOf({ first: 0x01, payload: Buffer.from('a') })]).resting).toBe(false);
    expect(hear([bytesOf({ first: 0x81, payload: Buffer.from('a') }).subarray(0, 3)]).resting).toBe(false);
    expect(hear([bytesOf({ first: 0x88, payload: Buffer.alloc(0) })]).resting).toBe(false);
  });
});

it('the codes that may stand in a close frame are those of the registry', () => {
  const registered = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]);
  for (let code = 0; code < 6_000; code += 1) {
    expect([code, mayBeSent(code)]).toEqual([code, registered.has(code) || (code >= 3_000 && code <= 4_999)]);
  }
});
