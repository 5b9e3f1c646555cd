import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientFrame, RawPeer, type ServerFrame } from './testing/raw-peer.ts';
import { startTestServer, type TestServer } from './testing/test-server.ts';

/**
 * RFC 6455 over a real socket against a real connection, grouped as the Autobahn test suite groups it. A `ping` message is answered with its own payload, which makes
 * every connection an echo server.
 */
const MAX = 262_144;
const FIN_TEXT = 0x81;
const TEXT = 0x01;
const MORE = 0x00;
const LAST = 0x80;
const PING = 0x89;
const PONG = 0x8a;
const CLOSE = 0x88;

const ask = (text: string): string => `{"type":"ping","payload":{"x":${JSON.stringify(text)}}}`;
const answer = (text: string): string => `{"type":"pong","payload":{"x":${JSON.stringify(text)}}}`;
const goodbye = (code: number, reason: Buffer | string = ''): Buffer =>
  clientFrame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason as string)]));
const BYE = goodbye(1000);

/** As `close CODE REASON`, `pong …`, or the text. */
function told({ first, payload }: ServerFrame): string {
  if (first === CLOSE) return payload.length === 0 ? 'close' : `close ${payload.readUInt16BE(0)} ${payload.toString('utf8', 2)}`.trim();
  if (first === PONG) return `pong ${payload.toString('latin1')}`;
  return first === FIN_TEXT ? payload.toString('utf8') : `frame ${first}`;
}

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

async function hear(bytes: readonly Buffer[], size?: number): Promise<readonly string[]> {
  const peer = await RawPeer.upgrade(server.port);
  await peer.say(Buffer.concat(bytes), size);
  const heard = (await peer.toTheEnd()).map(told);
  await peer.closed;
  return heard;
}

type Case = readonly [name: string, said: readonly Buffer[], heard: readonly string[]];

/** Each case in one piece and byte by byte. */
function cases(group: string, table: readonly Case[]): void {
  describe.each([
    ['in one piece', undefined],
    ['byte by byte', 1],
  ])(`${group}, %s`, (_way, size) => {
    it.each(table)('%s', async (_name, said, heard) => {
      expect(await hear(said, size)).toEqual(heard);
    });
  });
}

describe('1, 9: messages of the lengths at which headers change', () => {
  const frame = ask('').length;
  it.each([frame, 125, 126, 127, 128, 65_535, 65_536, 65_537, MAX])('%i bytes are one message', async (length) => {
    const text = 'x'.repeat(length - frame);
    expect(await hear([clientFrame(FIN_TEXT, ask(text)), BYE])).toEqual([answer(text), 'close 1000']);
    expect(await hear([clientFrame(FIN_TEXT, ask(text)), BYE], 997)).toEqual([answer(text), 'close 1000']);
  });

  it('of one byte more than allowed end the connection when they are announced, and when fragments add up to them', async () => {
    const head = clientFrame(FIN_TEXT, 'x'.repeat(MAX + 1)).subarray(0, 14);
    expect(await hear([head])).toEqual(['close 1009 Message too big']);
    expect(await hear([clientFrame(TEXT, 'x'.repeat(MAX)), clientFrame(LAST, 'x')])).toEqual(['close 1009 Message too big']);
  });
});

cases('2: pings and pongs', [
  ['a ping without payload', [clientFrame(PING), BYE], ['pong ', 'close 1000']],
  ['a ping with text', [clientFrame(PING, 'hello'), BYE], ['pong hello', 'close 1000']],
  ['a ping with bytes that are no text', [clientFrame(PING, Buffer.from([0, 255, 254])), BYE], ['pong \0\xff\xfe', 'close 1000']],
  ['a ping of 125 bytes', [clientFrame(PING, 'p'.repeat(125)), BYE], [`pong ${'p'.repeat(125)}`, 'close 1000']],
  ['a ping of 126 bytes', [clientFrame(PING, 'p'.repeat(126))], ['close 1002 a control frame is longer than 125 bytes']],
  ['a pong that nobody asked for', [clientFrame(PONG, 'x'), BYE], ['close 1000']],
  [
    'ten pings',
    [...[...'0123456789'].map((nth) => clientFrame(PING, nth)), BYE],
    [...[...'0123456789'].map((nth) => `pong ${nth}`), 'close 1000'],
  ],
]);

cases(
  '3: reserved bits',
  [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70].flatMap((bits): Case[] => [
    [`${bits} in a text`, [clientFrame(FIN_TEXT | bits, 'x'), clientFrame(PING)], ['close 1002 reserved bits are set']],
    [
      `${bits} in a ping after a message`,
      [clientFrame(FIN_TEXT, ask('a')), clientFrame(PING | bits)],
      [answer('a'), 'close 1002 reserved bits are set'],
    ],
  ]),
);

cases(
  '4: reserved opcodes',
  [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): Case => [
    `${opcode}`,
    [clientFrame(0x80 | opcode, ''), BYE],
    ['close 1002 the opcode is reserved'],
  ]),
);

