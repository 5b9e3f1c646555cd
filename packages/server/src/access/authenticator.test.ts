import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { Metrics } from '../kit/metrics.ts';
import { type AuthenticatorOptions, createAuthenticator } from './authenticator.ts';
import { accessErrors } from './errors.ts';
import type { IssuerOptions } from './issuer.ts';
import { ec, ed, forge, hmac, keyPairs, pem, rsa, unsigned } from './test-tokens.ts';

const SECRET = 'a-secret-of-at-least-thirty-two-bytes!';
const START = 1_700_000_000_000;
const NOW = START / 1000;
const hs: IssuerOptions = {
  issuer: 'https://hs.test',
  audience: 'millrace',
  algorithms: ['HS256'],
  keys: { kind: 'secret', secret: SECRET },
};
const rs: IssuerOptions = {
  issuer: 'https://rs.test',
  algorithms: ['RS256'],
  keys: { kind: 'static', keys: [{ kid: 'one', pem: pem(keyPairs.rsa.publicKey) }] },
};
const GOOD = {
  iss: hs.issuer,
  aud: 'millrace',
  sub: 'ann',
  tenant: 'acme',
  roles: ['seller'],
  groups: ['north'],
  scope: 'a b',
  exp: NOW + 60,
  jti: 't1',
};
const HS = { alg: 'HS256' };

function setUp(extra: Partial<AuthenticatorOptions> = {}) {
  const clock = new ManualClock(START);
  const metrics = new Metrics();
  return { clock, metrics, authenticator: createAuthenticator({ mode: 'production', issuers: [hs, rs], clock, metrics, ...extra }) };
}

async function refusal(authorization: string | undefined, extra: Partial<AuthenticatorOptions> = {}): Promise<MillraceError> {
  const thrown: unknown = await setUp(extra)
    .authenticator.authenticate(authorization)
    .then(
      () => null,
      (error: unknown) => error,
    );
  if (!(thrown instanceof MillraceError)) throw new Error('was accepted, or failed without a code');
  return thrown;
}

const bearer = (claims: object, header: object = HS, secret = SECRET) => `Bearer ${forge(header, claims, hmac(secret))}`;

