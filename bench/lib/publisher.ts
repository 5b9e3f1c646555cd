import { type Socket, connect } from 'node:net';

type Waiting = { resolve(status: number): void; reject(error: Error): void };

/** Servers close idle connections after some seconds, and a request may meet the closing: after this much rest a new one is opened. */
const REST_MS = 1_000;

/**
 * One keep-alive connection that posts and reads status lines: no more of HTTP than the answer's end. One request at a time.
 */
export class Publisher implements Disposable {
  readonly #host: string;
  readonly #port: number;
  readonly #head: string;
  #socket: Socket | null = null;
  #answer = '';
  #lastUsed = 0;
  #waiting: Waiting | null = null;

  constructor(url: string, bearer: string) {
    const { hostname, port, pathname, search } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
    this.#head =
      `POST ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Type: application/json\r\n` +
      `Authorization: Bearer ${bearer}\r\nContent-Length: `;
  }

  /** Resolves when the answer is there. Rejects where it is not 2xx, and where the connection ends before. */
  async post(body: unknown): Promise<void> {
    const text = JSON.stringify(body);
    const answered = new Promise<number>((resolve, reject) => void (this.#waiting = { resolve, reject }));
    if (this.#socket !== null && performance.now() - this.#lastUsed > REST_MS) this.#rest(this.#socket);
    this.#lastUsed = performance.now();
    this.#socket ??= this.#open();
    this.#socket.write(`${this.#head}${Buffer.byteLength(text)}\r\n\r\n${text}`);
    const status = await answered;
    this.#lastUsed = performance.now();
    if (status < 200 || status > 299) throw new Error(`an event was answered with ${status}`);
  }

  [Symbol.dispose](): void {
    this.#socket?.removeAllListeners('close').destroy();
  }

  #rest(socket: Socket): void {
    this.#socket = null;
    this.#answer = '';
    socket.destroy();
  }

  #open(): Socket {
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true });
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#read(text));
    socket.on('error', (error) => this.#closed(socket, error));
    socket.on('close', () => this.#closed(socket, new Error('the server closed the connection of a publisher that waited for its answer')));
    return socket;
  }

  #read(text: string): void {
    this.#answer += text;
    const headers = this.#answer.indexOf('\r\n\r\n');
    if (headers < 0) return;
    const length = /content-length: (\d+)/i.exec(this.#answer.slice(0, headers));
    const end = headers + 4 + Number(length?.[1] ?? 0);
    if (this.#answer.length < end) return;
    const status = Number(this.#answer.slice(9, 12));
    this.#answer = this.#answer.slice(end);
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(status);
  }

  #closed(socket: Socket, error: Error): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#answer = '';
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(error);
  }
}