const [begin, end] = [ask('ab').slice(0, 20), ask('ab').slice(20)];
cases('5: fragments', [
  ['two', [clientFrame(TEXT, begin), clientFrame(LAST, end), BYE], [answer('ab'), 'close 1000']],
  [
    'two, a ping between',
    [clientFrame(TEXT, begin), clientFrame(PING, 'p'), clientFrame(LAST, end), BYE],
    ['pong p', answer('ab'), 'close 1000'],
  ],
  ['of nothing around the text', [clientFrame(TEXT), clientFrame(MORE, ask('ab')), clientFrame(LAST), BYE], [answer('ab'), 'close 1000']],
  ['a ping in two', [clientFrame(0x09, 'a'), clientFrame(LAST, 'b')], ['close 1002 a control frame is fragmented']],
  ['a pong in two', [clientFrame(0x0a, 'a'), clientFrame(LAST, 'b')], ['close 1002 a control frame is fragmented']],
  ['a continuation of nothing', [clientFrame(LAST, 'a')], ['close 1002 a continuation without a beginning']],
  [
    'a continuation after the end',
    [clientFrame(FIN_TEXT, ask('a')), clientFrame(MORE, 'a')],
    [answer('a'), 'close 1002 a continuation without a beginning'],
  ],
  ['a text within a text', [clientFrame(TEXT, begin), clientFrame(FIN_TEXT, end)], ['close 1002 a new message before the end of the last']],
  ['a close between', [clientFrame(TEXT, begin), BYE, clientFrame(LAST, end)], ['close 1000']],
  ['a frame that is not masked', [Buffer.from([FIN_TEXT, 1, 0x61])], ['close 1002 a frame of the client is not masked']],
]);

it('5: more fragments than a message may have end the connection', async () => {
  const empty = clientFrame(MORE);
  expect(await hear([clientFrame(TEXT), Buffer.alloc(empty.length * 4_096, empty)])).toEqual([
    'close 1009 the message has too many fragments',
  ]);
});

const split = (text: string): readonly Buffer[] => {
  const bytes = Buffer.from(text);
  return [...bytes].map((byte, at) => clientFrame((at === 0 ? TEXT : MORE) | (at === bytes.length - 1 ? 0x80 : 0), Buffer.from([byte])));
};
cases('6: UTF-8', [
  ...['κόσμε', '\u{10ffff}', '\u{fffd}\u{ffff}', '\u0000', 'a\u0300é😀'].map((text): Case => [
    `${JSON.stringify(text)} in fragments of one byte`,
    [...split(ask(text)), BYE],
    [answer(text), 'close 1000'],
  ]),
  ...[
    'c080',
    'c1bf',
    'e080af',
    'f08080af',
    'eda080',
    'edbfbf',
    'f4908080',
    'f5808080',
    'fe',
    'ff',
    '80',
    'bf',
    'c3',
    'e282',
    'f09f98',
    'c328',
    'e228a1',
  ].map((hex): Case => [
    `bytes ${hex}`,
    [clientFrame(TEXT, 'ab'), clientFrame(LAST, Buffer.from(hex, 'hex'))],
    ['close 1007 the text is not UTF-8'],
  ]),
]);

cases('7: goodbyes', [
  ['without a code', [clientFrame(CLOSE)], ['close']],
  ['with a reason of 123 bytes', [goodbye(1000, 'r'.repeat(123))], ['close 1000']],
  ['of 126 bytes', [goodbye(1000, 'r'.repeat(124))], ['close 1002 a control frame is longer than 125 bytes']],
  ['with half a code', [clientFrame(CLOSE, 'x')], ['close 1002 a close frame with half a code']],
  ['with a reason that is not UTF-8', [goodbye(1000, Buffer.from([0xce, 0xba, 0xff]))], ['close 1007 the close reason is not UTF-8']],
  ['twice', [BYE, BYE], ['close 1000']],
  ['and a message after it', [BYE, clientFrame(FIN_TEXT, ask('late'))], ['close 1000']],
  ['and a ping after it', [BYE, clientFrame(PING, 'late')], ['close 1000']],
  ...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999].map((code): Case => [
    `with ${code}`,
    [goodbye(code)],
    [`close ${code}`],
  ]),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map((code): Case => [
    `with ${code}, which nobody may send`,
    [goodbye(code)],
    ['close 1002 the close code is not valid'],
  ]),
]);

describe('the opening handshake and what comes with it', () => {
  it('reads frames that came in one piece with the request', async () => {
    const peer = await RawPeer.upgrade(server.port, {}, Buffer.concat([clientFrame(PING, 'early'), clientFrame(FIN_TEXT, ask('a')), BYE]));
    expect((await peer.toTheEnd()).map(told)).toEqual(['pong early', answer('a'), 'close 1000']);
    await peer.closed;
  });

  it('closes in order where what came with the request is broken', async () => {
    const peer = await RawPeer.upgrade(server.port, {}, Buffer.from([0xff, 0xff]));
    expect((await peer.toTheEnd()).map(told)).toEqual(['close 1002 reserved bits are set']);
    await peer.closed;
  });

  it.each([
    [{ Origin: 'https://evil.example.com' }, 403, 'ORIGIN_NOT_ALLOWED'],
    [{ Origin: 'null' }, 403, 'ORIGIN_NOT_ALLOWED'],
    [{ 'Sec-WebSocket-Version': '8' }, 426, 'Sec-WebSocket-Version: 13'],
    [{ 'Sec-WebSocket-Key': 'short' }, 400, 'Sec-WebSocket-Key'],
    [{ Upgrade: 'h2c' }, 400, 'Upgrade'],
  ])('refuses %j with %i, in HTTP, and lets go of the socket', async (headers, status, words) => {
    const peer = await RawPeer.upgrade(server.port, headers);
    await peer.toTheEnd();
    await peer.closed;
    expect(peer.head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(`${peer.head}${peer.body().toString()}`.toLowerCase()).toContain(words.toLowerCase());
  });

  it('leaves nothing behind', () => server.untilConnections(0));
});
