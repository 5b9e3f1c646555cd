import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Identity } from './identity.ts';
import { callerView } from './view.ts';

type User = Extract<Identity, { kind: 'user' }>;

const ANNA: User = {
  kind: 'user',
  tenant: 'acme',
  user: 'anna',
  roles: ['a', 'b'],
  groups: ['g'],
  scopes: ['s'],
  expiresAt: null,
  issuer: 'i',
  tokenId: null,
  token: 'one',
};

const names = fc.array(fc.string({ maxLength: 4 }), { maxLength: 3 });
const users: fc.Arbitrary<User> = fc.record({
  kind: fc.constant('user' as const),
  tenant: fc.string({ maxLength: 4 }),
  user: fc.string({ maxLength: 4 }),
  roles: names,
  groups: names,
  scopes: names,
  expiresAt: fc.constant(null),
  issuer: fc.string({ maxLength: 4 }),
  tokenId: fc.constant(null),
  token: fc.string({ maxLength: 4 }),
});

describe('the view of a caller', () => {
  it('tells two tokens of one user apart where subgraphs see the token: they may read claims that we do not', () => {
    const other = { ...ANNA, token: 'two' };
    expect(callerView(ANNA, true)).not.toBe(callerView(other, true));
    expect(callerView(ANNA, false)).toBe(callerView(other, false));
  });

  it('does not depend on the order of roles', () => {
    expect(callerView({ ...ANNA, roles: ['b', 'a'] }, false)).toBe(callerView(ANNA, false));
  });

  it('never holds the token itself', () => {
    expect(callerView({ ...ANNA, token: 'very-secret-token' }, true)).not.toContain('very-secret-token');
  });

  it('is equal only for callers that are equal in everything a subgraph is told', () => {
    const told = ({ tenant, user, issuer, roles, groups, scopes, token }: User): unknown => [
      tenant,
      user,
      issuer,
      [...roles].sort(),
      [...groups].sort(),
      [...scopes].sort(),
      token,
    ];
    fc.assert(
      fc.property(users, users, (a, b) => {
        expect(callerView(a, true) === callerView(b, true)).toBe(JSON.stringify(told(a)) === JSON.stringify(told(b)));
        expect(callerView(a, true)).not.toBe(callerView({ kind: 'anonymous', tenant: a.tenant }, true));
      }),
    );
  });
});
