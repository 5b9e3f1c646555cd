import type { Identity } from '../access/identity.ts';
import type { UpstreamIdentity } from '../access/upstream-headers.ts';

/** The identity that enrichment runs under: the user's own token, the tenant and roles, or the tenant alone. */
export type EnrichmentIdentity = UpstreamIdentity;

/**
 * What may change the answer of a document: equal views share executions, others never (spec/delivery.md, D15). JSON, so that no
 * choice of names makes two views equal. Anonymous sessions never share with anybody signed in.
 */
export function viewOf(identity: Identity, tenant: string, enriches: boolean, mode: EnrichmentIdentity): string {
  if (identity.kind === 'anonymous') return JSON.stringify(['anonymous', tenant]);
  if (!enriches || mode === 'tenant') return JSON.stringify(['tenant', tenant]);
  const roles = [...identity.roles].sort();
  if (mode === 'roles') return JSON.stringify(['roles', tenant, roles]);
  // Two tokens of one user may differ in what they allow: the weaker one must not be answered with the stronger one's data.
  return JSON.stringify(['user', tenant, identity.issuer, identity.user, roles, [...identity.groups].sort(), [...identity.scopes].sort()]);
}
