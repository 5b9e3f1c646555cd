/** Bytes of a status line with its headers; 16 KiB is what Node's own parser takes. */
export const HEAD_MAX = 16_384;
/** Bytes of the line that says a chunk's size. */
const CHUNK_LINE_MAX = 1_024;

export type Reading =
  | { readonly kind: 'more' }
  /** The answer is whole. `reusable`: the connection may take another request. */
  | { readonly kind: 'whole'; readonly text: string; readonly reusable: boolean }
  | { readonly kind: 'too-large' }
  /** Not HTTP/1.1 as RFC 9112 has it; nothing that follows can be trusted. */
  | { readonly kind: 'broken'; readonly reason: string };

type Place = 'head' | 'length' | 'until-close' | 'chunk-size' | 'chunk-data' | 'chunk-end' | 'trailer';

const MORE: Reading = { kind: 'more' };

/**
 * Reads one answer of HTTP/1.1 (RFC 9112) from the bytes of a connection, as they come. Deciding only, no effects. Strict where leniency
 * lets two readers of one stream see different answers: two lengths, a length beside chunks, bytes after the end.
 */
export class HttpResponse {
  status = 0;
  contentType = '';
  /** Ms for which the server says that it keeps an idle connection; null: it does not say. */
  keepAliveMs: number | null = null;
  readonly #bytesMax: number;
  #place: Place = 'head';
  #held: Buffer | null = null;
  #left = 0;
  #bytes = 0;
  #pieces: Buffer[] = [];
  #persistent = true;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** `chunk` is read within the call and not kept: it may be a buffer that is filled again. */
  read(chunk: Buffer): Reading {
    const bytes = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = null;
    let at = 0;
    for (;;) {
      if (this.#place === 'head') {
        const end = bytes.indexOf('\r\n\r\n', at);
        if (end < 0) return bytes.length - at > HEAD_MAX ? broken('the head of the answer is too long') : this.#hold(bytes, at);
        if (end - at > HEAD_MAX) return broken('the head of the answer is too long');
        const wrong = this.#head(bytes.toString('latin1', at, end));
        if (wrong !== null) return broken(wrong);
        at = end + 4;
        // What is only said meanwhile (100, 103): the answer follows.
        if (this.status < 200) continue;
        if (this.#bytes + this.#left > this.#bytesMax) return { kind: 'too-large' };
        if (this.#isHere(bytes.length - at)) return this.#whole(bytes, at);
      } else if (this.#place === 'length' || this.#place === 'until-close' || this.#place === 'chunk-data') {
        const size = this.#place === 'until-close' ? bytes.length - at : Math.min(this.#left, bytes.length - at);
        this.#bytes += size;
        if (this.#bytes > this.#bytesMax) return { kind: 'too-large' };
        if (size > 0) this.#pieces.push(Buffer.from(bytes.subarray(at, at + size)));
        at += size;
        if (this.#place === 'until-close') return MORE;
        this.#left -= size;
        if (this.#left > 0) return MORE;
        if (this.#place === 'length') return this.#end(at === bytes.length);
        this.#place = 'chunk-end';
      } else {
        const line = bytes.indexOf('\r\n', at);
        if (line < 0)
          return bytes.length - at > (this.#place === 'trailer' ? HEAD_MAX : CHUNK_LINE_MAX)
            ? broken('a chunk line is too long')
            : this.#hold(bytes, at);
        const text = bytes.toString('latin1', at, line);
        at = line + 2;
        if (this.#place === 'trailer') {
          if (text === '') return this.#end(at === bytes.length);
        } else if (this.#place === 'chunk-end') {
          if (text !== '') return broken('a chunk is longer than it says');
          this.#place = 'chunk-size';
        } else if (!this.#chunkSize(text)) return broken('a chunk has no size');
      }
    }
  }

  /** The server has closed the connection. Only an answer without a length ends so. */
  ended(): Reading {
    return this.#place === 'until-close' ? this.#end(false) : broken('the connection was closed before the answer was whole');
  }

  /** The body, of a known length, came with its head. */
  #isHere(size: number): boolean {
    return this.#place === 'length' && size >= this.#left;
  }

  #hold(bytes: Buffer, at: number): Reading {
    if (at < bytes.length) this.#held = Buffer.from(bytes.subarray(at));
    return MORE;
  }

  /** The usual case: nothing is copied but the text. */
  #whole(bytes: Buffer, at: number): Reading {
    const end = at + this.#left;
    return { kind: 'whole', text: bytes.toString('utf8', at, end), reusable: this.#persistent && end === bytes.length };
  }

  #end(nothingAfter: boolean): Reading {
    const text = Buffer.concat(this.#pieces).toString('utf8');
    return { kind: 'whole', text, reusable: this.#persistent && nothingAfter && this.#place !== 'until-close' };
  }

  #chunkSize(line: string): boolean {
    const size = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(line)?.[1];
    if (size === undefined) return false;
    this.#left = Number.parseInt(size, 16);
    this.#place = this.#left === 0 ? 'trailer' : 'chunk-data';
    return true;
  }

  /** Null where it is one. */
  #head(text: string): string | null {
    const status = /^HTTP\/1\.([01]) (\d{3})(?: |$|\r)/.exec(text);
    if (!status) return 'the answer is not HTTP/1.1';
    this.status = Number(status[2]);
    if (this.status === 101) return 'the answer changes the protocol';
    this.#persistent = status[1] === '1';
    this.contentType = '';
    let length: string | null = null;
    let encoding: string | null = null;
    for (let at = text.indexOf('\r\n'); at >= 0;) {
      const next = text.indexOf('\r\n', at + 2);
      const colon = text.indexOf(':', at + 2);
      if (colon < 0 || (next >= 0 && colon > next)) return 'a header of the answer has no colon';
      const name = text.slice(at + 2, colon).toLowerCase();
      const value = (): string => text.slice(colon + 1, next < 0 ? text.length : next).trim();
      if (name === 'content-length') {
        const given = value();
        if (!/^\d{1,15}$/.test(given) || (length !== null && length !== given)) return 'the answer has no usable length';
        length = given;
      } else if (name === 'content-type') this.contentType = value();
      else if (name === 'transfer-encoding') encoding = encoding === null ? value().toLowerCase() : 'several';
      else if (name === 'connection') this.#connection(value().toLowerCase());
      else if (name === 'keep-alive') this.#keepAlive(value());
      at = next;
    }
    return this.#framing(length, encoding);
  }

  #framing(length: string | null, encoding: string | null): string | null {
    if (this.status < 200) return null;
    if (encoding !== null) {
      if (encoding !== 'chunked') return 'the answer has a transfer encoding other than chunked';
      if (length !== null) return 'the answer has both a length and chunks';
      this.#place = 'chunk-size';
      return null;
    }
    const empty = this.status === 204 || this.status === 304;
    this.#place = length !== null || empty ? 'length' : 'until-close';
    this.#left = empty ? 0 : Number(length ?? 0);
    return null;
  }

  #connection(value: string): void {
    const tokens = new Set(value.split(',').map((token) => token.trim()));
    if (tokens.has('close')) this.#persistent = false;
    else if (tokens.has('keep-alive')) this.#persistent = true;
  }

  #keepAlive(value: string): void {
    const seconds = /(?:^|[ ,;])timeout=(\d{1,9})/i.exec(value)?.[1];
    if (seconds !== undefined) this.keepAliveMs = Number(seconds) * 1000;
  }
}

function broken(reason: string): Reading {
  return { kind: 'broken', reason };
}
