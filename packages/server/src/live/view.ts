import type { Identity } from '../access/identity.ts';
import type { UpstreamIdentity } from '../access/upstream-headers.ts';
import { callerView } from '../access/view.ts';

/** The identity that enrichment runs under: the user's own token, the tenant and roles, or the tenant alone. */
export type EnrichmentIdentity = UpstreamIdentity;

/**
 * What may change the answer of a document: equal views share executions, others never (spec/delivery.md, D15). Anonymous sessions never
 * share with anybody signed in.
 */
export function viewOf(identity: Identity, tenant: string, enriches: boolean, mode: EnrichmentIdentity, forwardToken: boolean): string {
  if (identity.kind === 'anonymous') return JSON.stringify(['anonymous', tenant]);
  if (!enriches || mode === 'tenant') return JSON.stringify(['tenant', tenant]);
  if (mode === 'roles') return JSON.stringify(['roles', tenant, [...identity.roles].sort()]);
  return callerView(identity, forwardToken);
}
