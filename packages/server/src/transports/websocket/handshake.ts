import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

export type HandshakeOptions = {
  /** The one subprotocol that is spoken here. */
  readonly subprotocol: string;
  /** Whether permessage-deflate may be agreed on. */
  readonly compression: boolean;
};

/** What an upgrade request gets. */
export type Handshake =
  | { readonly kind: 'refused'; readonly status: 400 | 405 | 426; readonly why: string; readonly headers: Readonly<Record<string, string>> }
  /** `response` is the whole 101. Without a common subprotocol the connection is opened and closed with a code that says so, which a browser can read. */
  | { readonly kind: 'accepted'; readonly response: string; readonly subprotocol: boolean; readonly compression: boolean };

/** RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY = /^[+/\dA-Za-z]{22}==$/;
const VERSION = '13';

/** The server's half of the opening handshake, RFC 6455 section 4.2. Nothing of the request is repeated in the answer but the digest of the key. */
export function handshakeOf(req: IncomingMessage, options: HandshakeOptions): Handshake {
  const { headers } = req;
  if (req.method !== 'GET') return refused(405, 'a WebSocket is opened with GET', { allow: 'GET' });
  if (headers.upgrade?.toLowerCase() !== 'websocket') return refused(400, 'the Upgrade header is not "websocket"');
  if (!hasToken(headers.connection, 'upgrade')) return refused(400, 'the Connection header does not name "upgrade"');
  const key = headers['sec-websocket-key'];
  if (typeof key !== 'string' || !KEY.test(key)) return refused(400, 'Sec-WebSocket-Key is missing or malformed');
  if (headers['sec-websocket-version'] !== VERSION) {
    return refused(426, 'Sec-WebSocket-Version must be 13', { 'sec-websocket-version': VERSION });
  }
  const subprotocol = offers(headers['sec-websocket-protocol'], options.subprotocol);
  const deflate = options.compression ? deflateAnswer(headers['sec-websocket-extensions']) : null;
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${createHash('sha1')
      .update(key + GUID)
      .digest('base64')}`,
    ...(subprotocol ? [`Sec-WebSocket-Protocol: ${options.subprotocol}`] : []),
    ...(deflate === null ? [] : [`Sec-WebSocket-Extensions: ${deflate}`]),
  ];
  return { kind: 'accepted', response: `${lines.join('\r\n')}\r\n\r\n`, subprotocol, compression: deflate !== null };
}

function refused(status: 400 | 405 | 426, why: string, headers: Readonly<Record<string, string>> = {}): Handshake {
  return { kind: 'refused', status, why, headers };
}

function hasToken(value: string | undefined, token: string): boolean {
  return value !== undefined && value.split(',').some((each) => each.trim().toLowerCase() === token);
}

/** Names of subprotocols are compared as they are (section 4.1: no case folding). */
function offers(value: string | undefined, subprotocol: string): boolean {
  return value !== undefined && value.split(',').some((each) => each.trim() === subprotocol);
}

/**
 * RFC 7692 section 7.1. Neither side keeps a context between messages: a connection then holds no compressor, and the compressed bytes of a
 * message are the same for everybody who gets it. The first offer whose parameters can be met is taken; null where none can.
 */
function deflateAnswer(value: string | undefined): string | null {
  for (const offer of value?.split(',') ?? []) {
    const [name, ...parameters] = offer.split(';').map((part) => part.trim().toLowerCase());
    if (name === 'permessage-deflate' && parameters.every(isMet) && new Set(parameters.map(nameOf)).size === parameters.length) {
      return `permessage-deflate; server_no_context_takeover; client_no_context_takeover${windowAnswer(parameters)}`;
    }
  }
  return null;
}

function nameOf(parameter: string): string {
  return parameter.split('=')[0]!.trim();
}

/** The server compresses with the window of deflate.ts, so smaller ones cannot be promised. */
function isMet(parameter: string): boolean {
  const [name, value] = parameter.split('=').map((part) => part.trim().replace(/^"(.*)"$/, '$1'));
  switch (name) {
    case 'server_no_context_takeover':
    case 'client_no_context_takeover':
      return value === undefined;
    case 'client_max_window_bits':
      return value === undefined || isWindow(value);
    case 'server_max_window_bits':
      return value !== undefined && isWindow(value) && Number(value) >= SERVER_WINDOW_BITS;
    default:
      return false;
  }
}

/** Of what the server compresses: 2 KB of window are enough for messages without a common context. */
export const SERVER_WINDOW_BITS = 11;

function isWindow(value: string): boolean {
  return /^(8|9|1[0-5])$/.test(value);
}

function windowAnswer(parameters: readonly string[]): string {
  return parameters.some((parameter) => nameOf(parameter) === 'server_max_window_bits')
    ? `; server_max_window_bits=${SERVER_WINDOW_BITS}`
    : '';
}
