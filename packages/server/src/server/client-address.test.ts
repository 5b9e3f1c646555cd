import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientAddresses, parseNetwork } from './client-address.ts';

const request = (remoteAddress: string, forwarded?: string): IncomingMessage =>
  ({ socket: { remoteAddress }, headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded } }) as unknown as IncomingMessage;

const addressOf = clientAddresses(['10.0.0.0/8', '192.168.1.7', 'fd00::/8']);

describe('whose connection a request is', () => {
  it.each([
    ['a client without a proxy', '203.0.113.9', undefined, '203.0.113.9'],
    ['a client that invents a header', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['behind a proxy', '10.1.2.3', '203.0.113.9', '203.0.113.9'],
    ['behind two', '10.1.2.3', '203.0.113.9, 192.168.1.7', '203.0.113.9'],
    ['behind a proxy, with an invention before it', '10.1.2.3', '127.0.0.1, 10.9.9.9, 203.0.113.9', '203.0.113.9'],
    ['a proxy itself, as for a health check', '10.1.2.3', undefined, '10.1.2.3'],
    ['a proxy that says nothing of use', '10.1.2.3', 'unknown', '10.1.2.3'],
    ['a dual-stack socket', '::ffff:10.1.2.3', '::ffff:203.0.113.9', '203.0.113.9'],
    ['IPv6', 'fd00::1', '2001:db8::5', '2001:db8::5'],
  ])('%s', (_what, remote, forwarded, expected) => {
    expect(addressOf(request(remote, forwarded))).toBe(expected);
  });

  it('is never what a client wrote, whatever it writes', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789abcdef.:, '), maxLength: 3_000 }), (invention) => {
        expect(addressOf(request('203.0.113.9', invention))).toBe('203.0.113.9');
        expect(addressOf(request('10.1.2.3', `${invention}, 203.0.113.9`))).toBe('203.0.113.9');
      }),
    );
  });

  it('is the socket where no proxy is trusted', () => {
    expect(clientAddresses([])(request('10.1.2.3', '203.0.113.9'))).toBe('10.1.2.3');
  });
});

describe('a network', () => {
  it.each(['10.0.0.0/33', '10.0.0/8', '10.0.0.0/8/8', 'fd00::/129', 'localhost', '', '10.0.0.1/'])('%j is none', (text) => {
    expect(parseNetwork(text)).toBeNull();
  });
});
