import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export type RedisReply = string | number | null | readonly RedisReply[];

export type RedisAddress = {
  readonly port: number;
  /** PEM; the connection is encrypted where it is given. */
  readonly ca?: string | null;
  readonly user?: { readonly name: string; readonly password: string } | null;
};

/** After this the server counts as not answering: it may be paused. */
const ANSWER_MS = 5000;

/**
 * One command on a connection of its own, for administration and readiness (RESP2). Rejects with the server's own words where it
 * answers with an error, and after 5 s where it does not answer.
 */
export function redisCommand(address: RedisAddress, ...command: readonly (string | number)[]): Promise<RedisReply> {
  return new Promise((resolve, reject) => {
    const socket = open(address);
    const commands = [...(address.user ? [['AUTH', address.user.name, address.user.password]] : []), command];
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error(`redis on port ${address.port} does not answer ${command[0]}`)));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`redis on port ${address.port} closed the connection`)));
    let bytes = Buffer.alloc(0);
    let wanted = commands.length;
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (let parsed = parse(bytes, 0); parsed !== null; parsed = parse(bytes, 0)) {
        bytes = bytes.subarray(parsed.next);
        wanted -= 1;
        if (parsed.reply instanceof Error) reject(parsed.reply);
        else if (wanted === 0) resolve(parsed.reply);
        else continue;
        socket.destroy();
        return;
      }
    });
    socket.write(commands.map(encode).join(''));
  });
}

function open({ port, ca }: RedisAddress): Socket {
  if (ca === undefined || ca === null) return connectTcp(port, '127.0.0.1');
  return connectTls({ port, host: '127.0.0.1', ca });
}

function encode(command: readonly (string | number)[]): string {
  return `*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(`${word}`)}\r\n${word}\r\n`).join('')}`;
}

type Parsed<Reply> = { readonly reply: Reply; readonly next: number };

/** Null where the reply is not complete. */
function parse(bytes: Buffer, from: number): Parsed<RedisReply | Error> | null {
  const end = bytes.indexOf('\r\n', from);
  if (end === -1) return null;
  const line = bytes.toString('utf8', from + 1, end);
  const next = end + 2;
  switch (bytes[from]) {
    case 0x2b: // +
      return { reply: line, next };
    case 0x2d: // -
      return { reply: new Error(line), next };
    case 0x3a: // :
      return { reply: Number(line), next };
    case 0x24: // $
      return parseBulk(bytes, Number(line), next);
    case 0x2a: // *
      return parseArray(bytes, Number(line), next);
    default:
      return { reply: new Error(`not a Redis reply: ${bytes.toString('latin1', from, from + 40)}`), next: bytes.length };
  }
}

function parseBulk(bytes: Buffer, length: number, from: number): Parsed<string | null> | null {
  if (length < 0) return { reply: null, next: from };
  if (bytes.length < from + length + 2) return null;
  return { reply: bytes.toString('utf8', from, from + length), next: from + length + 2 };
}

function parseArray(bytes: Buffer, length: number, from: number): Parsed<RedisReply> | null {
  if (length < 0) return { reply: null, next: from };
  const items: RedisReply[] = [];
  let next = from;
  while (items.length < length) {
    const item = parse(bytes, next);
    if (item === null) return null;
    items.push(item.reply instanceof Error ? item.reply.message : item.reply);
    next = item.next;
  }
  return { reply: items, next };
}
