import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export type ServerFrame = { readonly first: number; readonly payload: Buffer };

export const UPGRADE_HEADERS: Readonly<Record<string, string>> = {
  Host: 'a',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol': 'graphql-transport-ws',
};

/** A frame of a client: masked, `first` its first byte, whatever that says. */
export function clientFrame(first: number, payload: Buffer | string = '', mask = Buffer.from([1, 2, 3, 4])): Buffer {
  const data = Buffer.from(payload as string, 'utf8').map((byte, at) => byte ^ mask[at & 3]!);
  const length = data.length;
  if (length < 126) return Buffer.concat([Buffer.from([first, 0x80 | length]), mask, data]);
  if (length < 65_536) return Buffer.concat([Buffer.from([first, 0xfe, length >> 8, length & 255]), mask, data]);
  const head = Buffer.from([first, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32BE(length, 6);
  return Buffer.concat([head, mask, data]);
}

/** A WebSocket client that says just the bytes it is told to, and keeps the frames it hears. */
export class RawPeer {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  /** The answer's head, when it has come. */
  head = '';
  #received: Buffer[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true).on('error', () => undefined);
    this.closed = once(socket, 'close');
    socket.on('data', (chunk: Buffer) => this.#received.push(chunk));
  }

  /** Says the upgrade request, with `headers` beside or instead of the usual ones and `after` in the same piece. */
  static async upgrade(port: number, headers: Readonly<Record<string, string>> = {}, after: Buffer = Buffer.alloc(0)): Promise<RawPeer> {
    const peer = new RawPeer(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
    const lines = Object.entries({ ...UPGRADE_HEADERS, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    peer.socket.write(Buffer.concat([Buffer.from(`GET /graphql HTTP/1.1\r\n${lines.join('')}\r\n`), after]));
    let bytes = Buffer.concat(peer.#received);
    while (!bytes.includes('\r\n\r\n')) {
      await once(peer.socket, 'data');
      bytes = Buffer.concat(peer.#received);
    }
    const end = bytes.indexOf('\r\n\r\n') + 4;
    peer.head = bytes.toString('latin1', 0, end);
    peer.#received = [bytes.subarray(end)];
    return peer;
  }

  /** What has come after the head, as it is. */
  body(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** Whole frames that have come so far. */
  frames(): readonly ServerFrame[] {
    const bytes = Buffer.concat(this.#received);
    const frames: ServerFrame[] = [];
    let at = 0;
    while (at + 2 <= bytes.length) {
      const short = bytes[at + 1]!;
      const head = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (at + head > bytes.length) break;
      const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : bytes.readUInt32BE(at + 6);
      if (at + head + length > bytes.length) break;
      frames.push({ first: bytes[at]!, payload: bytes.subarray(at + head, at + head + length) });
      at += head + length;
    }
    return frames;
  }

  /** Waits until so many whole frames have come. */
  async heard(count: number): Promise<readonly ServerFrame[]> {
    for (;;) {
      const frames = this.frames();
      if (frames.length >= count) return frames;
      await once(this.socket, 'data');
    }
  }

  /** In pieces of `size` bytes, each of which has left before the next. */
  async say(bytes: Buffer, size = bytes.length): Promise<void> {
    for (let at = 0; at < bytes.length && !this.socket.destroyed; at += size) {
      await new Promise<void>((resolve) => this.socket.write(bytes.subarray(at, at + size), () => resolve()));
    }
  }

  /** All frames, when the server has ended its half; then ours ends too. */
  async toTheEnd(): Promise<readonly ServerFrame[]> {
    if (!this.socket.readableEnded) await once(this.socket, 'end');
    this.socket.end();
    return this.frames();
  }
}
