import { isUtf8 } from 'node:buffer';

/** What a reader finds, in the order in which it came. Buffers are the receiver's own; a reader keeps nothing of what it has handed out. */
export interface FrameSink {
  /** A whole message. Text has been checked to be UTF-8; `compressed` (RFC 7692) has not, since it is checked after inflating. */
  onMessage(data: Buffer, opcode: typeof TEXT | typeof BINARY, compressed: boolean): void;
  onPing(data: Buffer): void;
  onPong(): void;
  /** A valid close frame; `code` is 1005 where it had none. Nothing is read after it. */
  onClose(code: number): void;
  /** The peer broke the protocol. Nothing is read after it. */
  onViolation(violation: Violation): void;
}

/** `code` is the close code that RFC 6455 section 7.4.1 gives it. */
export type Violation = { readonly code: 1002 | 1007 | 1009; readonly reason: string };

export type ReaderLimits = {
  /** Bytes of a message, all its fragments together. */
  readonly maxMessageBytes: number;
  /** Fragments of a message: empty ones cost the peer six bytes and would go on for ever. */
  readonly maxFragments: number;
  /** permessage-deflate has been negotiated: the first frame of a message may have RSV1 set. */
  readonly compression: boolean;
};

export const TEXT = 1;
export const BINARY = 2;
const CONTINUATION = 0;
const PING = 9;
const PONG = 10;

const FIN = 0x80;
const RSV1 = 0x40;
const RSV2_RSV3 = 0x30;
const MASKED = 0x80;
const MAX_CONTROL = 125;
/** Of a frame that arrives in pieces, so much room is made at first: what was only announced costs nothing yet. */
const FIRST_ROOM = 1_024;
const NOTHING: Buffer = Buffer.alloc(0);

/**
 * The receiving half of RFC 6455 for a server: client frames out of chunks that are cut anywhere. A frame that lies in one chunk is unmasked
 * where it lies. Everything else is collected in a buffer that grows with what has arrived, twice at most: neither an announced length nor
 * single bytes nor fragments make the reader hold or copy more than about twice what the peer sent, bounded by `maxMessageBytes`.
 *
 * Between messages a reader has no state, so that connections at rest share one: see `resting`.
 */
export class FrameReader {
  readonly #limits: ReaderLimits;
  /** A header that a chunk's end has cut: at most 14 bytes. */
  #head: Buffer = NOTHING;
  #opcode = 0;
  #fin = false;
  /** Payload bytes of the frame at hand that are still to come; -1 between frames. */
  #left = -1;
  #mask = NOTHING;
  #maskAt = 0;
  /** What has arrived of a message in several frames or chunks. */
  #message: Buffer = NOTHING;
  #messageLength = 0;
  /** Of the message at hand; 0 between messages. */
  #messageOpcode: 0 | typeof TEXT | typeof BINARY = 0;
  #compressed = false;
  #fragments = 0;
  /** What has arrived of a control frame that a chunk's end has cut. */
  #control: Buffer = NOTHING;
  #controlLength = 0;
  #ended = false;

  constructor(limits: ReaderLimits) {
    this.#limits = limits;
  }

  /** Between messages: the next chunk may come from another connection. */
  get resting(): boolean {
    return this.#left < 0 && this.#messageOpcode === 0 && this.#head.length === 0 && !this.#ended;
  }

