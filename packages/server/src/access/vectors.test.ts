import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { createAuthenticator } from './authenticator.ts';
import type { StaticKey } from './issuer.ts';

type Vector = {
  readonly jwk: Extract<StaticKey, { jwk: unknown }>['jwk'];
  readonly issuer: string;
  readonly expiresAt: number;
  readonly token: string;
};

const vector = JSON.parse(readFileSync(new URL('../../../../spec/vectors/access/rfc7515-a3.json', import.meta.url), 'utf8')) as Vector;

it('verifies the token of RFC 7515, A.3, until it expires', async () => {
  const clock = new ManualClock(vector.expiresAt - 1000);
  const authenticator = createAuthenticator({
    mode: 'production',
    clock,
    clockSkew: 0,
    issuers: [
      {
        issuer: vector.issuer,
        algorithms: ['ES256'],
        keys: { kind: 'static', keys: [{ jwk: vector.jwk }] },
        claims: { tenant: 'iss', user: 'iss' },
      },
    ],
  });
  expect(await authenticator.authenticate(`Bearer ${vector.token}`)).toMatchObject({ tenant: 'joe', expiresAt: vector.expiresAt });
  clock.advance(1000);
  await expect(authenticator.authenticate(`Bearer ${vector.token}`)).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
});
