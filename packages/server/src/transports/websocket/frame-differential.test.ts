import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader, type FrameSink } from './frame-reader.ts';

/**
 * The reader beside the receiver of `ws`, on the same bytes. They must hear the same and close with the same code. The one difference: of a header that a
 * client never finishes, `ws` refuses the length when it has come, and our reader when the mask has come too, at most four bytes later.
 */
const MAX_BYTES = 1_000;
const MAX_FRAGMENTS = 16;

type Receiver = NodeJS.EventEmitter & { write(chunk: Buffer, done: () => void): boolean };
const { Receiver } = createRequire(import.meta.url)('ws') as { Receiver: new (options: object) => Receiver };

type Heard = readonly (readonly (string | number)[])[];

function ours(chunks: readonly Buffer[]): Heard {
  const heard: (string | number)[][] = [];
  const sink: FrameSink = {
    onMessage: (data, opcode) => heard.push(['message', opcode, data.toString('latin1')]),
    onPing: (data) => heard.push(['ping', data.toString('latin1')]),
    onPong: () => heard.push(['pong']),
    onClose: (code) => heard.push(['close', code]),
    onViolation: ({ code }) => heard.push(['violation', code]),
  };
  const reader = new FrameReader({ maxMessageBytes: MAX_BYTES, maxFragments: MAX_FRAGMENTS, compression: false });
  for (const chunk of chunks) reader.read(Buffer.from(chunk), sink);
  return heard;
}

/** `ws` gives the status code of an error under a symbol of its own. */
function statusOf(error: object): number {
  const symbol = Object.getOwnPropertySymbols(error).find(({ description }) => description === 'status-code');
  return symbol === undefined ? 0 : (error as Record<symbol, number>)[symbol]!;
}

async function theirs(chunks: readonly Buffer[]): Promise<Heard> {
  const heard: (string | number)[][] = [];
  const receiver = new Receiver({ isServer: true, maxPayload: MAX_BYTES, maxFragments: MAX_FRAGMENTS, allowSynchronousEvents: true });
  let ended = false;
  const hear = (...what: (string | number)[]): void => {
    if (!ended) heard.push(what);
  };
  receiver.on('message', (data: Buffer, binary: boolean) => hear('message', binary ? 2 : 1, data.toString('latin1')));
  receiver.on('ping', (data: Buffer) => hear('ping', data.toString('latin1')));
  receiver.on('pong', () => hear('pong'));
  receiver.on('conclude', (code: number) => {
    hear('close', code);
    ended = true;
  });
  receiver.on('error', (error) => {
    hear('violation', statusOf(error));
    ended = true;
  });
  for (const chunk of chunks) {
    if (ended) break;
    await new Promise<void>((resolve) => {
      receiver.once('error', () => resolve());
      receiver.write(Buffer.from(chunk), () => resolve());
    });
  }
  return heard;
}

function frameBytes(first: number, payload: Buffer, key: number, masked: boolean, long: boolean): Buffer {
  const length = payload.length;
  const flag = masked ? 0x80 : 0;
  // A length may be written longer than it needs: RFC 6455 forbids it to senders, and neither receiver minds.
  const head = length < 126 && !long ? Buffer.from([first, flag | length]) : Buffer.from([first, flag | 126, length >> 8, length & 255]);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = Buffer.alloc(4);
  mask.writeUInt32BE(key);
  return Buffer.concat([head, mask, Buffer.from(payload.map((byte, at) => byte ^ mask[at & 3]!))]);
}

const rarely = <T>(usual: T, other: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 30, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });

const text = fc.oneof(
  { weight: 6, arbitrary: fc.string({ unit: 'grapheme', maxLength: 80 }).map((value) => Buffer.from(value)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
);
const closing = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc
    .tuple(fc.oneof(fc.constantFrom(1000, 1001, 1004, 1005, 1006, 1011, 1014, 1015, 2999, 3000, 4999, 5000), fc.nat(65_535)), text)
    .map(([code, reason]) => Buffer.concat([Buffer.from([code >> 8, code & 255]), reason.subarray(0, 123)])),
  fc.constant(Buffer.from([3])),
);

/** Sequences that are mostly valid, so that what comes late in them is reached. */
const frames = fc.array(
  fc.record({
    opcode: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(1, 2) },
      { weight: 5, arbitrary: fc.constant(0) },
      { weight: 3, arbitrary: fc.constantFrom(9, 10) },
      { weight: 1, arbitrary: fc.constant(8) },
      { weight: 1, arbitrary: fc.nat(15) },
    ),
    fin: fc.boolean(),
    reserved: rarely(0, fc.nat(7)),
    payload: text,
    closing,
    key: fc.nat(0xffffffff),
    masked: rarely(true, fc.constant(false)),
    long: rarely(false, fc.constant(true)),
    obey: rarely(true, fc.constant(false)),
  }),
  { minLength: 1, maxLength: 14 },
);

/** Puts the order of fragments right, unless a frame does not obey. */
function sequence(made: readonly (typeof frames extends fc.Arbitrary<(infer F)[]> ? F : never)[]): Buffer {
  let open = false;
  const out = made.map((frame) => {
    let { opcode, fin } = frame;
    if (frame.obey && opcode < 3) {
      if (open) opcode = 0;
      else if (opcode === 0) opcode = 1;
      open = !fin;
    }
    if (frame.obey && opcode >= 8) fin = true;
    const payload = opcode === 8 ? frame.closing : opcode > 8 && frame.obey ? frame.payload.subarray(0, 125) : frame.payload;
    return frameBytes((fin ? 0x80 : 0) | (frame.reserved << 4) | opcode, payload, frame.key, frame.masked, frame.long && opcode < 8);
  });
  return Buffer.concat(out);
}

function cut(bytes: Buffer, sizes: readonly number[]): readonly Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of sizes) chunks.push(bytes.subarray(at, (at += size + 1)));
  chunks.push(bytes.subarray(at));
  return chunks.filter((chunk) => chunk.length > 0);
}

describe('the reader and the receiver of ws', () => {
  it('hear the same and close with the same code, whatever a client sends', async () => {
    await fc.assert(
      fc.asyncProperty(frames, fc.array(fc.nat(200), { maxLength: 8 }), async (made, sizes) => {
        const chunks = cut(sequence(made), sizes);
        expect(ours(chunks)).toEqual(await theirs(chunks));
      }),
      { numRuns: Number(process.env['FRAME_RUNS'] ?? 1_500) },
    );
  });

  it('of plain noise close with the same code', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), async (bytes) => {
        // Whole headers: see above.
        const chunks = [Buffer.concat([bytes, Buffer.alloc(14)])];
        expect(ours(chunks)).toEqual(await theirs(chunks));
      }),
      { numRuns: Number(process.env['FRAME_RUNS'] ?? 1_500) },
    );
  });
});
