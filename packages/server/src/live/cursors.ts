import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { ChannelName, Position } from '../channels/channels.ts';
import { MillraceError } from '../kit/errors.ts';
import { liveErrors } from './errors.ts';

/** Format, bounds and refusals: spec/delivery.md section 4. */
const VERSION = 1;
const MAC_BYTES = 16;
const HEAD_BYTES = 8;
/** No genuine cursor is longer; a longer text is refused unread. */
const MAX_TEXT = 4_096;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

export type CursorKey = {
  /** 0 to 255, within every cursor that the key signs. */
  readonly id: number;
  /** At least 32 bytes of randomness. */
  readonly secret: Uint8Array;
};

/** `keys[0]` signs, all verify. */
export type CursorOptions = { readonly keys: readonly CursorKey[] };

export interface Cursors {
  sign(channel: ChannelName, position: Position): string;
  /** For one channel and epoch: what is the same in every cursor of it is encoded once. */
  signer(channel: ChannelName, epoch: string): CursorSigner;
  /** Throws CURSOR_INVALID or CURSOR_FOREIGN. */
  verify(cursor: string, channel: ChannelName): Position;
}

export interface CursorSigner {
  readonly epoch: string;
  sign(offset: number): string;
}

export function createCursors(options: CursorOptions): Cursors {
  const keys = new Map<number, KeyObject>();
  for (const { id, secret } of options.keys) {
    if (!Number.isInteger(id) || id < 0 || id > 255) throw new RangeError(`cursor key id must be 0 to 255, got ${id}`);
    if (secret.length < 32) throw new RangeError(`cursor key ${id} must have at least 32 bytes, got ${secret.length}`);
    if (keys.has(id)) throw new RangeError(`cursor key id ${id} is given twice`);
    keys.set(id, createSecretKey(secret));
  }
  const first = options.keys[0];
  const signing = first && keys.get(first.id);
  if (!first || !signing) throw new RangeError('cursors need at least one key');

  const signer = (channel: ChannelName, epoch: string): CursorSigner => {
    const body = encodeBody(first.id, channel, epoch);
    const whole = Buffer.alloc(body.length + MAC_BYTES);
    body.copy(whole);
    return {
      epoch,
      sign(offset) {
        whole.writeUIntBE(offset, 2, 6);
        createHmac('sha256', signing).update(whole.subarray(0, body.length)).digest().copy(whole, body.length, 0, MAC_BYTES);
        return whole.toString('base64url');
      },
    };
  };
  return {
    signer,
    sign: (channel, position) => signer(channel, position.epoch).sign(position.offset),
    verify(cursor, channel) {
      const decoded = decode(cursor, keys);
      if (decoded.tenant !== channel.tenant || decoded.type !== channel.type) {
        throw new MillraceError(liveErrors.CURSOR_FOREIGN, `the cursor does not belong to ${channel.type} of this tenant`);
      }
      return { epoch: decoded.epoch, offset: decoded.offset };
    },
  };
}

function encodeBody(keyId: number, channel: ChannelName, epoch: string): Buffer {
  const parts = [Buffer.from(epoch), Buffer.from(channel.tenant), Buffer.from(channel.type)] as const;
  const [epochBytes, tenant, type] = parts;
  if (epochBytes.length > 255 || type.length > 255 || tenant.length > 2_048) {
    throw new RangeError(`channel ${channel.type} has names too long for a cursor`);
  }
  const head = Buffer.alloc(HEAD_BYTES);
  head[0] = VERSION;
  head[1] = keyId;
  const tenantLength = Buffer.alloc(2);
  tenantLength.writeUInt16BE(tenant.length);
  return Buffer.concat([head, Buffer.of(epochBytes.length), epochBytes, tenantLength, tenant, Buffer.of(type.length), type]);
}

type Decoded = Position & ChannelName;

function decode(cursor: string, keys: ReadonlyMap<number, KeyObject>): Decoded {
  if (cursor.length > MAX_TEXT || !BASE64URL.test(cursor)) throw invalid();
  const bytes = Buffer.from(cursor, 'base64url');
  // One position has one spelling: without this, the unused bits of the last character could be anything.
  if (bytes.length < HEAD_BYTES + MAC_BYTES || bytes.toString('base64url') !== cursor) throw invalid();
  const key = bytes[0] === VERSION ? keys.get(bytes[1] ?? -1) : undefined;
  if (!key) throw invalid();
  const body = bytes.subarray(0, bytes.length - MAC_BYTES);
  const mac = createHmac('sha256', key).update(body).digest().subarray(0, MAC_BYTES);
  if (!timingSafeEqual(mac, bytes.subarray(body.length))) throw invalid();
  return readBody(body);
}

/** The signature has been verified: what follows was written by `encodeBody`, unless a key signs other things too. */
function readBody(body: Buffer): Decoded {
  let at = HEAD_BYTES;
  const take = (length: number): Buffer => {
    if (at + length > body.length) throw invalid();
    at += length;
    return body.subarray(at - length, at);
  };
  const epoch = take(take(1).readUInt8()).toString();
  const tenant = take(take(2).readUInt16BE()).toString();
  const type = take(take(1).readUInt8()).toString();
  if (at !== body.length) throw invalid();
  return { offset: body.readUIntBE(2, 6), epoch, tenant, type };
}

function invalid(): MillraceError {
  return new MillraceError(liveErrors.CURSOR_INVALID, 'the cursor is not valid here; subscribe without it and load the present state');
}
