import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { eachPayload, headerLength, writeTextHeader } from '../ws-frame.ts';
import { SERVER_WINDOW_BITS } from './handshake.ts';

/** Shorter payloads gain nothing. */
const LEAST = 1_024;
/** Longer ones would hold up everybody else for more than a few ms. */
const MOST = 1_048_576;
/** RFC 7692 section 7.2.1: a message ends in an empty block whose last four bytes are not sent. */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);
const RSV1 = 0x40;
/** About 13 KB while it works: levels above gain a few percent and cost twice. */
const OPTIONS = { level: 3, memLevel: 5, windowBits: SERVER_WINDOW_BITS, finishFlush: constants.Z_SYNC_FLUSH } as const;

/** Those who get the same frame get the same compressed one; gone with the frame. */
const compressed = new WeakMap<Buffer, Buffer>();

/** Frames made by ws-frame.ts, each text of a worthwhile length compressed. Once for each buffer, however many connections it goes to. */
export function deflated(frames: Buffer): Buffer {
  const known = compressed.get(frames);
  if (known) return known;
  const parts: Buffer[] = [];
  eachPayload(frames, (payload) => parts.push(...frameOf(payload)));
  const result = parts.length === 0 ? frames : Buffer.concat(parts);
  compressed.set(frames, result);
  return result;
}

function frameOf(payload: Buffer): readonly Buffer[] {
  const worthwhile = payload.length >= LEAST && payload.length <= MOST;
  const whole = worthwhile ? deflateRawSync(payload, OPTIONS) : null;
  const body = whole && whole.length - TAIL.length < payload.length ? whole.subarray(0, whole.length - TAIL.length) : null;
  const header = Buffer.allocUnsafe(headerLength((body ?? payload).length));
  writeTextHeader(header, (body ?? payload).length);
  if (body) header[0]! |= RSV1;
  return [header, body ?? payload];
}

export type Inflated = { readonly kind: 'data'; readonly data: Buffer } | { readonly kind: 'too big' } | { readonly kind: 'broken' };

/** One message of the client, at most `maxBytes` when inflated: a bomb ends there. */
export function inflated(message: Buffer, maxBytes: number): Inflated {
  try {
    const data = inflateRawSync(Buffer.concat([message, TAIL]), { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: maxBytes });
    return { kind: 'data', data };
  } catch (thrown) {
    return { kind: (thrown as { readonly code?: string }).code === 'ERR_BUFFER_TOO_LARGE' ? 'too big' : 'broken' };
  }
}
