import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { handshakeOf } from './handshake.ts';

const OPTIONS = { subprotocol: 'graphql-transport-ws', compression: true };

/** The example of RFC 6455 section 1.3. */
const GOOD = {
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
  'sec-websocket-protocol': 'graphql-transport-ws',
};

function shake(headers: IncomingHttpHeaders, { method = 'GET', compression = true } = {}) {
  return handshakeOf({ method, headers: { ...GOOD, ...headers } } as IncomingMessage, { ...OPTIONS, compression });
}

/** The parameters that were agreed on; null where the extension was not. */
function agreed(offer: string): string | null {
  const handshake = shake({ 'sec-websocket-extensions': offer });
  if (handshake.kind === 'refused') throw new Error(handshake.why);
  const line = /Sec-WebSocket-Extensions: (.*)\r\n/.exec(handshake.response)?.[1] ?? null;
  expect(handshake.compression).toBe(line !== null);
  return line;
}

describe('the opening handshake', () => {
  it('answers the example of the specification', () => {
    const handshake = shake({});
    expect(handshake).toMatchObject({ kind: 'accepted', subprotocol: true, compression: false });
    expect((handshake as { readonly response: string }).response).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
    );
  });

  it.each([
    ['another method', {}, 'POST', 405],
    ['another protocol', { upgrade: 'h2c' }, 'GET', 400],
    ['no Upgrade', { upgrade: undefined }, 'GET', 400],
    ['no Connection', { connection: undefined }, 'GET', 400],
    ['a Connection without upgrade', { connection: 'keep-alive, upgrades' }, 'GET', 400],
    ['no key', { 'sec-websocket-key': undefined }, 'GET', 400],
    ['a short key', { 'sec-websocket-key': 'abcd==' }, 'GET', 400],
    ['a key with a line break', { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==\r\nX: y' }, 'GET', 400],
    ['an old version', { 'sec-websocket-version': '8' }, 'GET', 426],
    ['no version', { 'sec-websocket-version': undefined }, 'GET', 426],
  ] as const)('refuses %s', (_what, headers, method, status) => {
    expect(shake(headers as IncomingHttpHeaders, { method })).toMatchObject({ kind: 'refused', status });
  });

  it('says with a refusal which version it speaks, and which method it takes', () => {
    expect(shake({ 'sec-websocket-version': '12' })).toMatchObject({ headers: { 'sec-websocket-version': '13' } });
    expect(shake({}, { method: 'PUT' })).toMatchObject({ headers: { allow: 'GET' } });
  });

  it('reads tokens as HTTP means them, in any case and among others', () => {
    expect(shake({ upgrade: 'WebSocket', connection: 'keep-alive, UPGRADE' }).kind).toBe('accepted');
  });

  it('takes its subprotocol among others, by its exact name, and opens without one all the same', () => {
    expect(shake({ 'sec-websocket-protocol': 'graphql-ws, graphql-transport-ws' })).toMatchObject({ subprotocol: true });
    for (const offer of [undefined, 'graphql-ws', 'GraphQL-Transport-WS', 'graphql-transport-ws-2']) {
      const handshake = shake({ 'sec-websocket-protocol': offer });
      expect(handshake).toMatchObject({ kind: 'accepted', subprotocol: false });
      expect((handshake as { readonly response: string }).response).not.toContain('Sec-WebSocket-Protocol');
    }
  });
});

describe('the offer of permessage-deflate', () => {
  const plain = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

  it.each([
    ['permessage-deflate', plain],
    ['permessage-deflate; client_max_window_bits', plain],
    ['permessage-deflate; client_max_window_bits=9', plain],
    ['permessage-deflate; server_no_context_takeover; client_no_context_takeover', plain],
    ['x-webkit-deflate-frame, permessage-deflate', plain],
    ['permessage-deflate; server_max_window_bits=15', `${plain}; server_max_window_bits=11`],
    ['permessage-deflate; server_max_window_bits="11"', `${plain}; server_max_window_bits=11`],
    ['permessage-deflate; server_max_window_bits=9, permessage-deflate', plain],
  ])('%s is met', (offer, answer) => {
    expect(agreed(offer)).toBe(answer);
  });

  it.each([
    'permessage-deflate; server_max_window_bits=10',
    'permessage-deflate; server_max_window_bits',
    'permessage-deflate; server_max_window_bits=16',
    'permessage-deflate; client_max_window_bits=7',
    'permessage-deflate; client_max_window_bits=015',
    'permessage-deflate; server_no_context_takeover=1',
    'permessage-deflate; client_max_window_bits; client_max_window_bits',
    'permessage-deflate; unknown',
    'permessage-deflate;',
    'deflate',
    '',
    ';;,,;',
  ])('%j is passed over, and the connection opens without it', (offer) => {
    expect(agreed(offer)).toBeNull();
  });

  it('is not looked at where compression is off', () => {
    expect(shake({ 'sec-websocket-extensions': 'permessage-deflate' }, { compression: false })).toMatchObject({ compression: false });
  });

  it('of any text neither throws nor gets into the answer', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'permsag-dflt;=, "\\\r\n019_ow') }), (offer) => {
        const answer = agreed(offer);
        expect(answer === null || /^permessage-deflate(; [a-z_]+(=11)?)+$/.test(answer)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
