import { createHmac } from 'node:crypto';

/** The issuer that the server under test is configured with: production mode, tokens verified as anywhere. */
export const ISSUER = 'https://issuer.bench.example/';
export const SECRET = 'a-secret-of-the-benchmark-that-opens-nothing-else';
export const TENANT = 'acme';

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const HEADER = encode({ alg: 'HS256', typ: 'JWT' });

/** A bearer token (HS256) of a user, valid for two hours. */
export function token(user: string, scopes: readonly string[] = [], tenant = TENANT): string {
  const now = Math.floor(Date.now() / 1000);
  const body = encode({ iss: ISSUER, aud: 'millrace', sub: user, tenant, scope: scopes.join(' '), iat: now, exp: now + 7_200 });
  const signature = createHmac('sha256', SECRET).update(`${HEADER}.${body}`).digest('base64url');
  return `${HEADER}.${body}.${signature}`;
}

/** For publishing, pushing schemas and reading metrics. */
export const operatorToken = (): string => token('operator', ['millrace:admin']);