describe('a good token', () => {
  it('becomes an identity', async () => {
    const authorization = bearer(GOOD);
    expect(await setUp().authenticator.authenticate(authorization)).toEqual({
      kind: 'user',
      tenant: 'acme',
      user: 'ann',
      roles: ['seller'],
      groups: ['north'],
      scopes: ['a', 'b'],
      expiresAt: (NOW + 60) * 1000,
      issuer: hs.issuer,
      tokenId: 't1',
      token: authorization.slice(7),
    });
  });

  it.each([
    ['RS256', rsa(keyPairs.rsa.privateKey), keyPairs.rsa.publicKey],
    ['ES256', ec(keyPairs.ec.privateKey), keyPairs.ec.publicKey],
    ['EdDSA', ed(keyPairs.ed.privateKey), keyPairs.ed.publicKey],
    ['Ed25519', ed(keyPairs.ed.privateKey), keyPairs.ed.publicKey],
  ] as const)('verifies %s by PEM and by JWK, with and without a key id', async (alg, signer, key) => {
    for (const keys of [[{ pem: pem(key) }], [{ jwk: { ...key.export({ format: 'jwk' }), kid: 'k' } }]]) {
      const { authenticator } = setUp({ issuers: [{ issuer: 'i', algorithms: [alg], keys: { kind: 'static', keys } }] });
      for (const header of [{ alg }, { alg, kid: 'k' }]) {
        const identity = await authenticator.authenticate(`bearer ${forge(header, { ...GOOD, iss: 'i' }, signer)}`);
        expect(identity).toMatchObject({ kind: 'user', tenant: 'acme' });
      }
    }
  });

  it('maps claims from configured paths: whole names, dotted steps, lists of steps', async () => {
    const claims = {
      tenant: ['realm', 'tenant.id'],
      user: 'https://x.test/user',
      roles: 'realm.access',
      groups: 'none',
      scopes: 'permissions',
    };
    const { authenticator } = setUp({ issuers: [{ ...hs, claims }] });
    const identity = await authenticator.authenticate(
      bearer({
        ...GOOD,
        tenant: 'not this',
        sub: 'nor this',
        realm: { 'tenant.id': 'acme', access: 'one role' },
        'https://x.test/user': 'bob',
        permissions: ['p q'],
      }),
    );
    expect(identity).toMatchObject({ tenant: 'acme', user: 'bob', roles: ['one role'], groups: [], scopes: ['p q'] });
  });

  it('is forgiven the clock skew on both ends and no more', async () => {
    const { authenticator } = setUp();
    await expect(authenticator.authenticate(bearer({ ...GOOD, exp: NOW - 29 }))).resolves.toMatchObject({ user: 'ann' });
    await expect(authenticator.authenticate(bearer({ ...GOOD, nbf: NOW + 30 }))).resolves.toMatchObject({ user: 'ann' });
    await expect(authenticator.authenticate(bearer({ ...GOOD, exp: NOW - 30 }))).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
    await expect(authenticator.authenticate(bearer({ ...GOOD, nbf: NOW + 31 }))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  });

  it("may have no end where the issuer's entry says so", async () => {
    const { exp: _, ...endless } = GOOD;
    const { authenticator } = setUp({ issuers: [{ ...hs, requireExpiry: false }] });
    expect(await authenticator.authenticate(bearer(endless))).toMatchObject({ expiresAt: null });
    expect(await refusal(bearer(endless))).toMatchObject({ code: 'TOKEN_INVALID', message: 'token refused: claim `exp` is missing' });
  });
});

describe('a bad token', () => {
  const publicPem = pem(keyPairs.rsa.publicKey);
  const foreign = { ...GOOD, iss: rs.issuer };
  it.each<[string, string, string]>([
    ['empty', '', 'TOKEN_INVALID'],
    ['another scheme', 'Basic YTpi', 'TOKEN_INVALID'],
    ['two tokens', `${bearer(GOOD)} x`, 'TOKEN_INVALID'],
    ['five parts (JWE)', 'Bearer a.b.c.d.e', 'TOKEN_INVALID'],
    ['payload not JSON', `Bearer ${forge(HS, 'nope', hmac(SECRET))}`, 'TOKEN_INVALID'],
    ['header not JSON', `Bearer ${forge('nope', GOOD, hmac(SECRET))}`, 'TOKEN_INVALID'],
    ['header a list', `Bearer ${forge([], GOOD, hmac(SECRET))}`, 'TOKEN_INVALID'],
    ['alg none', `Bearer ${forge({ alg: 'none' }, GOOD, unsigned)}`, 'TOKEN_INVALID'],
    ['alg None', `Bearer ${forge({ alg: 'None' }, GOOD, unsigned)}`, 'TOKEN_INVALID'],
    ['alg of another kind', `Bearer ${forge({ alg: ['HS256'] }, GOOD, hmac(SECRET))}`, 'TOKEN_INVALID'],
    ['no signature', `Bearer ${forge(HS, GOOD, unsigned)}`, 'TOKEN_INVALID'],
    ['alg confusion: the public key as a secret', `Bearer ${forge(HS, foreign, hmac(publicPem))}`, 'TOKEN_INVALID'],
    ['alg confusion with the key id', `Bearer ${forge({ alg: 'HS256', kid: 'one' }, foreign, hmac(publicPem))}`, 'TOKEN_INVALID'],
    ['another RSA key', `Bearer ${forge({ alg: 'RS256' }, foreign, rsa(keyPairs.otherRsa.privateKey))}`, 'TOKEN_INVALID'],
    [
      'its own key in the header',
      `Bearer ${forge({ alg: 'RS256', jwk: keyPairs.otherRsa.publicKey.export({ format: 'jwk' }) }, foreign, rsa(keyPairs.otherRsa.privateKey))}`,
      'TOKEN_INVALID',
    ],
    ['an unknown key id', `Bearer ${forge({ alg: 'RS256', kid: 'two' }, foreign, rsa(keyPairs.rsa.privateKey))}`, 'TOKEN_INVALID'],
    ['unknown critical header', bearer(GOOD, { alg: 'HS256', crit: ['x'], x: 1 }), 'TOKEN_INVALID'],
    ['another secret', bearer(GOOD, HS, `${SECRET}!`), 'TOKEN_INVALID'],
    ['signed by one issuer in the name of another', bearer(foreign), 'TOKEN_INVALID'],
    ['wrong audience', bearer({ ...GOOD, aud: 'other' }), 'TOKEN_INVALID'],
    ['no audience', bearer({ ...GOOD, aud: undefined }), 'TOKEN_INVALID'],
    ['not valid yet', bearer({ ...GOOD, nbf: NOW + 3600 }), 'TOKEN_INVALID'],
    ['expired', bearer({ ...GOOD, exp: NOW - 3600 }), 'TOKEN_EXPIRED'],
    ['no expiry', bearer({ ...GOOD, exp: undefined }), 'TOKEN_INVALID'],
    ['expiry a text', bearer({ ...GOOD, exp: '9999999999' }), 'TOKEN_INVALID'],
    ['expiry beyond time', bearer({ ...GOOD, exp: 1e300 }), 'TOKEN_INVALID'],
    ['foreign issuer', bearer({ ...GOOD, iss: 'https://evil.test' }), 'ISSUER_NOT_ALLOWED'],
    ['no issuer', bearer({ ...GOOD, iss: undefined }), 'ISSUER_NOT_ALLOWED'],
    ['issuer __proto__', bearer({ ...GOOD, iss: '__proto__' }), 'ISSUER_NOT_ALLOWED'],
    ['the dev issuer outside dev', bearer({ ...GOOD, iss: 'https://millrace.invalid/dev' }), 'ISSUER_NOT_ALLOWED'],
    ['no tenant', bearer({ ...GOOD, tenant: undefined }), 'TENANT_MISSING'],
    ['empty tenant', bearer({ ...GOOD, tenant: '' }), 'TENANT_MISSING'],
    ['tenant a number', bearer({ ...GOOD, tenant: 7 }), 'TENANT_MISSING'],
    ['tenant a list', bearer({ ...GOOD, tenant: ['acme'] }), 'TENANT_MISSING'],
    ['tenant with a line break', bearer({ ...GOOD, tenant: 'a\nb' }), 'TENANT_MISSING'],
    ['tenant too long', bearer({ ...GOOD, tenant: 'a'.repeat(257) }), 'TENANT_MISSING'],
    ['no user', bearer({ ...GOOD, sub: undefined }), 'TOKEN_INVALID'],
    ['roles an object', bearer({ ...GOOD, roles: { admin: true } }), 'TOKEN_INVALID'],
    ['a role that is a number', bearer({ ...GOOD, roles: [1] }), 'TOKEN_INVALID'],
    ['too many groups', bearer({ ...GOOD, groups: Array.from({ length: 257 }, (_, i) => `g${i}`) }), 'TOKEN_INVALID'],
    ['huge', bearer({ ...GOOD, padding: 'x'.repeat(20_000) }), 'TOKEN_INVALID'],
  ])('%s is refused', async (_, authorization, code) => {
    const error = await refusal(authorization);
    expect(error.code).toBe(code);
    expect(error.spec.class).toBe('auth');
    for (const secret of [SECRET, 'evil', 'acme', authorization.slice(7, 40)])
      if (secret !== '') expect(error.message).not.toContain(secret);
    // Also where anonymous callers are welcome: a bad token is never taken for none.
    expect((await refusal(authorization, { anonymous: { kind: 'allowed', tenant: 'acme' } })).code).toBe(code);
  });

  it('a tenant that only a prototype has is no tenant', async () => {
    for (const path of ['__proto__.x', 'constructor.name', 'toString', 'roles.length']) {
      expect((await refusal(bearer(GOOD), { issuers: [{ ...hs, claims: { tenant: path } }] })).code).toBe('TENANT_MISSING');
    }
  });

  it('any change of any character of a token is refused', async () => {
    const { authenticator } = setUp();
    const token = bearer(GOOD).slice(7);
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom('A', 'B', 'a', 'b', '0', '9', '-', '_', '.'), async (at, letter) => {
        fc.pre(token[at] !== letter);
        const changed = token.slice(0, at) + letter + token.slice(at + 1);
        // The last character of a part carries padding bits; where these alone differ the bytes are the same and so is the token.
        fc.pre(!sameBytes(token, changed));
        await expect(authenticator.authenticate(`Bearer ${changed}`)).rejects.toBeInstanceOf(MillraceError);
      }),
      { numRuns: 300 },
    );
  });

  it('any text is refused with a code', async () => {
    const { authenticator } = setUp();
    const texts = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.string().map((s) => `Bearer ${s}`),
    );
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const thrown: unknown = await authenticator.authenticate(text).catch((error: unknown) => error);
        expect(thrown).toBeInstanceOf(MillraceError);
        expect(Object.keys(accessErrors)).toContain((thrown as MillraceError).code);
      }),
    );
  });

  it('any claims, rightly signed, give an identity by the rules or a code', async () => {
    const { authenticator } = setUp();
    const value = fc.oneof(fc.jsonValue(), fc.string({ minLength: 1, maxLength: 20 }), fc.array(fc.string({ minLength: 1, maxLength: 9 })));
    const claims = fc.record({ sub: value, tenant: value, roles: value, groups: value, scope: value, extra: value }, { requiredKeys: [] });
    await fc.assert(
      fc.asyncProperty(claims, async (random) => {
        const outcome: unknown = await authenticator
          .authenticate(bearer({ iss: hs.issuer, aud: 'millrace', exp: NOW + 60, ...random }))
          .catch((e: unknown) => e);
        if (outcome instanceof MillraceError) {
          expect(['TOKEN_INVALID', 'TENANT_MISSING']).toContain(outcome.code);
        } else {
          expect(outcome).toMatchObject({ tenant: random.tenant, user: random.sub });
        }
      }),
      { numRuns: 300 },
    );
  });
});

