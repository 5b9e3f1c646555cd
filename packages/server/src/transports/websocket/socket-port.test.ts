import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Certificate, makeCertificate } from '../../../../../tools/services/certificate.ts';
import { type Outlet, outletOf, type PortUser } from './socket-port.ts';

/** What every port promises: the port's comment. Real sockets, since what is promised is about the operating system. */
class User implements PortUser {
  free = 0;
  failed = 0;
  #wake: (() => void)[] = [];

  onPortFree(): void {
    this.free += 1;
    for (const wake of this.#wake.splice(0)) wake();
  }
  onPortFailed(): void {
    this.failed += 1;
    for (const wake of this.#wake.splice(0)) wake();
  }
  told(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }
}

let folder: string;
let certificate: Certificate;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-port-'));
  certificate = await makeCertificate(folder);
});
afterAll(() => rm(folder, { recursive: true }));

describe.each([
  { way: 'the handle', tls: false, direct: true },
  { way: 'the stream', tls: false, direct: false },
  { way: 'the stream of TLS', tls: true, direct: true },
])('the port by way of $way', ({ tls, direct }) => {
  let server: Server;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    const options = { allowHalfOpen: true };
    server = tls
      ? createTlsServer({ ...options, cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) })
      : createServer(options);
    server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  async function pair(): Promise<{ readonly own: Socket; readonly peer: Socket; readonly outlet: Outlet; readonly user: User }> {
    const accepted = once(server, tls ? 'secureConnection' : 'connection');
    const { port } = server.address() as AddressInfo;
    const options = { port, host: '127.0.0.1', allowHalfOpen: true };
    const peer: Socket = tls ? connectTls({ ...options, ca: certificate.ca, servername: 'localhost' }) : connect(options);
    const [own] = (await accepted) as [Socket];
    sockets.push(own, peer.pause());
    peer.on('error', () => undefined);
    own.on('error', () => undefined);
    return { own, peer, outlet: outletOf(own, direct), user: new User() };
  }

  /** Writes numbered blocks until one is not taken at once; returns what was written. */
  function fill({ port, target }: Outlet, user: User): Buffer {
    const blocks: Buffer[] = [];
    let taken = true;
    while (taken) {
      const block = Buffer.alloc(500_000, blocks.length);
      blocks.push(block);
      taken = port.write(target, block, user);
    }
    return Buffer.concat(blocks);
  }

  async function read(peer: Socket): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of peer) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  it('is the short way only where nothing lies between the socket and the system', async () => {
    const { own } = await pair();
    expect(outletOf(own, true).target === own).toBe(tls);
    expect(outletOf(own, false).target === own).toBe(true);
  });

  it('is not the short way past what waits in the stream', async () => {
    const { own, peer, outlet, user } = await pair();
    let size = 0;
    while (own.writableLength === 0) {
      size += 1_000_000;
      own.write(Buffer.alloc(1_000_000, 1));
    }
    const late = outletOf(own, direct);
    expect(late.target === own).toBe(true);
    late.port.write(late.target, Buffer.from([2]), user);
    own.end();
    const bytes = await read(peer);
    expect([bytes.length, bytes.indexOf(2), outlet.port.held(outlet.target)]).toEqual([size + 1, size, 0]);
  });

  it('says once that it is free when all that it held has left, keeps the order, and holds nothing then', async () => {
    const { own, peer, outlet, user } = await pair();
    const first = fill(outlet, user);
    expect(outlet.port.held(outlet.target)).toBeGreaterThan(0);
    expect(user.free).toBe(0);
    const free = user.told();
    const received = read(peer);
    await free;
    expect([user.free, user.failed, outlet.port.held(outlet.target)]).toEqual([1, 0, 0]);
    const second = fill(outlet, user);
    await user.told();
    own.end();
    expect((await received).equals(Buffer.concat([first, second]))).toBe(true);
    expect([user.free, user.failed]).toEqual([2, 0]);
  });

  it('lets the end come after what it holds', async () => {
    const { own, peer, outlet, user } = await pair();
    const bytes = fill(outlet, user);
    own.end();
    expect((await read(peer)).equals(bytes)).toBe(true);
  });

  it('writes on to a peer that has ended its own half', async () => {
    const { own, peer, outlet, user } = await pair();
    const ended = once(own.resume(), 'end');
    peer.end();
    await ended;
    const bytes = fill(outlet, user);
    const received = read(peer);
    await user.told();
    own.end();
    expect((await received).equals(bytes)).toBe(true);
  });

  it('tells of the failure when the peer is reset while bytes are held, and never that it is free', async () => {
    const { own, peer, outlet, user } = await pair();
    // More than the system's buffers: TLS takes nothing at once, and what is less would have left before the reset.
    expect(outlet.port.write(outlet.target, Buffer.alloc(32_000_000), user)).toBe(false);
    const closed = new Promise((resolve) => own.once('close', resolve));
    own.resume();
    const told = user.told();
    // TLS has no reset of its own; with bytes unread the system makes one of the end.
    if (tls) peer.destroy();
    else peer.resetAndDestroy();
    await Promise.all([closed, told]);
    expect(user.failed).toBeGreaterThan(0);
    expect(user.free).toBe(0);
  });

  it('tells of the failure when the socket is destroyed while bytes are held', async () => {
    const { own, outlet, user } = await pair();
    fill(outlet, user);
    const told = user.told();
    own.destroy();
    await told;
    expect([user.free, user.failed > 0]).toEqual([0, true]);
  });

  it('takes writes to a socket that is going or gone without a fault, and they go nowhere', async () => {
    const { own, peer, outlet, user } = await pair();
    const closed = once(own, 'close');
    own.destroy();
    expect(outlet.port.write(outlet.target, Buffer.from('going'), user)).toBe(true);
    await closed;
    for (let nth = 0; nth < 100; nth += 1) expect(outlet.port.write(outlet.target, Buffer.from('gone'), user)).toBe(true);
    expect([outlet.port.held(outlet.target), user.free]).toEqual([0, 0]);
    // Nor does the failure touch what others write.
    const next = await pair();
    const bytes = fill(next.outlet, next.user);
    next.own.end();
    expect((await read(next.peer)).equals(bytes)).toBe(true);
    expect(await read(peer)).toHaveLength(0);
  });

  it('may be destroyed, and written to again, from within its own callback', async () => {
    const { own, peer, outlet } = await pair();
    const closed = once(own, 'close');
    const user = new User();
    user.onPortFree = () => {
      own.destroy();
      expect(outlet.port.write(outlet.target, Buffer.from('after'), user)).toBe(true);
    };
    fill(outlet, user);
    peer.resume();
    await closed;
    expect(own.destroyed).toBe(true);
  });
});
