import { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import type { PortUser, SocketPort } from './socket-port.ts';
import { SocketTurn, TurnSocket } from './turn-socket.ts';

/**
 * A chain kept its joined bytes for as long as it lived. A socket that takes nothing holds the chain of what it waits for, and through it every shorter chain;
 * whenever another slow socket with the same frames became free, the bytes that it took stayed with the link where it had stood. With a thousand such sockets
 * one that was counted for 1 MB kept 500 MB. Joined bytes now last until the end of the turn in which everybody gets them.
 */
class Sender extends TurnSocket {
  give(frame: Buffer): void {
    this.send(frame);
  }
}

type Target = { readonly written: Buffer[]; user: PortUser | null; takes: boolean };

const port: SocketPort<Target> = {
  write(target, bytes, user) {
    target.written.push(bytes);
    target.user = user;
    return target.takes;
  },
  held: () => 0,
};

function senders(turn: SocketTurn, count: number, takes: boolean) {
  return Array.from({ length: count }, () => {
    const target: Target = { written: [], user: null, takes };
    return { target, sender: new Sender(new Duplex(), turn, { port, target }) };
  });
}

const [first, second, third] = ['one', 'two', 'three'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];

it('joined bytes are shared in a turn and kept by nobody after it', () => {
  const turn = new SocketTurn();
  const all = senders(turn, 3, true);
  for (const { sender } of all) for (const frame of [first, second, third]) sender.give(frame);
  const chain = turn.pair(first, second).with(third);
  turn.flush();
  const [bytes] = all[0]!.target.written;
  expect(bytes!.toString()).toBe('onetwothree');
  for (const { target } of all) expect(target.written[0] === bytes).toBe(true);
  expect(chain.joined).toBeNull();
});

it('what a slow socket took leaves nothing with the chain that a slower one waits with', () => {
  const turn = new SocketTurn();
  const [slow, slower] = senders(turn, 2, false) as [ReturnType<typeof senders>[0], ReturnType<typeof senders>[0]];
  for (const { sender } of [slow, slower]) sender.give(first);
  turn.flush();
  for (const { sender } of [slow, slower]) for (const frame of [first, second]) sender.give(frame);
  const shared = turn.pair(first, second);
  slow.target.user!.onPortFree();
  expect(slow.target.written.map(String)).toEqual(['one', 'onetwo']);
  expect(shared.joined).toBeNull();
  slower.sender.give(third);
  slower.target.user!.onPortFree();
  expect(slower.target.written.map(String)).toEqual(['one', 'onetwothree']);
});