function sameBytes(a: string, b: string): boolean {
  const [left, right] = [a, b].map((token) =>
    token
      .split('.')
      .map((text) => Buffer.from(text, 'base64url').toString('hex'))
      .join('.'),
  );
  return left === right;
}

describe('nobody', () => {
  it('is refused by default', async () => {
    expect(await refusal(undefined)).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  it('is a guest where the configuration says so', async () => {
    expect(await setUp({ anonymous: { kind: 'allowed', tenant: 'public' } }).authenticator.authenticate(undefined)).toEqual({
      kind: 'anonymous',
      tenant: 'public',
    });
  });
});

describe('the cache of verified tokens', () => {
  async function outcomes(metrics: Metrics): Promise<Record<string, number>> {
    const json = await metrics.registry.getMetricsAsJSON();
    const found = json.find((m) => m.name === 'millrace_access_authentications_total');
    return Object.fromEntries((found?.values ?? []).map((v) => [String(v.labels['outcome']), v.value]));
  }

  it('verifies a token once for 1,000 reconnects, at once or one after the other', async () => {
    const { authenticator, metrics } = setUp();
    const authorization = bearer(GOOD);
    await Promise.all(Array.from({ length: 500 }, () => authenticator.authenticate(authorization)));
    for (let i = 0; i < 500; i++) await authenticator.authenticate(authorization);
    expect(await outcomes(metrics)).toEqual({ verified: 1, cached: 500 });
  });

  it('never outlives the token', async () => {
    const { authenticator, clock } = setUp();
    const authorization = bearer(GOOD);
    await authenticator.authenticate(authorization);
    clock.advance(90_000);
    await expect(authenticator.authenticate(authorization)).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
  });

  it('is verified again after its time, and forgets the least recently used when full', async () => {
    const { authenticator, clock, metrics } = setUp({ cache: { maxTokens: 2, ttl: 1000 } });
    const [a, b, c] = ['a', 'b', 'c'].map((sub) => bearer({ ...GOOD, sub }));
    await authenticator.authenticate(a);
    await authenticator.authenticate(b);
    await authenticator.authenticate(a);
    await authenticator.authenticate(c);
    await authenticator.authenticate(a);
    expect(await outcomes(metrics)).toEqual({ verified: 3, cached: 2 });
    await authenticator.authenticate(b);
    expect(await outcomes(metrics)).toEqual({ verified: 4, cached: 2 });
    clock.advance(1001);
    await authenticator.authenticate(b);
    expect(await outcomes(metrics)).toEqual({ verified: 5, cached: 2 });
  });

  it('does not remember refusals as anything else', async () => {
    const { authenticator } = setUp();
    for (let i = 0; i < 3; i++)
      await expect(authenticator.authenticate(bearer(GOOD, HS, `${SECRET}x`))).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  });
});

describe('a configuration that contradicts itself', () => {
  const bad: [string, Partial<AuthenticatorOptions>][] = [
    ['none as an algorithm', { issuers: [{ ...hs, algorithms: ['none' as 'HS256'] }] }],
    ['a secret with RS256', { issuers: [{ ...hs, algorithms: ['RS256'] }] }],
    ['public keys with HS256', { issuers: [{ ...rs, algorithms: ['RS256', 'HS256'] }] }],
    ['no algorithm', { issuers: [{ ...hs, algorithms: [] }] }],
    ['a short secret', { issuers: [{ ...hs, keys: { kind: 'secret', secret: 'short' } }] }],
    ['a private key', { issuers: [{ ...rs, keys: { kind: 'static', keys: [{ pem: pem(keyPairs.rsa.privateKey) }] } }] }],
    [
      'a private JWK',
      { issuers: [{ ...rs, keys: { kind: 'static', keys: [{ jwk: keyPairs.rsa.privateKey.export({ format: 'jwk' }) }] } }] },
    ],
    ['a weak RSA key', { issuers: [{ ...rs, keys: { kind: 'static', keys: [{ pem: pem(keyPairs.weakRsa.publicKey) }] } }] }],
    ['a key that fits no algorithm', { issuers: [{ ...rs, algorithms: ['ES256'] }] }],
    ['rubbish as a key', { issuers: [{ ...rs, keys: { kind: 'static', keys: [{ pem: 'rubbish' }] } }] }],
    ['no keys', { issuers: [{ ...rs, keys: { kind: 'static', keys: [] } }] }],
    ['a key address without TLS', { issuers: [{ ...rs, keys: { kind: 'jwks', url: 'http://keys.test/' } }] }],
    ['a key address that is none', { issuers: [{ ...rs, keys: { kind: 'jwks', url: 'file:///etc/passwd' } }] }],
    ['one issuer twice', { issuers: [hs, hs] }],
    ['the name of the dev issuer', { issuers: [{ ...hs, issuer: 'https://millrace.invalid/dev' }] }],
    ['the dev secret', { issuers: [{ ...hs, keys: { kind: 'secret', secret: 'millrace-dev-secret-that-only-dev-mode-accepts' } }] }],
    ['too much skew', { clockSkew: 300_001 }],
    ['skew that is no number', { clockSkew: Number.NaN }],
  ];
  it.each(bad)('%s does not start', (_, options) => {
    expect(() => setUp(options)).toThrow(expect.objectContaining({ code: 'ACCESS_MISCONFIGURED' }));
  });
});
