import { type IncomingHttpHeaders, type IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

export type BodyOutcome =
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'too-large' }
  /** The client went away before the end. */
  | { readonly kind: 'aborted' };

/**
 * Reads a request's body, at most `limit` bytes. Never rejects. Beyond the limit nothing is kept; up to `discard` bytes more are read and
 * thrown away, so that a client that sends its body before it listens hears the refusal. Past that the rest is not read; the caller
 * answers and closes the connection, so that a client cannot make the server read on.
 */
export function readBody(req: IncomingMessage, limit: number, discard = 0): Promise<BodyOutcome> {
  return new Promise((resolve) => {
    if (Number(req.headers['content-length'] ?? 0) > limit + discard) return resolve({ kind: 'too-large' });
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) return void chunks.push(chunk);
      chunks.length = 0;
      if (size <= limit + discard) return;
      req.removeAllListeners('data');
      req.pause();
      resolve({ kind: 'too-large' });
    });
    req.once('end', () => {
      if (size > limit) resolve({ kind: 'too-large' });
      else resolve({ kind: 'body', bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size) });
    });
    req.once('error', () => resolve({ kind: 'aborted' }));
    req.once('close', () => resolve({ kind: 'aborted' }));
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
export function refuseUpgrade(socket: Duplex, status: number, contentType: string, text: string, headers: Record<string, string> = {}): void {
  socket.on('error', () => socket.destroy());
  const lines = Object.entries({ 'content-type': contentType, 'content-length': `${Buffer.byteLength(text)}`, connection: 'close', ...headers });
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
