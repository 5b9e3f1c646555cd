import { randomBytes } from 'node:crypto';
import { type Socket, connect } from 'node:net';
import { clientFrame, type FrameSink, type FrameState, readFrames } from './frames.ts';

const MESSAGE_PING = clientFrame('{"type":"ping"}');
const EMPTY_PONG = clientFrame('', 10);
const CLOSE = 8;
const PING = 9;

/** All sockets of a process read into one buffer: nothing is allocated per chunk. */
const SHARED = Buffer.alloc(262_144);

export interface SocketOwner extends FrameSink {
  /** A chunk has been read by a socket that is only being counted. */
  chunk(bytes: number): void;
  failed(why: string): void;
}

type Step = 'connecting' | 'upgrading' | 'waiting for connection_ack' | 'ready' | 'subscribing' | 'counting';

/** One raw client. It reads with care until it is subscribed; then it counts. */
export class GeneratorSocket {
  readonly state: FrameState;
  readonly #socket: Socket;
  readonly #owner: SocketOwner;
  #step: Step = 'connecting';
  #text = '';
  #done: () => void = () => undefined;
  readonly #init: string | null;
  readonly #sink: FrameSink;

  constructor(url: URL, index: number, init: string | null, owner: SocketOwner) {
    this.state = { left: 0, opcode: 0, head: null, index };
    this.#owner = owner;
    this.#init = init;
    this.#sink = { frame: (opcode, chunk, start, length) => this.#handshakeFrame(opcode, chunk.toString('latin1', start, start + length)) };
    this.#socket = connect({
      host: url.hostname,
      port: Number(url.port),
      // Several addresses, so that no pair of addresses runs out of ports, and no limit per address is met.
      localAddress: `127.0.0.${2 + (index % 12)}`,
      onread: { buffer: SHARED, callback: (size) => this.#read(size) },
    });
    this.#socket.setNoDelay(true);
    this.#socket.on('connect', () => this.#connected(url));
    this.#socket.on('error', (error) => owner.failed(`socket ${index}, ${this.#step}: ${error.message}`));
    this.#socket.on('close', () =>
      owner.failed(`socket ${index} was closed by the server, ${this.#step}; it said ${this.#text.slice(0, 300)}`),
    );
  }

  /** Resolves when the server has acknowledged the connection. */
  opened(): Promise<void> {
    return new Promise((resolve) => void (this.#done = resolve));
  }

  /** Resolves when the server has read all of `frames`, as a pong after them tells. */
  subscribe(frames: Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.#step = 'subscribing';
      this.#done = resolve;
      this.#socket.write(Buffer.concat([frames, MESSAGE_PING]));
    });
  }

  count(): void {
    this.#step = 'counting';
  }

  pong(): void {
    this.#socket.write(EMPTY_PONG);
  }

  #connected(url: URL): void {
    if (url.protocol === 'net:') return this.#finish('counting');
    this.#step = 'upgrading';
    this.#socket.write(
      `GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n` +
        `${this.#init === null ? '' : 'Sec-WebSocket-Protocol: graphql-transport-ws\r\n'}\r\n`,
    );
  }

  #read(size: number): boolean {
    if (this.#step === 'counting') {
      readFrames(this.state, SHARED, size, this.#owner);
      this.#owner.chunk(size);
    } else if (this.#step === 'upgrading') this.#upgrade(size);
    else readFrames(this.state, SHARED, size, this.#sink);
    return true;
  }

  #upgrade(size: number): void {
    this.#text += SHARED.toString('latin1', 0, size);
    const end = this.#text.indexOf('\r\n\r\n');
    if (end < 0) return;
    if (!this.#text.startsWith('HTTP/1.1 101')) return this.#owner.failed(`no upgrade: ${this.#text.slice(0, 300)}`);
    const rest = Buffer.from(this.#text.slice(end + 4), 'latin1');
    this.#text = '';
    if (this.#init === null) return this.#finish('counting');
    this.#step = 'waiting for connection_ack';
    this.#socket.write(clientFrame(`{"type":"connection_init","payload":${this.#init}}`));
    if (rest.length > 0) readFrames(this.state, rest, rest.length, this.#sink);
  }

  #handshakeFrame(opcode: number, text: string): void {
    if (opcode === PING) return this.pong();
    if (opcode === CLOSE) return this.#owner.failed(`socket ${this.state.index}, ${this.#step}: closed with ${JSON.stringify(text)}`);
    // A message that was cut by a chunk's end comes in pieces; these two are short and come whole.
    if (this.#step === 'waiting for connection_ack' && text.includes('connection_ack')) this.#finish('ready');
    else if (this.#step === 'subscribing' && text.includes('"pong"')) this.#finish('counting');
    else if (text.includes('"type":"error"')) this.#owner.failed(`socket ${this.state.index}: ${text.slice(0, 500)}`);
  }

  #finish(step: Step): void {
    this.#step = step;
    this.#done();
  }
}
