import { type Algorithm, PUBLIC_KEY_ALGORITHMS, SECRET_ALGORITHMS } from '../../access/issuer.ts';
import { hint } from './suggest.ts';
import { type Fault, type Kind, type Read, bad, collect, good, list, text, url } from './kinds.ts';

/** One issuer whose tokens are accepted. Exactly one of `jwksUrl`, `secret`, `publicKey` says where the key is. */
export type IssuerConfig = {
  /** The exact `iss` claim. */
  readonly issuer: string;
  /** The `aud` claim must contain it. Null: not checked. */
  readonly audience: string | null;
  readonly algorithms: readonly Algorithm[];
  readonly jwksUrl: string | null;
  /** HS256 and its kin; at least 32 bytes. */
  readonly secret: string | null;
  /** PEM (SPKI). */
  readonly publicKey: string | null;
  /** Which claim holds what; dots step into objects. */
  readonly claims: ClaimNames;
};

export type ClaimNames = {
  readonly user: string;
  readonly tenant: string;
  readonly roles: string;
  readonly groups: string;
  readonly scopes: string;
};

const CLAIM_DEFAULTS: ClaimNames = { user: 'sub', tenant: 'tenant', roles: 'roles', groups: 'groups', scopes: 'scope' };
const KEYS = ['issuer', 'audience', 'algorithms', 'jwksUrl', 'secret', 'publicKey', 'claims'];
const TAKES = 'an object {issuer, audience?, algorithms?, jwksUrl | secret | publicKey, claims?}';

export const issuer: Kind<IssuerConfig> = {
  name: 'issuer',
  takes: TAKES,
  read(raw) {
    if (!isRecord(raw)) return bad(raw, TAKES);
    const faults = [...unknownKeys(raw, KEYS, ''), ...keyFaults(raw)];
    const fields = readFields(raw);
    if (!fields.ok) faults.push(...fields.faults);
    return fields.ok && faults.length === 0 ? fields : { ok: false, faults };
  },
  show: (value) => {
    const key = value.jwksUrl ?? (value.secret === null ? 'a public key' : 'a secret');
    return `${value.issuer} (${value.algorithms.join(', ')}; keys: ${key})`;
  },
};

function readFields(raw: Readonly<Record<string, unknown>>): Read<IssuerConfig> {
  const symmetric = typeof raw['secret'] === 'string';
  const optionalField = (key: string, kind: Kind<string>): readonly [string, Read<unknown>] => [
    `.${key}`,
    raw[key] === undefined || raw[key] === null ? good(null) : masked(kind.read(raw[key]), key),
  ];
  return collect(
    [
      ['.issuer', text('the exact `iss` claim of the tokens').read(raw['issuer'])],
      optionalField('audience', text()),
      ['.algorithms', algorithms(raw['algorithms'], symmetric)],
      optionalField('jwksUrl', url('https', 'http')),
      optionalField(
        'secret',
        text('at least 32 bytes', (value) => Buffer.byteLength(value) >= 32),
      ),
      optionalField(
        'publicKey',
        text('a PEM block, -----BEGIN PUBLIC KEY-----', (value) => value.includes('-----BEGIN')),
      ),
      ['.claims', claims(raw['claims'])],
    ],
    ([name, audience, allowed, jwksUrl, secret, publicKey, names]) =>
      ({ issuer: name, audience, algorithms: allowed, jwksUrl, secret, publicKey, claims: names }) as IssuerConfig,
  );
}

/** A shared secret must never be tried as a public key or the other way about (RFC 8725, 3.1), so each kind of key has its own list. */
function algorithms(raw: unknown, symmetric: boolean): Read<readonly string[]> {
  const allowed = symmetric ? SECRET_ALGORITHMS : PUBLIC_KEY_ALGORITHMS;
  if (raw === undefined) return good(symmetric ? ['HS256'] : ['RS256', 'ES256', 'EdDSA']);
  const takes = `of ${allowed.join(', ')} (a ${symmetric ? 'secret' : 'public key or jwksUrl'} takes no others)`;
  const read = list(text(takes, (value) => (allowed as readonly string[]).includes(value))).read(raw);
  return read.ok && read.value.length === 0 ? bad(raw, 'at least one algorithm') : read;
}

function claims(raw: unknown): Read<ClaimNames> {
  if (raw === undefined) return good(CLAIM_DEFAULTS);
  if (!isRecord(raw)) return bad(raw, `an object with any of ${Object.keys(CLAIM_DEFAULTS).join(', ')}`);
  const faults = unknownKeys(raw, Object.keys(CLAIM_DEFAULTS), '');
  if (faults.length > 0) return { ok: false, faults };
  const parts = Object.entries(raw).map(([key, value]) => [`.${key}`, text('the name of a claim').read(value)] as const);
  return collect(parts, (values) => ({
    ...CLAIM_DEFAULTS,
    ...Object.fromEntries(Object.keys(raw).map((key, index) => [key, values[index]])),
  }));
}

function keyFaults(raw: Readonly<Record<string, unknown>>): Fault[] {
  const given = ['jwksUrl', 'secret', 'publicKey'].filter((key) => raw[key] !== undefined && raw[key] !== null);
  if (given.length === 1) return [];
  return [{ at: '', got: given.length === 0 ? 'none of them' : given.join(' and '), takes: 'exactly one of jwksUrl, secret, publicKey' }];
}

function unknownKeys(raw: Readonly<Record<string, unknown>>, known: readonly string[], at: string): Fault[] {
  return Object.keys(raw)
    .filter((key) => !known.includes(key))
    .map((key) => ({ at: `${at}.${key}`, got: 'an unknown key', takes: `only ${known.join(', ')}${hint(key, known)}` }));
}

function masked<T>(read: Read<T>, key: string): Read<T> {
  if (read.ok || (key !== 'secret' && key !== 'publicKey')) return read;
  return { ok: false, faults: read.faults.map((fault) => ({ ...fault, secret: true })) };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
