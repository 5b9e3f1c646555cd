/** Where a WebSocket stream stands between two chunks. One per socket, so it holds numbers and nothing else. */
export type FrameState = {
  /** Bytes of the present frame's payload still to come. */
  left: number;
  /** Its opcode. */
  opcode: number;
  /** A header that was cut by a chunk's end; null almost always. */
  head: Buffer | null;
  /** The index of the socket. */
  readonly index: number;
};

export interface FrameSink {
  /** A frame begins; its payload is at `chunk[start]`, of which `length` bytes are in this chunk. */
  frame(opcode: number, chunk: Buffer, start: number, length: number, whole: boolean, state: FrameState): void;
}

/** Walks the headers of unmasked frames (RFC 6455, 5.2) and skips over what they carry. */
export function readFrames(state: FrameState, given: Buffer, size: number, sink: FrameSink): void {
  let chunk = given;
  let end = size;
  if (state.head !== null) {
    chunk = Buffer.concat([state.head, given.subarray(0, size)]);
    end = chunk.length;
    state.head = null;
  }
  let at = 0;
  while (at < end) {
    if (state.left > 0) {
      const skipped = Math.min(state.left, end - at);
      state.left -= skipped;
      at += skipped;
      continue;
    }
    const next = header(state, chunk, at, end);
    if (next < 0) {
      state.head = Buffer.from(chunk.subarray(at, end));
      return;
    }
    const length = Math.min(state.left, end - next);
    sink.frame(state.opcode, chunk, next, length, length === state.left, state);
    state.left -= length;
    at = next + length;
  }
}

/** Reads one header into the state; returns where the payload begins, or -1 where the header is not complete. */
function header(state: FrameState, chunk: Buffer, at: number, end: number): number {
  if (end - at < 2) return -1;
  const short = chunk[at + 1]! & 0x7f;
  const size = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (end - at < size) return -1;
  state.opcode = chunk[at]! & 0x0f;
  state.left = short < 126 ? short : short === 126 ? chunk.readUInt16BE(at + 2) : chunk.readUInt32BE(at + 6);
  return at + size;
}

/** A client's frame, masked with zeros: allowed by RFC 6455 and left as it is. */
export function clientFrame(text: string | Buffer, opcode = 1): Buffer {
  const payload = Buffer.from(text);
  const size = payload.length;
  const head = Buffer.alloc((size < 126 ? 2 : 4) + 4);
  head[0] = 0x80 | opcode;
  if (size < 126) head[1] = 0x80 | size;
  else {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(size, 2);
  }
  return Buffer.concat([head, payload]);
}

/** A server's text frame. */
export function serverFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const size = payload.length;
  const head = Buffer.alloc(size < 126 ? 2 : 4);
  head[0] = 0x81;
  if (size < 126) head[1] = size;
  else {
    head[1] = 126;
    head.writeUInt16BE(size, 2);
  }
  return Buffer.concat([head, payload]);
}
