import { createHash } from 'node:crypto';
import type { Identity } from './identity.ts';

/**
 * Names who may share work that is done as this caller: equal views share, others never. JSON, so that no choice of names makes two
 * views equal. Two tokens of one user may differ in what they allow: everything verified about the user is part of it, and the token
 * itself where subgraphs get to see it, since they may read claims that Millrace does not.
 */
export function callerView(identity: Identity, forwardToken: boolean): string {
  if (identity.kind === 'anonymous') return JSON.stringify(['anonymous', identity.tenant]);
  const { tenant, issuer, user, roles, groups, scopes } = identity;
  const token = forwardToken ? createHash('sha256').update(identity.token).digest('base64url') : null;
  return JSON.stringify(['user', tenant, issuer, user, [...roles].sort(), [...groups].sort(), [...scopes].sort(), token]);
}
