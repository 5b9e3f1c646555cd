import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** Builds tokens by hand, so that tests can also make those that no library would sign. */
export function forge(header: unknown, claims: unknown, signature: (input: string) => Buffer): string {
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${signature(input).toString('base64url')}`;
}

function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

export function hmac(secret: string | Buffer): (input: string) => Buffer {
  return (input) => createHmac('sha256', secret).update(input).digest();
}

export function rsa(key: KeyObject): (input: string) => Buffer {
  return (input) => sign('sha256', Buffer.from(input), key);
}

export function ec(key: KeyObject): (input: string) => Buffer {
  return (input) => sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
}

export function ed(key: KeyObject): (input: string) => Buffer {
  return (input) => sign(null, Buffer.from(input), key);
}

export const unsigned = (): Buffer => Buffer.alloc(0);

export const keyPairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  otherRsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  weakRsa: generateKeyPairSync('rsa', { modulusLength: 1024 }),
  ec: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  ed: generateKeyPairSync('ed25519'),
};

export function pem(key: KeyObject): string {
  return key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' });
}
