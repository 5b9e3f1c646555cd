import { type IncomingHttpHeaders, type IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

export type BodyOutcome =
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'too-large' }
  /** All bodies that are arriving together hold as much as they may. */
  | { readonly kind: 'busy' }
  /** The client went away before the end. */
  | { readonly kind: 'aborted' };

/** What bodies that have not arrived wholly yet may hold together. A thousand clients that each stop one byte before the end hold no gigabyte. */
export class BodyBudget {
  readonly #max: number;
  #held = 0;

  /** In bytes. */
  constructor(max = 64 * 1024 * 1024) {
    this.#max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** False: there is no room, and nothing was taken. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.#max) return false;
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

export type BodyBounds = {
  /** Bytes over the limit that are still read, and thrown away, so that a client that sends its body before it listens hears the refusal. */
  readonly discard?: number;
  /** Shared by all bodies that count against it. Without one the caller bounds them by other means. */
  readonly budget?: BodyBudget;
};

/**
 * Reads a request's body, at most `limit` bytes. Never rejects. Beyond the limit nothing is kept, and past `discard` the rest is not read;
 * the caller answers and closes the connection, so that a client cannot make the server read on.
 */
export function readBody(req: IncomingMessage, limit: number, { discard = 0, budget }: BodyBounds = {}): Promise<BodyOutcome> {
  return new Promise((resolve) => {
    if (Number(req.headers['content-length'] ?? 0) > limit + discard) return resolve({ kind: 'too-large' });
    // Gone while its token was being verified: no event will come any more.
    if (req.destroyed) return resolve({ kind: 'aborted' });
    const chunks: Buffer[] = [];
    let size = 0;
    let held = 0;
    const settle = (outcome: BodyOutcome): void => {
      req.off('data', onData).off('end', onEnd).off('close', onAbort);
      if (outcome.kind !== 'body') req.pause();
      budget?.give(held);
      resolve(outcome);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > limit) {
        chunks.length = 0;
        if (size > limit + discard) settle({ kind: 'too-large' });
        return;
      }
      if (budget?.take(chunk.length) === false) return settle({ kind: 'busy' });
      held += chunk.length;
      chunks.push(chunk);
    };
    const onEnd = (): void => {
      if (size > limit) settle({ kind: 'too-large' });
      else settle({ kind: 'body', bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size) });
    };
    const onAbort = (): void => settle({ kind: 'aborted' });
    // `error` is never taken off: one that comes late would have nobody who listens, and end the process.
    req
      .on('data', onData)
      .on('end', onEnd)
      .on('error', () => undefined)
      .on('close', onAbort);
  });
}

/** The parameters after `?` of a request's target, whatever its path: a target that is no valid URL must not throw. */
export function searchParams(req: IncomingMessage): URLSearchParams {
  const target = req.url ?? '';
  const at = target.indexOf('?');
  return new URLSearchParams(at < 0 ? '' : target.slice(at + 1));
}

/** Strict UTF-8; null where the bytes are not. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** A whole answer with its length. Does nothing on a response that is already closed. */
export function sendText(
  res: ServerResponse,
  status: number,
  contentType: string,
  text: string,
  headers: Record<string, string> = {},
): void {
  if (res.writableEnded || res.destroyed) return;
  // Half an answer is out already, and cannot be taken back: cutting it off is the one way left to say that it is not whole.
  if (res.headersSent) return void res.destroy();
  res.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(text, 'utf8'), ...headers });
  // As a string it leaves in one piece with the head; a buffer would be a second one.
  res.end(text, 'utf8');
}

/**
 * Answers an upgrade request with a refusal, as plain HTTP, and lets go of the socket. From the `upgrade` event on nobody but us listens to
 * the socket: a reset by the peer without a listener would end the process, and a peer that never closes would keep its half for ever.
 */
export function refuseUpgrade(
  socket: Duplex,
  status: number,
  contentType: string,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  socket.on('error', () => socket.destroy());
  const lines = Object.entries({
    'content-type': contentType,
    'content-length': `${Buffer.byteLength(text)}`,
    connection: 'close',
    ...headers,
  });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}\r\n${head}\r\n${text}`, () => socket.destroy());
}

/** The media type and charset of a Content-Type, in lower case. */
export function contentType(headers: IncomingHttpHeaders): { readonly type: string; readonly charset: string | null } | null {
  const value = headers['content-type'];
  if (value === undefined) return null;
  const [type, ...parameters] = value.split(';');
  const charset = parameters.map((p) => /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/i.exec(p)?.[1]).find((c) => c !== undefined);
  return { type: type!.trim().toLowerCase(), charset: charset?.toLowerCase() ?? null };
}

/**
 * Of `offered`, the media type that an Accept header prefers (RFC 9110 section 12.5.1); of equals, the first offered. Without a header
 * the first offered; null where none is acceptable.
 */
export function negotiate<const T extends string>(accept: string | undefined, offered: readonly T[]): T | null {
  if (accept === undefined || accept.trim() === '') return offered[0] ?? null;
  const ranges = accept.split(',', 32).map(parseRange);
  let best: T | null = null;
  let bestQuality = 0;
  for (const type of offered) {
    const quality = qualityOf(type, ranges);
    if (quality > bestQuality) {
      best = type;
      bestQuality = quality;
    }
  }
  return best;
}

/** Whether the header names this type itself, not by a wildcard. */
export function accepts(accept: string | undefined, type: string): boolean {
  return (
    accept !== undefined &&
    accept.split(',', 32).some((part) => {
      const range = parseRange(part);
      return range.type === type && range.quality > 0;
    })
  );
}

type MediaRange = { readonly type: string; readonly quality: number };

function parseRange(part: string): MediaRange {
  const [type, ...parameters] = part.split(';');
  let quality = 1;
  for (const parameter of parameters) {
    const q = /^\s*q\s*=\s*([\d.]+)\s*$/i.exec(parameter)?.[1];
    if (q !== undefined) quality = Math.min(1, Number(q) || 0);
  }
  return { type: type!.trim().toLowerCase(), quality };
}

/** The most specific range that matches decides. */
function qualityOf(type: string, ranges: readonly MediaRange[]): number {
  const group = `${type.slice(0, type.indexOf('/'))}/*`;
  const match = ranges.find((r) => r.type === type) ?? ranges.find((r) => r.type === group) ?? ranges.find((r) => r.type === '*/*');
  return match?.quality ?? 0;
}
