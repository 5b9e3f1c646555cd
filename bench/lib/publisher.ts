import { type Socket, connect } from 'node:net';

/** One keep-alive connection that posts and reads status lines: no more of HTTP than the answer's end. One request at a time. */
export class Publisher implements Disposable {
  readonly #socket: Socket;
  readonly #head: string;
  #answer = '';
  #waiting: { resolve(status: number): void; reject(error: Error): void } | null = null;

  private constructor(socket: Socket, head: string) {
    this.#socket = socket;
    this.#head = head;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#read(text));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error(`the server closed the publisher's connection; it had answered ${this.#answer}`)));
  }

  static async open(url: string, bearer: string): Promise<Publisher> {
    const { hostname, port, pathname, search } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    const head =
      `POST ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Type: application/json\r\n` +
      `Authorization: Bearer ${bearer}\r\nContent-Length: `;
    return new Publisher(socket, head);
  }

  /** Resolves when the answer is there. Rejects where it is not 2xx. */
  async post(body: unknown): Promise<void> {
    const text = JSON.stringify(body);
    const answered = new Promise<number>((resolve, reject) => void (this.#waiting = { resolve, reject }));
    this.#socket.write(`${this.#head}${Buffer.byteLength(text)}\r\n\r\n${text}`);
    const status = await answered;
    if (status < 200 || status > 299) throw new Error(`an event was answered with ${status}`);
  }

  [Symbol.dispose](): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
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

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(error);
  }
}
