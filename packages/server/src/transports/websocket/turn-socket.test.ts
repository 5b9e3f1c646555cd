import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FrameChain } from './frame-chain.ts';
import { outletOf } from './socket-port.ts';
import { SocketTurn, TurnSocket } from './turn-socket.ts';

class Sender extends TurnSocket {
  give(frame: Buffer): void {
    this.send(frame);
  }
  finish(): void {
    this.endAfterSent();
  }
}

describe.each([
  { way: 'directly to the handle', direct: true },
  { way: 'by way of the stream', direct: false },
])('what is sent $way', ({ direct }) => {
  let server: Server;
  let sockets: Socket[];
  beforeEach(async () => {
    sockets = [];
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  const pair = async (turn: SocketTurn): Promise<{ readonly sender: Sender; readonly peer: Socket }> => {
    const accepted = once(server, 'connection');
    const peer = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
    const [socket] = (await accepted) as [Socket];
    sockets.push(peer, socket);
    socket.on('error', () => socket.destroy());
    return { sender: new Sender(socket, turn, outletOf(socket, direct)), peer };
  };
  const all = async (peer: Socket): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of peer) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  };

  it('is the port that is meant', async () => {
    const { sender } = await pair(new SocketTurn());
    expect(outletOf((sender as unknown as { readonly socket: Socket }).socket, direct).target instanceof Object).toBe(true);
    expect(outletOf(sockets[0]!, direct).port === outletOf(sockets[0]!, false).port).toBe(!direct);
  });

  it('arrives whole and in order where the peer does not read for long, and the end comes after it', async () => {
    const { sender, peer } = await pair(new SocketTurn());
    const frames = Array.from({ length: 200 }, (_, nth) => Buffer.alloc(100_000, nth));
    for (const frame of frames.slice(0, 100)) sender.give(frame);
    sender.flush();
    // The peer's and our own system buffers hold a few megabytes; the rest waits.
    for (const frame of frames.slice(100)) sender.give(frame);
    expect(sender.bufferedBytes()).toBeGreaterThan(1_000_000);
    let drained = 0;
    sender.onDrain(() => {
      drained = sender.bufferedBytes();
      sender.finish();
    });
    expect((await all(peer)).equals(Buffer.concat(frames))).toBe(true);
    expect(drained).toBe(0);
  });

  it('ends after what waits, also where nothing has left yet', async () => {
    const { sender, peer } = await pair(new SocketTurn());
    const frames = Array.from({ length: 100 }, (_, nth) => Buffer.alloc(100_000, nth));
    for (const frame of frames) sender.give(frame);
    sender.finish();
    sender.give(Buffer.from('too late'));
    expect((await all(peer)).equals(Buffer.concat(frames))).toBe(true);
  });

  it('is dropped without a fault where the peer has gone', async () => {
    const { sender, peer } = await pair(new SocketTurn());
    const own = sockets[1]!;
    const closed = new Promise((resolve) => own.once('close', resolve));
    peer.resetAndDestroy();
    const frame = Buffer.alloc(1_000_000);
    const giving = setInterval(() => sender.give(frame), 1);
    await closed;
    clearInterval(giving);
    sender.give(frame);
    sender.flush();
    expect(own.destroyed).toBe(true);
  });

  it('is shared where it is the same, and everybody gets just his own', async () => {
    const turn = new SocketTurn();
    // One after the other: a server does not say which connection is whose.
    const pairs: Awaited<ReturnType<typeof pair>>[] = [];
    while (pairs.length < 6) pairs.push(await pair(turn));
    const frames = ['a', 'b', 'c', 'd'].map((text) => Buffer.from(text.repeat(50)));
    const plan = fc.sample(fc.array(fc.tuple(fc.nat(5), fc.nat(3)), { minLength: 60, maxLength: 60 }), { numRuns: 1, seed: 7 })[0]!;
    const expected = pairs.map(() => [] as Buffer[]);
    for (const [nth, [who, what]] of plan.entries()) {
      pairs[who]!.sender.give(frames[what]!);
      expected[who]!.push(frames[what]!);
      if (nth % 20 === 19) turn.flush();
    }
    for (const { sender } of pairs) sender.finish();
    const arrived = await Promise.all(pairs.map(({ peer }) => all(peer)));
    for (const [nth, bytes] of arrived.entries()) expect(bytes.equals(Buffer.concat(expected[nth]!))).toBe(true);
  });
});

it('a chain is the plain concatenation of its frames, however far it is shared', () => {
  const letters = ['a', 'bb', '', 'cccc'].map((text) => Buffer.from(text));
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(3), { minLength: 2, maxLength: 12 }), { minLength: 1, maxLength: 10 }), (plans) => {
      const turn = new SocketTurn();
      const chains = plans.map(([first, second, ...rest]) => {
        let chain: FrameChain = turn.pair(letters[first!]!, letters[second!]!);
        for (const nth of rest) chain = chain.with(letters[nth]!);
        return chain;
      });
      turn.flush();
      for (const [nth, chain] of chains.entries()) {
        const plain = Buffer.concat(plans[nth]!.map((letter) => letters[letter]!));
        expect(chain.bytes().equals(plain)).toBe(true);
        expect(chain.length).toBe(plain.length);
      }
    }),
  );
});
