import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

type Link = { readonly client: Socket; readonly server: Socket };

/**
 * A network that can be broken: stands between a client and a server, passes bytes on, and on demand cuts connections, slows them, stops
 * passing anything while both ends believe in the connection, or lets the client's end vanish without the server's hearing of it.
 */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #links = new Set<Link>();
  /** Ends whose peer has vanished: nobody told them. */
  readonly #abandoned = new Set<Socket>();
  #target: number;
  #bytesPerSecond: number | null = null;
  /** Resolved while bytes pass. */
  #open = opened();
  #refusing = false;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    server.on('connection', (client) => this.#accept(client));
  }

  /** To a port of 127.0.0.1. */
  static async start(target: number): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: true });
    const proxy = new TcpProxy(server, target);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#links.size;
  }

  /** Connections from now on go there; those that are open stay. */
  retarget(port: number): void {
    this.#target = port;
  }

  /** Both ends get a reset. */
  cut(): void {
    for (const { client, server } of this.#links) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    this.#links.clear();
  }

  /** New connections are reset at once until `accept`. */
  refuse(): void {
    this.#refusing = true;
  }

  accept(): void {
    this.#refusing = false;
  }

  /** Nothing passes in either direction, and nobody is told. What was sent meanwhile arrives after `thaw`. */
  freeze(): void {
    this.#open = Promise.withResolvers();
  }

  thaw(): void {
    this.#open.resolve();
  }

  /** The clients are gone, and the server believes that they are there: a laptop that was closed, a NAT that forgot. */
  abandon(): void {
    for (const { client, server } of this.#links) {
      this.#abandoned.add(server);
      client.resetAndDestroy();
    }
    this.#links.clear();
  }

  /** Towards clients; null: as fast as they come. */
  limit(bytesPerSecond: number | null): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.thaw();
    for (const socket of this.#abandoned) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    client.on('error', () => client.destroy());
    if (this.#refusing) return void client.resetAndDestroy();
    const server = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const link: Link = { client, server };
    this.#links.add(link);
    // A server that does not listen, or is gone: its client hears a reset, as from the machine itself.
    server.on('error', () => client.resetAndDestroy());
    server.once('close', () => this.#abandoned.delete(server));
    void this.#pass(link, client, server, false);
    void this.#pass(link, server, client, true);
  }

  async #pass(link: Link, from: Socket, to: Socket, towardsClient: boolean): Promise<void> {
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        await this.#open.promise;
        if (!this.#links.has(link)) return;
        if (!to.write(chunk)) await once(to, 'drain');
        if (towardsClient && this.#bytesPerSecond !== null)
          await sleep((chunk.length * 1000) / this.#bytesPerSecond, undefined, { ref: false });
      }
      to.end();
      if (to.readableEnded) this.#links.delete(link);
    } catch {
      // One end broke off. Unless it was abandoned, the other hears of it.
      if (!this.#links.delete(link)) return;
      link.client.destroy();
      link.server.destroy();
    }
  }
}

function opened(): PromiseWithResolvers<void> {
  const gate = Promise.withResolvers<void>();
  gate.resolve();
  return gate;
}
