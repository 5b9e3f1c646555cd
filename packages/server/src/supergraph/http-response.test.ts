import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HttpResponse, type Reading } from './http-response.ts';

const BODY = '{"data":{"name":"Göteborg","n":1}}';

/** Feeds the text in pieces that end at `cuts`, through one buffer that is filled again, as a socket's is. */
function read(
  text: string,
  cuts: readonly number[] = [],
  bytesMax = 10_000,
): { readonly reading: Reading; readonly response: HttpResponse } {
  const bytes = Buffer.from(text);
  const response = new HttpResponse(bytesMax);
  const buffer = Buffer.alloc(bytes.length);
  let reading: Reading = { kind: 'more' };
  let from = 0;
  for (const to of [...new Set([...cuts, bytes.length])].filter((cut) => cut <= bytes.length).sort((a, b) => a - b)) {
    if (reading.kind !== 'more') break;
    bytes.copy(buffer, 0, from, to);
    reading = response.read(buffer.subarray(0, to - from));
    buffer.fill(0);
    from = to;
  }
  return { reading, response };
}

const withLength = (body: string, head = ''): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const chunked = (...pieces: readonly string[]): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${pieces.map((piece) => `${Buffer.byteLength(piece).toString(16)};ext=1\r\n${piece}\r\n`).join('')}0\r\nX-Trailer: 1\r\n\r\n`;

describe('the answer of a subgraph, read from a connection', () => {
  it.each([
    ['a length', withLength(BODY)],
    ['chunks, extensions and trailers', chunked(BODY.slice(0, 5), BODY.slice(5, 20), BODY.slice(20))],
    ['interim answers before it', `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${withLength(BODY)}`],
  ])('is the same however the bytes are cut, with %s', (_name, text) => {
    const size = Buffer.byteLength(text);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: size }), { maxLength: 12 }), (cuts) => {
        const { reading, response } = read(text, cuts);
        expect(reading).toEqual({ kind: 'whole', text: BODY, reusable: true });
        expect([response.status, response.contentType]).toEqual([200, 'application/json']);
      }),
    );
  });

  it('ends with the connection where it has no length, and only there', () => {
    const { reading, response } = read(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n${BODY}`, [30, 80]);
    expect(reading).toEqual({ kind: 'more' });
    expect(response.ended()).toEqual({ kind: 'whole', text: BODY, reusable: false });
    expect(read(withLength(BODY).slice(0, -3)).response.ended().kind).toBe('broken');
    expect(read(chunked(BODY).slice(0, -2)).response.ended().kind).toBe('broken');
    expect(new HttpResponse(100).ended().kind).toBe('broken');
  });

  it('leaves a connection that is not to be used again', () => {
    const reusable = (text: string): boolean => {
      const { reading } = read(text);
      return reading.kind === 'whole' && reading.reusable;
    };
    expect(reusable(withLength(BODY, 'Connection: close\r\n'))).toBe(false);
    expect(reusable(withLength(BODY).replace('HTTP/1.1', 'HTTP/1.0'))).toBe(false);
    expect(reusable(withLength(BODY, 'Connection: keep-alive\r\n').replace('HTTP/1.1', 'HTTP/1.0'))).toBe(true);
    // What follows would be taken for the next answer.
    expect(reusable(`${withLength(BODY)}HTTP/1.1 200 OK\r\n`)).toBe(false);
    expect(read(withLength(BODY, 'Keep-Alive: timeout=5, max=100\r\n')).response.keepAliveMs).toBe(5000);
    expect(reusable('HTTP/1.1 204 No Content\r\n\r\n')).toBe(true);
  });

  it.each([
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n'],
    ['two lengths', withLength(BODY, 'content-length: 3\r\n')],
    ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'],
    ['a length beside chunks', chunked(BODY).replace('content-type: application/json', 'content-length: 5')],
    ['an encoding besides chunked', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\ncontent-length: 0\r\n\r\n'],
    ['a chunk without a size', chunked(BODY).replace('\r\n\r\n', '\r\n\r\nzz\r\n')],
    ['a chunk longer than it says', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n'],
    ['a head without an end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`],
    ['a chunk line without an end', `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;${'y'.repeat(2_000)}`],
  ])('is refused with %s', (_name, text) => {
    expect(read(text).reading.kind).toBe('broken');
  });

  it('is left as soon as it is larger than allowed, whatever it says of its length', () => {
    const large = 'x'.repeat(600);
    expect(read(withLength(large), [], 500).reading.kind).toBe('too-large');
    expect(read(withLength(large).slice(0, 90), [], 500).reading.kind).toBe('too-large');
    expect(read(chunked(large.slice(0, 300), large.slice(300)), [], 500).reading.kind).toBe('too-large');
    expect(read(`HTTP/1.1 200 OK\r\n\r\n${large}`, [100, 200, 300], 500).reading.kind).toBe('too-large');
    expect(read(withLength(large), [], 600).reading.kind).toBe('whole');
  });

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, afterHead) => {
        const response = new HttpResponse(1_000);
        if (afterHead) response.read(Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'));
        expect(['more', 'whole', 'broken', 'too-large']).toContain(response.read(Buffer.from(bytes)).kind);
      }),
    );
  });
});