  /** Reads `chunk`, which is the reader's to change from here on. Calls `sink` within; never throws by itself. */
  read(chunk: Buffer, sink: FrameSink): void {
    let at = 0;
    while (!this.#ended && (at < chunk.length || this.#left === 0)) {
      if (this.#left < 0) at = this.#readHeader(chunk, at, sink);
      else at = this.#readPayload(chunk, at, sink);
    }
  }

  // ---- the header -----------------------------------------------------------------------------------------------------------

  #readHeader(chunk: Buffer, from: number, sink: FrameSink): number {
    let bytes = chunk;
    let at = from;
    const held = this.#head.length;
    if (held > 0) {
      // At most 13 bytes are held, so this copies a few.
      bytes = Buffer.concat([this.#head, chunk.subarray(from, from + 14 - held)]);
      at = 0;
    }
    const length = headerLength(bytes, at);
    if (length === 0 || at + length > bytes.length) {
      // What is wrong in the first two bytes is told before the rest of the header has come.
      if (bytes.length - at >= 2 && !this.#acceptable(bytes[at]!, bytes[at + 1]!, sink)) return chunk.length;
      this.#head = Buffer.from(bytes.subarray(at));
      return chunk.length;
    }
    this.#head = NOTHING;
    if (this.#acceptable(bytes[at]!, bytes[at + 1]!, sink)) this.#begin(bytes, at, length, sink);
    return from + length - held;
  }

  #acceptable(first: number, second: number, sink: FrameSink): boolean {
    const wrong = this.#wrongIn(first, second);
    if (wrong === null) return true;
    this.#violate(sink, 1002, wrong);
    return false;
  }

  /** RFC 6455 section 5.2, as far as the first two bytes tell. */
  #wrongIn(first: number, second: number): string | null {
    const opcode = first & 0x0f;
    const control = opcode >= 8;
    if ((first & RSV2_RSV3) !== 0) return 'reserved bits are set';
    if ((first & RSV1) !== 0 && (!this.#limits.compression || control || opcode === CONTINUATION)) return 'reserved bits are set';
    if ((second & MASKED) === 0) return 'a frame of the client is not masked';
    if (control) {
      if (opcode > PONG) return 'the opcode is reserved';
      if ((first & FIN) === 0) return 'a control frame is fragmented';
      return (second & 0x7f) > MAX_CONTROL ? 'a control frame is longer than 125 bytes' : null;
    }
    if (opcode > BINARY) return 'the opcode is reserved';
    if (opcode === CONTINUATION) return this.#messageOpcode === 0 ? 'a continuation without a beginning' : null;
    return this.#messageOpcode === 0 ? null : 'a new message before the end of the last';
  }

  #begin(bytes: Buffer, at: number, length: number, sink: FrameSink): void {
    const first = bytes[at]!;
    const payload = payloadLength(bytes, at);
    this.#opcode = first & 0x0f;
    this.#fin = (first & FIN) !== 0;
    this.#mask = bytes.subarray(at + length - 4, at + length);
    this.#maskAt = 0;
    this.#left = payload;
    if (this.#opcode >= 8) return;
    if (this.#opcode !== CONTINUATION) {
      this.#messageOpcode = this.#opcode === TEXT ? TEXT : BINARY;
      this.#compressed = (first & RSV1) !== 0;
      this.#fragments = 0;
    }
    this.#fragments += 1;
    const { maxMessageBytes, maxFragments } = this.#limits;
    // Also where the 64-bit length has its top bit set: what is announced is refused before any of it arrives.
    if (payload > maxMessageBytes - this.#messageLength) this.#violate(sink, 1009, 'Message too big');
    else if (this.#fragments > maxFragments) this.#violate(sink, 1009, 'the message has too many fragments');
  }

  // ---- the payload ----------------------------------------------------------------------------------------------------------

  #readPayload(chunk: Buffer, at: number, sink: FrameSink): number {
    const take = Math.min(this.#left, chunk.length - at);
    const part = chunk.subarray(at, at + take);
    unmask(part, this.#mask, this.#maskAt);
    this.#maskAt = (this.#maskAt + take) & 3;
    this.#left -= take;
    const done = this.#left === 0;
    // The mask may lie in this chunk, which the frame must not keep.
    if (!done) this.#mask = Buffer.from(this.#mask);
    if (this.#opcode >= 8) this.#takeControl(part, done, sink);
    else this.#takeData(part, done, sink);
    return at + take;
  }

  #takeControl(part: Buffer, done: boolean, sink: FrameSink): void {
    let payload = part;
    if (!done || this.#controlLength > 0) {
      if (this.#control.length === 0) this.#control = Buffer.allocUnsafe(MAX_CONTROL);
      part.copy(this.#control, this.#controlLength);
      this.#controlLength += part.length;
      payload = this.#control.subarray(0, this.#controlLength);
    }
    if (!done) return;
    this.#left = -1;
    this.#control = NOTHING;
    this.#controlLength = 0;
    if (this.#opcode === PING) sink.onPing(payload);
    else if (this.#opcode === PONG) sink.onPong();
    else this.#close(payload, sink);
  }

  #takeData(part: Buffer, done: boolean, sink: FrameSink): void {
    const last = done && this.#fin;
    let data = part;
    if (!last || this.#messageLength > 0) {
      this.#append(part);
      data = this.#message.subarray(0, this.#messageLength);
    }
    if (done) this.#left = -1;
    if (!last) return;
    const opcode = this.#messageOpcode === TEXT ? TEXT : BINARY;
    const compressed = this.#compressed;
    this.#messageOpcode = 0;
    this.#message = NOTHING;
    this.#messageLength = 0;
    if (opcode === TEXT && !compressed && !isUtf8(data)) return this.#violate(sink, 1007, 'the text is not UTF-8');
    sink.onMessage(data, opcode, compressed);
  }

  #append(part: Buffer): void {
    const needed = this.#messageLength + part.length;
    if (needed > this.#message.length) {
      const deserved = Math.max(FIRST_ROOM, needed * 2);
      // What is known to come, but no more than what has arrived deserves. After a fragment more is to come: room for just this one would have every
      // fragment copy all before it.
      const expected = Math.min(this.#fin ? needed + this.#left : this.#limits.maxMessageBytes, deserved);
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, expected));
      this.#message.copy(grown, 0, 0, this.#messageLength);
      this.#message = grown;
    }
    part.copy(this.#message, this.#messageLength);
    this.#messageLength = needed;
  }

  /** RFC 6455 sections 5.5.1 and 7.4. */
  #close(payload: Buffer, sink: FrameSink): void {
    if (payload.length === 1) return this.#violate(sink, 1002, 'a close frame with half a code');
    const code = payload.length === 0 ? 1005 : payload.readUInt16BE(0);
    if (payload.length > 0 && !mayBeSent(code)) return this.#violate(sink, 1002, 'the close code is not valid');
    if (payload.length > 2 && !isUtf8(payload.subarray(2))) return this.#violate(sink, 1007, 'the close reason is not UTF-8');
    this.#ended = true;
    sink.onClose(code);
  }

  #violate(sink: FrameSink, code: Violation['code'], reason: string): void {
    this.#ended = true;
    this.#message = NOTHING;
    sink.onViolation({ code, reason });
  }
}

/** Bytes of the header that begins at `at`, mask included; 0 where its second byte has not come. */
function headerLength(bytes: Buffer, at: number): number {
  if (bytes.length - at < 2) return 0;
  const short = bytes[at + 1]! & 0x7f;
  return short < 126 ? 6 : short === 126 ? 8 : 14;
}

/** A length beyond 2^53 is above any limit; doubles are near enough to see that. */
function payloadLength(bytes: Buffer, at: number): number {
  const short = bytes[at + 1]! & 0x7f;
  if (short < 126) return short;
  if (short === 126) return bytes.readUInt16BE(at + 2);
  return bytes.readUInt32BE(at + 2) * 4_294_967_296 + bytes.readUInt32BE(at + 6);
}

function unmask(data: Buffer, mask: Buffer, from: number): void {
  const key = [mask[from & 3]!, mask[(from + 1) & 3]!, mask[(from + 2) & 3]!, mask[(from + 3) & 3]!] as const;
  for (let at = 0; at < data.length; at += 1) data[at]! ^= key[at & 3]!;
}

/** Codes that may stand in a close frame: RFC 6455 section 7.4 and the IANA registry. */
export function mayBeSent(code: number): boolean {
  if (code >= 3_000) return code <= 4_999;
  return code >= 1_000 && code <= 1_014 && code !== 1_004 && code !== 1_005 && code !== 1_006;
}
