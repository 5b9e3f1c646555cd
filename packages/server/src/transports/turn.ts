import type { Writable } from 'node:stream';

/**
 * Frames written within one turn of the event loop leave in one system call per socket: a socket is corked by the first write of a turn
 * and uncorked when the turn ends. One shared list and one immediate for all sockets, so that a delivery allocates nothing for it.
 */
export class TurnWriter {
  #corked: Writable[] = [];
  #spare: Writable[] = [];
  #scheduled = false;
  readonly #flush = (): void => this.flush();

  /** Corks `socket` until the end of the turn. Only for a socket whose `writableCorked` is 0: once in a turn is enough. */
  cork(socket: Writable): void {
    socket.cork();
    this.#corked.push(socket);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  flush(): void {
    const sockets = this.#corked;
    this.#corked = this.#spare;
    this.#spare = sockets;
    this.#scheduled = false;
    for (const socket of sockets) socket.uncork();
    sockets.length = 0;
  }
}
