import { MillraceError } from '../kit/errors.ts';
import { DEV_ISSUER } from './dev-tokens.ts';
import { accessErrors } from './errors.ts';
import type { Identity } from './identity.ts';

/** What Millrace's own APIs ask for. Normative: spec/access.md, 6. */
export type Permission = 'events:write' | 'registry:read' | 'registry:write' | 'admin';

/** Prefixed, so that a tenant's own `admin` scope never opens Millrace itself. */
export function scopeOf(permission: Permission): string {
  return `millrace:${permission}`;
}

/** An identity with the dev issuer exists only where dev mode accepted it, and may do everything there. */
export function permits(identity: Identity, permission: Permission): boolean {
  if (identity.kind === 'anonymous') return false;
  if (identity.issuer === DEV_ISSUER || identity.scopes.includes(scopeOf('admin')) || identity.scopes.includes(scopeOf(permission)))
    return true;
  return permission === 'registry:read' && identity.scopes.includes(scopeOf('registry:write'));
}

/** Throws UNAUTHENTICATED for an anonymous caller, FORBIDDEN naming the scope that is missing. */
export function demand(identity: Identity, permission: Permission): void {
  if (permits(identity, permission)) return;
  if (identity.kind === 'anonymous') throw new MillraceError(accessErrors.UNAUTHENTICATED, 'a bearer token is needed here');
  throw new MillraceError(accessErrors.FORBIDDEN, `the token lacks the scope ${scopeOf(permission)}`, { scope: scopeOf(permission) });
}
