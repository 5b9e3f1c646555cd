import { createPublicKey, createSecretKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { JWK } from 'jose';
import { type IssuerOptions, misconfigured, type StaticKey } from './issuer.ts';

/** What of a token's header chooses a key. */
export type KeyHint = { readonly alg: string; readonly kid: string | null };

export type VerifyKey = {
  readonly kid: string | null;
  readonly key: KeyObject;
  /** The only algorithm that the key's owner allows, or null. */ readonly alg: string | null;
};

/** PORT. The keys of one issuer. */
export interface KeySet {
  /**
   * Keys that may have signed a token with this header, at most MAX_CANDIDATES; none where the key is unknown.
   * Rejects with KEYS_UNAVAILABLE where nothing fits and the keys could not be fetched.
   */
  candidates(hint: KeyHint): Promise<readonly VerifyKey[]>;
}

/** A token without `kid` is tried against this many keys: bounds the work that a forged token can cause. */
export const MAX_CANDIDATES = 8;

export class FixedKeySet implements KeySet {
  readonly #keys: readonly VerifyKey[];

  constructor(keys: readonly VerifyKey[]) {
    this.#keys = keys;
  }

  async candidates(hint: KeyHint): Promise<readonly VerifyKey[]> {
    return select(this.#keys, hint);
  }
}

export function fixedKeys(entry: IssuerOptions): FixedKeySet {
  if (entry.keys.kind === 'secret') {
    return new FixedKeySet([{ kid: null, key: createSecretKey(Buffer.from(entry.keys.secret)), alg: null }]);
  }
  if (entry.keys.kind === 'static') return new FixedKeySet(entry.keys.keys.map((key, index) => staticKey(entry, key, index)));
  throw misconfigured(`access.issuers[${entry.issuer}].keys of kind ${entry.keys.kind} are not fixed`);
}

function staticKey(entry: IssuerOptions, source: StaticKey, index: number): VerifyKey {
  const at = `access.issuers[${entry.issuer}].keys.keys[${index}]`;
  const key = 'pem' in source ? fromPem(at, source.pem) : fromJwk(source.jwk);
  if (key === null) throw misconfigured(`${at} is not a public RSA (2048 bits or more), EC or Ed25519 key`);
  const fitting = entry.algorithms.some((alg) => fits(key, alg));
  if (!fitting) throw misconfigured(`${at} fits none of the algorithms ${entry.algorithms.join(', ')}`);
  const jwk = 'jwk' in source ? source.jwk : null;
  return { kid: source.kid ?? jwk?.kid ?? null, key, alg: jwk?.alg ?? null };
}

function fromPem(at: string, pem: string): KeyObject | null {
  if (pem.includes('PRIVATE KEY'))
    throw misconfigured(`${at}.pem is a private key: give the public one, and treat the private one as leaked if it was shared`);
  try {
    return usable(pem.includes('BEGIN CERTIFICATE') ? new X509Certificate(pem).publicKey : createPublicKey(pem));
  } catch (thrown) {
    throw misconfigured(`${at}.pem cannot be read as a public key`, thrown);
  }
}

/** Null for private, symmetric, encryption-only and unknown keys: a set may hold keys that are not for us. */
export function fromJwk(jwk: JWK): KeyObject | null {
  if (jwk.kty === 'oct' || 'd' in jwk || 'k' in jwk || (jwk.use !== undefined && jwk.use !== 'sig')) return null;
  try {
    return usable(createPublicKey({ key: jwk, format: 'jwk' }));
  } catch {
    return null;
  }
}

function usable(key: KeyObject): KeyObject | null {
  const type = key.asymmetricKeyType;
  if (type === 'rsa') return (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048 ? key : null;
  return type === 'ec' || type === 'ed25519' ? key : null;
}

/** RFC 7518, 3.4: the curve belongs to the algorithm. */
const CURVES = new Map([
  ['ES256', 'prime256v1'],
  ['ES384', 'secp384r1'],
  ['ES512', 'secp521r1'],
]);

/** Whether a key can have made a signature of this algorithm. The kind of key decides, never the token's word alone. */
export function fits(key: KeyObject, alg: string): boolean {
  if (key.type === 'secret') return alg.startsWith('HS');
  if (key.asymmetricKeyType === 'rsa') return alg.startsWith('RS') || alg.startsWith('PS');
  if (key.asymmetricKeyType === 'ec') return CURVES.get(alg) === key.asymmetricKeyDetails?.namedCurve;
  return key.asymmetricKeyType === 'ed25519' && (alg === 'EdDSA' || alg === 'Ed25519');
}

/** With a `kid`, keys of that name or without any name; without, every key that fits. */
export function select(keys: Iterable<VerifyKey>, hint: KeyHint): readonly VerifyKey[] {
  const chosen: VerifyKey[] = [];
  for (const candidate of keys) {
    if (hint.kid !== null && candidate.kid !== null && candidate.kid !== hint.kid) continue;
    if (candidate.alg !== null && candidate.alg !== hint.alg) continue;
    if (!fits(candidate.key, hint.alg)) continue;
    chosen.push(candidate);
    if (chosen.length === MAX_CANDIDATES) break;
  }
  return chosen;
}
