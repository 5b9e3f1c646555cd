import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** Whoever writes to a port. */
export interface PortUser {
  /** What `write` could not hand over at once has left. */
  onPortFree(): void;
  /** The socket failed; its `close` event follows. */
  onPortFailed(): void;
}

/**
 * PORT. Where bytes leave: a socket without anything in front of it. Stateless, so that a connection holds no object for it: `target` is what
 * `outletOf` gave with the port.
 *
 * - Order: bytes leave in the order of the calls.
 * - `write` returns true where the operating system has taken all of it. False: it holds the rest, calls `onPortFree` once when that has left,
 *   and is not written to before.
 * - Failure is told by `onPortFailed`, within `write` or later; `write` then returns true and the bytes are gone, as with any broken connection.
 */
export interface SocketPort<Target> {
  write(target: Target, bytes: Buffer, user: PortUser): boolean;
  /** Bytes that `write` took and the operating system has not. */
  held(target: Target): number;
}

/** A port with its target; what the target is, only the port knows. */
export type Outlet = { readonly port: SocketPort<unknown>; readonly target: unknown };

/**
 * An earlier request on this connection has not been answered wholly. Node tells of a pipelined upgrade all the same; its 101 and the frames after it
 * would overtake the answer, or have it in their midst.
 */
export function answersEarlier(socket: Duplex): boolean {
  return ((socket as { readonly _httpMessage?: unknown })._httpMessage ?? null) !== null;
}

/** The direct port where this Node and this socket allow it. */
export function outletOf(socket: Duplex, direct = true): Outlet {
  const handle = direct ? handleOf(socket) : null;
  return handle ? { port: directPort, target: handle } : { port: streamPort, target: socket };
}

/** By way of the socket's own stream: for TLS, and wherever the short way is closed. */
const streamPort: SocketPort<Duplex> = {
  write(socket, bytes, user) {
    if (socket.destroyed || socket.writableEnded) return true;
    socket.write(bytes);
    if (socket.writableLength === 0) return true;
    // The callback of an empty write comes when all before it have left. The stream's own `drain` comes only after the high-water mark.
    socket.write(EMPTY, (error) => (error ? user.onPortFailed() : user.onPortFree()));
    return false;
  },

  held: (socket) => socket.writableLength,
};

const EMPTY = Buffer.alloc(0);

// ---- the short way ------------------------------------------------------------------------------------------------------------

/** What is used of a `net.Socket`'s handle (Node's `StreamBase`). */
type Handle = {
  /** Zero, or a negative error number of libuv. */
  writeBuffer(request: WriteRequest, bytes: Buffer): number | undefined;
  /** Undefined once the handle is gone. */
  readonly writeQueueSize: number | undefined;
};

type WriteRequest = {
  oncomplete: ((this: WriteRequest, status: number) => void) | null;
  user: PortUser | null;
  /** Keeps the bytes alive until they have left. */
  bytes: Buffer | null;
};

type StreamWrap = { readonly WriteWrap: new () => WriteRequest; readonly streamBaseState: Int32Array; readonly kLastWriteWasAsync: number };

const wrap = streamWrap();
let spare: WriteRequest | null = null;

/**
 * Straight to the handle below a `net.Socket`. A write that the operating system takes at once, which is nearly every one, then costs the system
 * call and no request object, no state of a stream, no tick: fewer objects are touched, and with thousands of sockets each of them is a
 * cache miss. Measured: docs/performance.md. The stream above knows nothing of these bytes; libuv keeps them before anything that is
 * written, ended or shut down later.
 */
const directPort: SocketPort<Handle> = {
  write(handle, bytes, user) {
    const { streamBaseState, kLastWriteWasAsync, WriteWrap } = wrap!;
    const request = (spare ??= new WriteWrap());
    if (handle.writeBuffer(request, bytes) !== 0) {
      // Also where the handle has been closed, which it tells by undefined. What became of the request is Node's affair: no other write gets it.
      spare = null;
      user.onPortFailed();
      return true;
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) return true;
    // Only now the request belongs to this write.
    spare = null;
    request.user = user;
    request.bytes = bytes;
    request.oncomplete = onComplete;
    return false;
  },

  // Without a number here the bounds above would be compared with NaN, and never be passed.
  held: (handle) => handle.writeQueueSize ?? 0,
};

function onComplete(this: WriteRequest, status: number): void {
  const { user } = this;
  this.user = this.bytes = null;
  if (status === 0) user?.onPortFree();
  else user?.onPortFailed();
}

function handleOf(socket: Duplex): Handle | null {
  if (wrap === null || !(socket instanceof Socket) || socket instanceof TLSSocket) return null;
  // What waits in the stream would be overtaken.
  if (socket.writableLength > 0) return null;
  const handle = (socket as unknown as { readonly _handle?: Partial<Handle> | null })._handle;
  if (typeof handle?.writeBuffer !== 'function' || typeof handle.writeQueueSize !== 'number') return null;
  return handle as Handle;
}

/** Null where this Node does not give it away: under its permission model, or in a version that has closed the door. */
function streamWrap(): StreamWrap | null {
  try {
    const found = (process as unknown as { binding(name: string): Partial<StreamWrap> }).binding('stream_wrap');
    const complete =
      typeof found.WriteWrap === 'function' && found.streamBaseState instanceof Int32Array && typeof found.kLastWriteWasAsync === 'number';
    return complete ? (found as StreamWrap) : null;
  } catch {
    return null;
  }
}
