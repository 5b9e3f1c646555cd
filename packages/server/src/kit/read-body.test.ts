import { once } from 'node:events';
import { type IncomingMessage, createServer } from 'node:http';
import { type AddressInfo, type Socket, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BodyBudget, type BodyOutcome, readBody } from './http-message.ts';

describe('bodies that arrive slowly', () => {
  const budget = new BodyBudget(1_000);
  const server = createServer();
  const sockets: Socket[] = [];

  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  /** A request whose body has `sent` of `length` bytes so far. */
  async function request(sent: number, length: number): Promise<{ req: IncomingMessage; socket: Socket; outcome: Promise<BodyOutcome> }> {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
    const arrived = once(server, 'request') as Promise<[IncomingMessage]>;
    socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
    const [req] = await arrived;
    const outcome = readBody(req, 900, { budget });
    const held = new Promise<void>((resolve) => req.once('data', () => resolve()));
    socket.write('x'.repeat(sent));
    await held;
    return { req, socket, outcome };
  }

  test('hold no more than the budget together, and give it back when they end, whichever way', async () => {
    const first = await request(600, 800);
    expect(budget.held).toBe(600);
    const second = await request(600, 800);
    expect((await second.outcome).kind).toBe('busy');
    expect(budget.held).toBe(600);
    first.socket.write('y'.repeat(200));
    const done = await first.outcome;
    expect([done.kind, done.kind === 'body' && done.bytes.length, budget.held]).toEqual(['body', 800, 0]);
    const third = await request(600, 800);
    third.socket.destroy();
    expect([(await third.outcome).kind, budget.held]).toEqual(['aborted', 0]);
  });

  test('of a client that went away before they were read are aborted: nobody would ever say so again', async () => {
    const { req, socket, outcome } = await request(10, 800);
    socket.destroy();
    await outcome;
    if (!req.destroyed) await once(req, 'close');
    expect((await readBody(req, 900)).kind).toBe('aborted');
  });
});
