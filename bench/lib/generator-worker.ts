import { performance } from 'node:perf_hooks';
import { clientFrame, type FrameState } from './frames.ts';
import type { ConnectOptions, Order, Report, SubscribeOptions } from './generator-messages.ts';
import { GeneratorSocket, type SocketOwner } from './generator-socket.ts';
import { nowMicros } from './process-figures.ts';
import { token } from './token.ts';

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
/** Handshakes under way at once, by process: below every server's limit on connections that are not acknowledged. */
const AT_ONCE = 40;
const MARK = Buffer.from('sent":"');
const DIGITS = 16;

const sockets: GeneratorSocket[] = [];
const epoch = nowMicros() - performance.now() * 1_000;
let frames = 0;
let bytes = 0;
let every = 0;
let next = Number.POSITIVE_INFINITY;
let timed = false;
let latencies = new Float64Array(1 << 16);
let samples = 0;
let hint = 0;
let unchecked = 0;
let cpuAtStart = process.cpuUsage();

function tell(report: Report): void {
  process.send?.(report);
}

const owner: SocketOwner = {
  frame(opcode, chunk, start, length, whole, state) {
    if (opcode === TEXT) {
      frames += 1;
      if (unchecked > 0) check(chunk, start, length, state);
      if (timed && whole) sample(chunk, start, length);
    } else if (opcode === PING) sockets[state.index - first]?.pong();
    else if (opcode === CLOSE) owner.failed(`socket ${state.index} was closed: ${chunk.toString('latin1', start + 2, start + length)}`);
  },
  chunk(size) {
    bytes += size;
    while (frames >= next) {
      next += every;
      tell({ kind: 'reached', at: nowMicros() });
    }
  },
  failed: (why) => tell({ kind: 'failed', why }),
};
let first = 0;

/** The first frames are looked at: a server that only sends errors must not look fast. */
function check(chunk: Buffer, start: number, length: number, state: FrameState): void {
  unchecked -= 1;
  const text = chunk.toString('latin1', start, start + length);
  if (text.includes('"errors"') || text.includes('"type":"error"')) owner.failed(`socket ${state.index} got ${text.slice(0, 500)}`);
}

function sample(chunk: Buffer, start: number, length: number): void {
  let at = start + hint;
  if (hint === 0 || chunk[at - 1] !== 0x22 || chunk[at - 2] !== 0x3a) {
    const found = chunk.indexOf(MARK, start, 'latin1');
    if (found < 0 || found + MARK.length + DIGITS > start + length) return;
    at = found + MARK.length;
    hint = at - start;
  }
  let sent = 0;
  for (let digit = at; digit < at + DIGITS; digit += 1) sent = sent * 10 + chunk[digit]! - 48;
  if (samples === latencies.length) latencies = grown(latencies);
  latencies[samples] = epoch + performance.now() * 1_000 - sent;
  samples += 1;
}

function grown(full: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(full.length * 2);
  larger.set(full);
  return larger;
}

/** Runs `work` for 0 … count-1, so many at once. */
async function pooled(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started < count) await work(started++);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, lane));
}

async function connectAll({ url, sockets: count, init }: ConnectOptions): Promise<void> {
  const parsed = new URL(url);
  await pooled(count, (index) => {
    const own = init?.replace('§token', () => token(`user-${first + index}`)) ?? null;
    const socket = new GeneratorSocket(parsed, first + index, own, owner);
    sockets[index] = socket;
    return socket.opened();
  });
  tell({ kind: 'connected' });
}

/** Operation ids go on from one round of subscriptions to the next, and are the same on every socket, as clients have it. */
let operations = 0;

async function subscribeAll({ payloads, groups, perSocket }: SubscribeOptions): Promise<void> {
  const from = operations;
  operations += perSocket;
  const batches = sockets.map((_, index) => {
    const messages = Array.from({ length: perSocket }, (_, each) => {
      const serial = (first + index) * perSocket + each;
      const payload = payloads[serial % payloads.length]!.replaceAll('§', String(serial % groups));
      return clientFrame(`{"id":"${from + each + 1}","type":"subscribe","payload":${payload}}`);
    });
    return Buffer.concat(messages);
  });
  await pooled(sockets.length, (index) => sockets[index]!.subscribe(batches[index]!));
  tell({ kind: 'subscribed' });
}

process.on('message', (order: Order) => {
  switch (order.kind) {
    case 'connect':
      first = order.first;
      return void connectAll(order.options);
    case 'subscribe':
      return void subscribeAll(order.options);
    case 'count':
      ({ every } = order);
      frames = bytes = samples = 0;
      next = every;
      timed = order.latencies;
      unchecked = 100;
      cpuAtStart = process.cpuUsage();
      return;
    case 'collect': {
      const { user, system } = process.cpuUsage(cpuAtStart);
      return tell({ kind: 'collected', frames, bytes, latencies: latencies.slice(0, samples), cpuMicros: user + system });
    }
  }
});
process.on('disconnect', () => process.exit());
