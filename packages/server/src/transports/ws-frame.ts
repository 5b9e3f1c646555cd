/**
 * Server-to-client WebSocket frames (RFC 6455 section 5.2): FIN set, no mask. Only the sending half; receiving is the `ws` library's.
 */
const TEXT = 0x81;

/** An empty ping frame. Shared: nobody may write to it. */
export const PING_FRAME: Buffer = Buffer.from([0x89, 0x00]);

/** Bytes that the header of a frame with this payload takes. */
export function headerLength(payload: number): number {
  return payload < 126 ? 2 : payload < 65_536 ? 4 : 10;
}

/** Writes the header of a text frame to the start of `target`; returns its length. */
export function writeTextHeader(target: Buffer, payload: number): number {
  target[0] = TEXT;
  if (payload < 126) {
    target[1] = payload;
    return 2;
  }
  if (payload < 65_536) {
    target[1] = 126;
    target.writeUInt16BE(payload, 2);
    return 4;
  }
  target[1] = 127;
  target.writeUInt32BE(Math.floor(payload / 4_294_967_296), 2);
  target.writeUInt32BE(payload >>> 0, 6);
  return 10;
}

export function textFrame(text: string): Buffer {
  const payload = Buffer.byteLength(text, 'utf8');
  const frame = Buffer.allocUnsafe(headerLength(payload) + payload);
  frame.write(text, writeTextHeader(frame, payload), 'utf8');
  return frame;
}

/** Calls `each` with the payload of every frame in a buffer of frames made here. */
export function eachPayload(frames: Buffer, each: (payload: Buffer) => void): void {
  let at = 0;
  while (at < frames.length) {
    const short = frames[at + 1]!;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length =
      short < 126
        ? short
        : short === 126
          ? frames.readUInt16BE(at + 2)
          : frames.readUInt32BE(at + 2) * 4_294_967_296 + frames.readUInt32BE(at + 6);
    each(frames.subarray(at + header, at + header + length));
    at += header + length;
  }
}
