import { once } from 'node:events';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PerMessageDeflateOptions, WebSocket } from 'ws';
import { clientFrame, RawPeer } from '../testing/raw-peer.ts';
import { startTestServer, type TestServer } from '../testing/test-server.ts';
import { textFrame } from '../ws-frame.ts';
import { deflated, inflated } from './deflate.ts';

const LIMIT = 100_000;
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

/** As RFC 7692 section 7.2.1 compresses a message. */
function compress(data: Buffer | string, options = {}): Buffer {
  const whole = deflateRawSync(data, { ...options, finishFlush: constants.Z_SYNC_FLUSH });
  return whole.subarray(0, whole.length - TAIL.length);
}

describe('messages of the client', () => {
  it('come out as they went in, whatever way they were compressed', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 2_000 }),
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: 9, max: 15 }),
        (text, level, windowBits) => {
          expect(inflated(compress(text, { level, windowBits }), LIMIT)).toEqual({ kind: 'data', data: Buffer.from(text) });
        },
      ),
      { numRuns: 200 },
    );
  });

  it('of any bytes neither throw nor grow beyond the limit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const outcome = inflated(Buffer.from(bytes), 500);
        if (outcome.kind === 'data') expect(outcome.data.length).toBeLessThanOrEqual(500);
      }),
      { numRuns: 2_000 },
    );
  });

  it('of the limit pass, of one byte more do not, however small they were on the way', () => {
    expect(inflated(compress(Buffer.alloc(LIMIT)), LIMIT)).toMatchObject({ kind: 'data' });
    expect(inflated(compress(Buffer.alloc(LIMIT + 1)), LIMIT)).toEqual({ kind: 'too big' });
    expect(inflated(compress(Buffer.alloc(50_000_000)), LIMIT)).toEqual({ kind: 'too big' });
  });

  it('in several blocks, the empty one of RFC 7692 and a final one are read', () => {
    const blocks = Buffer.concat([compress('one '), TAIL, compress('two')]);
    expect(inflated(blocks, LIMIT)).toEqual({ kind: 'data', data: Buffer.from('one two') });
    expect(inflated(Buffer.from([0]), LIMIT)).toEqual({ kind: 'data', data: Buffer.alloc(0) });
    expect(inflated(Buffer.concat([deflateRawSync('final'), Buffer.from([0])]), LIMIT)).toEqual({
      kind: 'data',
      data: Buffer.from('final'),
    });
  });
});

describe('frames of the server', () => {
  it('are compressed once for everybody, and only where that is worth it', () => {
    const long = textFrame('long '.repeat(1_000));
    const frame = deflated(long);
    expect(deflated(long) === frame).toBe(true);
    expect([frame[0], frame.length < long.length / 10]).toEqual([0xc1, true]);
    expect(deflated(textFrame('short')).equals(textFrame('short'))).toBe(true);
    const several = deflated(Buffer.concat([textFrame('short'), long]));
    expect(several.equals(Buffer.concat([textFrame('short'), frame]))).toBe(true);
  });

  it('need a window of 11 bits and no context', () => {
    const words = Array.from({ length: 2_000 }, (_, nth) => `w${(nth * 7_919) % 613}`).join(' ');
    const frame = deflated(textFrame(words));
    const body = Buffer.concat([frame.subarray(frame[1] === 126 ? 4 : 10), TAIL]);
    const options = { windowBits: 11, finishFlush: constants.Z_SYNC_FLUSH };
    expect(inflateRawSync(body, options).toString()).toBe(words);
  });
});

describe('a connection that agreed on permessage-deflate', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer({ ws: { compression: true, maxMessageBytes: LIMIT } });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  it.each<[string, PerMessageDeflateOptions | boolean]>([
    ['as it comes', true],
    ['without contexts', { serverNoContextTakeover: true, clientNoContextTakeover: true }],
    ['with small windows of the client', { clientMaxWindowBits: 9 }],
    ['with a bound on our window', { serverMaxWindowBits: 12 }],
    ['of everything', { threshold: 0 }],
  ])('talks with the client of ws, %s', async (_name, perMessageDeflate) => {
    const ws = new WebSocket(server.ws, 'graphql-transport-ws', { perMessageDeflate });
    await once(ws, 'open');
    expect(ws.extensions).toContain('permessage-deflate');
    for (const length of [1, 1_024, 5_000, 90_000]) {
      const payload = { x: 'ab'.repeat(length / 2) };
      ws.send(JSON.stringify({ type: 'ping', payload }));
      const [data] = (await once(ws, 'message')) as [Buffer];
      expect(JSON.parse(data.toString())).toEqual({ type: 'pong', payload });
    }
    ws.close();
    await once(ws, 'close');
  });

  const hear = async (...bytes: Buffer[]): Promise<readonly string[]> => {
    const peer = await RawPeer.upgrade(server.port, { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    expect(peer.head).toContain('permessage-deflate; server_no_context_takeover; client_no_context_takeover');
    await peer.say(Buffer.concat(bytes));
    const frames = await peer.toTheEnd();
    await peer.closed;
    return frames.map(({ first, payload }) =>
      first === 0x88 ? `${payload.readUInt16BE(0)} ${payload.toString('utf8', 2)}`.trim() : payload.toString(),
    );
  };
  const ping = compress('{"type":"ping"}');
  const BYE = clientFrame(0x88, Buffer.from([3, 0xe8]));

  it.each([
    ['a compressed message', [clientFrame(0xc1, ping), BYE], ['{"type":"pong"}', '1000']],
    ['one that is not', [clientFrame(0x81, '{"type":"ping"}'), BYE], ['{"type":"pong"}', '1000']],
    [
      'one in fragments',
      [clientFrame(0x41, ping.subarray(0, 5)), clientFrame(0x89, 'p'), clientFrame(0x80, ping.subarray(5)), BYE],
      ['p', '{"type":"pong"}', '1000'],
    ],
    [
      'a bit that is set again',
      [clientFrame(0x41, ping.subarray(0, 5)), clientFrame(0xc0, ping.subarray(5))],
      ['1002 reserved bits are set'],
    ],
    ['a compressed ping', [clientFrame(0xc9, ping)], ['1002 reserved bits are set']],
    ['a bomb', [clientFrame(0xc1, compress(Buffer.alloc(50_000_000, 0x20)))], ['1009 Message too big']],
    ['broken data', [clientFrame(0xc1, Buffer.from([0xff, 0xff, 0xff, 0xff]))], ['1007 the compressed message is broken']],
    [
      'broken data and more after it',
      [clientFrame(0xc1, Buffer.from([0xff, 0xff])), clientFrame(0xc1, ping), BYE],
      ['1007 the compressed message is broken'],
    ],
    ['what is no UTF-8 when inflated', [clientFrame(0xc1, compress(Buffer.from([0xc3, 0x28])))], ['1007 the text is not UTF-8']],
    ['a binary message', [clientFrame(0xc2, ping)], ['4400 Bad request: binary messages are not part of the protocol']],
  ])('%s', async (_name, bytes, heard) => {
    const told = hear(...bytes);
    expect(await told).toEqual(heard);
  });
});
