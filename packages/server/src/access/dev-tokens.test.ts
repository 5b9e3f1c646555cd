import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { createAuthenticator } from './authenticator.ts';
import { issueDevToken } from './dev-tokens.ts';
import type { Identity } from './identity.ts';
import { demand, type Permission, permits } from './permissions.ts';

const ALL: readonly Permission[] = ['events:write', 'registry:read', 'registry:write', 'admin'];

describe('dev tokens', () => {
  it('are accepted in dev mode with all that was asked for, and permit everything there', async () => {
    const clock = new ManualClock();
    const token = await issueDevToken(
      { tenant: 'acme', user: 'ann', roles: ['r'], groups: ['g'], scopes: ['x', 'y'], expiresIn: '30m' },
      clock,
    );
    const identity = await createAuthenticator({ mode: 'dev', issuers: [], clock }).authenticate(`Bearer ${token}`);
    expect(identity).toMatchObject({
      tenant: 'acme',
      user: 'ann',
      roles: ['r'],
      groups: ['g'],
      scopes: ['x', 'y'],
      expiresAt: clock.now() + 1_800_000,
    });
    expect(ALL.every((permission) => permits(identity, permission))).toBe(true);
  });

  it('are refused outside dev mode', async () => {
    const token = await issueDevToken({ tenant: 'acme', user: 'ann' });
    await expect(createAuthenticator({ mode: 'production', issuers: [] }).authenticate(`Bearer ${token}`)).rejects.toMatchObject({
      code: 'ISSUER_NOT_ALLOWED',
    });
  });

  it.each(['0', 'soon', '-1h', '366d', ''])('are not issued for %j', async (expiresIn) => {
    await expect(issueDevToken({ tenant: 'acme', user: 'ann', expiresIn })).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  });

  it('expire', async () => {
    const clock = new ManualClock();
    const token = await issueDevToken({ tenant: 'acme', user: 'ann', expiresIn: '5s' }, clock);
    clock.advance(60_000);
    await expect(createAuthenticator({ mode: 'dev', issuers: [], clock }).authenticate(`Bearer ${token}`)).rejects.toMatchObject({
      code: 'TOKEN_EXPIRED',
    });
  });
});

describe('permissions', () => {
  const user = (...scopes: string[]): Identity => ({
    kind: 'user',
    tenant: 't',
    user: 'u',
    roles: ['admin'],
    groups: ['admin'],
    scopes,
    expiresAt: null,
    issuer: 'i',
    tokenId: null,
    token: '',
  });

  it.each<[string, Identity, readonly Permission[]]>([
    ['anonymous', { kind: 'anonymous', tenant: 't' }, []],
    ['no scope', user(), []],
    ['scopes of others', user('admin', 'events:write', 'registry:write'), []],
    ['events', user('millrace:events:write'), ['events:write']],
    ['read', user('millrace:registry:read'), ['registry:read']],
    ['write', user('millrace:registry:write'), ['registry:read', 'registry:write']],
    ['admin', user('millrace:admin'), ALL],
  ])('%s', (_, identity, allowed) => {
    expect(ALL.filter((permission) => permits(identity, permission))).toEqual(ALL.filter((permission) => allowed.includes(permission)));
  });

  it('are demanded with the code that says why not', () => {
    expect(() => demand({ kind: 'anonymous', tenant: null }, 'admin')).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }));
    expect(() => demand(user(), 'admin')).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
    expect(() => demand(user('millrace:admin'), 'events:write')).not.toThrow();
  });
});
