import { type Path, valueAt } from '../events/live-type.ts';
import { MillraceError } from '../kit/errors.ts';
import type { Json, JsonObject } from '../kit/json.ts';
import { isPlainName } from '../kit/plain-name.ts';
import { accessErrors } from './errors.ts';

/** A claim's whole name, or its steps joined by dots, or its steps. A whole name wins over steps. */
export type ClaimPath = string | Path;

export type ClaimsMapping = {
  readonly tenant: ClaimPath;
  readonly user: ClaimPath;
  readonly roles: ClaimPath;
  readonly groups: ClaimPath;
  readonly scopes: ClaimPath;
};

export const CLAIMS_DEFAULTS: ClaimsMapping = { tenant: 'tenant', user: 'sub', roles: 'roles', groups: 'groups', scopes: 'scope' };

/** Characters of a tenant, a user, a role, a group or a scope. */
export const MAX_NAME = 256;
/** Entries of roles, groups and scopes, each. */
export const MAX_LIST = 256;

export type MappedClaims = {
  readonly tenant: string;
  readonly user: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
  readonly scopes: readonly string[];
};

/** Verified claims to the parts of an identity. Throws TENANT_MISSING or TOKEN_INVALID naming the claim, never its value. */
export function mapClaims(claims: JsonObject, mapping: ClaimsMapping): MappedClaims {
  const user = nameAt(claims, mapping.user);
  if (user === null) throw new MillraceError(accessErrors.TOKEN_INVALID, `token refused: claim ${show(mapping.user)} must be ${NAME_RULE}`);
  const roles = listAt(claims, mapping.roles, null);
  const groups = listAt(claims, mapping.groups, null);
  const scopes = listAt(claims, mapping.scopes, ' ');
  const tenant = nameAt(claims, mapping.tenant);
  if (tenant === null)
    throw new MillraceError(accessErrors.TENANT_MISSING, `token refused: claim ${show(mapping.tenant)} must be ${NAME_RULE}`);
  return { tenant, user, roles, groups, scopes };
}

const NAME_RULE = `a string of 1 to ${MAX_NAME} characters without control characters`;

function claimAt(claims: JsonObject, path: ClaimPath): Json | undefined {
  if (typeof path !== 'string') return valueAt(claims, path);
  return Object.hasOwn(claims, path) ? claims[path] : valueAt(claims, path.split('.'));
}

const isName = (value: unknown): value is string => isPlainName(value, MAX_NAME);

function nameAt(claims: JsonObject, path: ClaimPath): string | null {
  const value = claimAt(claims, path);
  return isName(value) ? value : null;
}

function listAt(claims: JsonObject, path: ClaimPath, separator: string | null): readonly string[] {
  const value = claimAt(claims, path);
  if (value === undefined || value === null || value === '') return [];
  const list = typeof value === 'string' ? (separator === null ? [value] : value.split(separator).filter((part) => part !== '')) : value;
  if (!Array.isArray(list) || list.length > MAX_LIST || !list.every(isName)) {
    throw new MillraceError(
      accessErrors.TOKEN_INVALID,
      `token refused: claim ${show(path)} must be a list of at most ${MAX_LIST} strings of 1 to ${MAX_NAME} characters`,
    );
  }
  return list;
}

/** The path is the configuration's, so it may be shown. */
function show(path: ClaimPath): string {
  return `\`${typeof path === 'string' ? path : path.join('.')}\``;
}
