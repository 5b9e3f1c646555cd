import type { FrameCodec } from '../live/transport.ts';
import { headerLength, textFrame, writeTextHeader } from './ws-frame.ts';

const NEXT_HEAD = '{"id":';
const NEXT_TAIL = ',"type":"next","payload":';

/**
 * graphql-transport-ws messages as ready WebSocket frames. The payload is copied, never parsed or printed again; the cursor is in
 * the payload's extensions, so it is not needed here.
 */
export const graphqlWsCodec: FrameCodec = {
  kind: 'ws',

  next(operationId, payload) {
    const head = NEXT_HEAD + jsonString(operationId) + NEXT_TAIL;
    const headBytes = Buffer.byteLength(head, 'utf8');
    const length = headBytes + payload.length + 1;
    const frame = Buffer.allocUnsafe(headerLength(length) + length);
    let at = writeTextHeader(frame, length);
    at += frame.write(head, at, 'utf8');
    at += payload.copy(frame, at);
    frame[at] = 0x7d;
    return frame;
  },

  error(operationId, errorsJson) {
    return textFrame(`{"id":${jsonString(operationId)},"type":"error","payload":${errorsJson}}`);
  },

  complete(operationId) {
    return textFrame(`{"id":${jsonString(operationId)},"type":"complete"}`);
  },
};

export const ACK_FRAME: Buffer = textFrame('{"type":"connection_ack"}');

export const PONG_FRAME: Buffer = textFrame('{"type":"pong"}');

/** `payload` is JSON text. */
export function pongFrame(payload: string | null): Buffer {
  return payload === null ? PONG_FRAME : textFrame(`{"type":"pong","payload":${payload}}`);
}

/** Ids are mostly UUIDs and numbers, which need no escaping. */
function jsonString(id: string): string {
  return /^[\w-]*$/.test(id) ? `"${id}"` : JSON.stringify(id);
}
