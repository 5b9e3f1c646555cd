import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { createAuthenticator } from './authenticator.ts';
import type { Authenticator } from './identity.ts';
import { ec, forge, hmac, keyPairs } from './test-tokens.ts';

/** A key address on a real socket that can change its keys, fail, hang, redirect and go away. */
class KeyServer {
  requests = 0;
  onRequest: () => void = () => {};
  answer: { status: number; body: string; headers?: Record<string, string> } | 'hang' = { status: 200, body: '{"keys":[]}' };
  readonly #server: Server = createServer((_, res) => {
    this.requests += 1;
    this.onRequest();
    if (this.answer === 'hang') return;
    res.writeHead(this.answer.status, this.answer.headers).end(this.answer.body);
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/keys`;
  }

  publish(...kids: string[]): void {
    const jwk = keyPairs.ec.publicKey.export({ format: 'jwk' });
    this.answer = { status: 200, body: JSON.stringify({ keys: kids.map((kid) => ({ ...jwk, kid, use: 'sig', alg: 'ES256' })) }) };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}

let server: KeyServer;
afterEach(() => server.close());

async function setUp(...kids: string[]): Promise<{ clock: ManualClock; authenticator: Authenticator }> {
  server = new KeyServer();
  server.publish(...kids);
  const clock = new ManualClock();
  const url = await server.listen();
  const authenticator = createAuthenticator({
    mode: 'production',
    clock,
    cache: { ttl: 0 },
    issuers: [{ issuer: 'i', algorithms: ['ES256'], keys: { kind: 'jwks', url } }],
  });
  return { clock, authenticator };
}

function token(clock: ManualClock, kid: string | undefined, claims: object = {}): string {
  const payload = { iss: 'i', sub: 'ann', tenant: 'acme', exp: clock.now() / 1000 + 86_400 * 9, ...claims };
  return `Bearer ${forge({ alg: 'ES256', kid }, payload, ec(keyPairs.ec.privateKey))}`;
}

const accepted = { tenant: 'acme', user: 'ann' };

describe('keys by address', () => {
  it('are fetched once for many tokens at once', async () => {
    const { clock, authenticator } = await setUp('a', 'b');
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => authenticator.authenticate(token(clock, i % 2 ? 'a' : 'b', { jti: `${i}` }))),
    );
    expect(all).toHaveLength(50);
    expect(server.requests).toBe(1);
  });

  it('serve a token without a key id', async () => {
    const { clock, authenticator } = await setUp('a');
    expect(await authenticator.authenticate(token(clock, undefined))).toMatchObject(accepted);
  });

  it('cause one fetch a cooldown for unknown key ids, however many come', async () => {
    const { clock, authenticator } = await setUp('a');
    await authenticator.authenticate(token(clock, 'a'));
    for (let i = 0; i < 100; i++)
      await expect(authenticator.authenticate(token(clock, `x${i}`))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
    expect(server.requests).toBe(1);
    clock.advance(30_000);
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        expect(authenticator.authenticate(token(clock, `y${i}`))).rejects.toMatchObject({ code: 'TOKEN_INVALID' }),
      ),
    );
    expect(server.requests).toBe(2);
  });

  it('find a rotated key after the cooldown', async () => {
    const { clock, authenticator } = await setUp('a');
    await authenticator.authenticate(token(clock, 'a'));
    server.publish('a', 'new');
    clock.advance(30_000);
    expect(await authenticator.authenticate(token(clock, 'new'))).toMatchObject(accepted);
  });

  it('go on verifying while the address is away, and up to the limit only', async () => {
    const { clock, authenticator } = await setUp('a');
    await authenticator.authenticate(token(clock, 'a'));
    await server.close();
    for (let hour = 0; hour < 24; hour++) {
      clock.advance(3_600_000);
      expect(await authenticator.authenticate(token(clock, 'a', { jti: `${hour}` }))).toMatchObject(accepted);
    }
    await expect(authenticator.authenticate(token(clock, 'other'))).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' });
    clock.advance(3_600_000);
    await expect(authenticator.authenticate(token(clock, 'a'))).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' });
  });

  it('stop verifying after they were taken out', async () => {
    const { clock, authenticator } = await setUp('a', 'b');
    await authenticator.authenticate(token(clock, 'a'));
    server.publish('b');
    clock.advance(1_200_001);
    await expect(authenticator.authenticate(token(clock, 'a'))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  });

  it('are unavailable, not invalid, where the address never answered', async () => {
    const { clock, authenticator } = await setUp('a');
    server.answer = { status: 500, body: 'oops' };
    await expect(authenticator.authenticate(token(clock, 'a'))).rejects.toMatchObject({
      code: 'KEYS_UNAVAILABLE',
      spec: { http: 503, retryable: true },
    });
    server.publish('a');
    await expect(authenticator.authenticate(token(clock, 'a'))).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' });
    expect(server.requests).toBe(1);
    clock.advance(30_000);
    expect(await authenticator.authenticate(token(clock, 'a'))).toMatchObject(accepted);
  });

  it('do not wait for an address that hangs', async () => {
    const { clock, authenticator } = await setUp('a');
    server.answer = 'hang';
    const arrived = new Promise<void>((resolve) => (server.onRequest = resolve));
    const waiting = authenticator.authenticate(token(clock, 'a')).catch((error: unknown) => error);
    await arrived;
    clock.advance(5000);
    expect(await waiting).toMatchObject({ code: 'KEYS_UNAVAILABLE' });
  });

  it.each<[string, KeyServer['answer']]>([
    ['a redirect', { status: 302, body: '', headers: { location: 'http://127.0.0.1:1/' } }],
    ['not JSON', { status: 200, body: '<html>' }],
    ['no key set', { status: 200, body: '[]' }],
    ['too long', { status: 200, body: `{"keys":[],"x":"${'x'.repeat(300_000)}"}` }],
    ['too many keys', { status: 200, body: JSON.stringify({ keys: Array.from({ length: 101 }, () => ({})) }) }],
  ])('ignore an answer that is %s', async (_, answer) => {
    const { clock, authenticator } = await setUp('a');
    server.answer = answer;
    await expect(authenticator.authenticate(token(clock, 'a'))).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' });
  });

  it('leave out symmetric and private keys, so that a published secret signs nothing', async () => {
    const { clock, authenticator } = await setUp();
    const secret = Buffer.alloc(32, 7);
    server.answer = {
      status: 200,
      body: JSON.stringify({
        keys: [
          null,
          7,
          { kty: 'oct', kid: 'a', k: secret.toString('base64url') },
          { ...keyPairs.ec.privateKey.export({ format: 'jwk' }), kid: 'a' },
        ],
      }),
    };
    const forged = `Bearer ${forge({ alg: 'HS256', kid: 'a' }, { iss: 'i', sub: 'x', tenant: 'acme', exp: clock.now() / 1000 + 9 }, hmac(secret))}`;
    await expect(authenticator.authenticate(forged)).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
    await expect(authenticator.authenticate(token(clock, 'a'))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  });
});
