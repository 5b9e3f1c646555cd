import type { Identity } from './identity.ts';

/** Who an upstream request is made as. `user` forwards the token (unless told not to), `roles` the tenant and roles, `tenant` the tenant alone. */
export type UpstreamIdentity = 'user' | 'roles' | 'tenant';

/**
 * Headers that tell subgraphs who is asking: spec/protocol.md section 1. From the verified identity only; header names of a client
 * are never copied, so nobody can claim another tenant by sending them.
 */
export function identityHeaders(
  identity: Identity,
  tenant: string | null,
  as: UpstreamIdentity,
  forwardToken: boolean,
): Record<string, string> {
  const headers: Record<string, string> = {};
  if (tenant !== null) headers['millrace-tenant'] = headerValue(tenant);
  if (identity.kind === 'anonymous' || as === 'tenant') return headers;
  headers['millrace-roles'] = identity.roles.map(headerValue).join(',');
  if (as === 'roles') return headers;
  headers['millrace-user'] = headerValue(identity.user);
  if (forwardToken) headers['authorization'] = `Bearer ${identity.token}`;
  return headers;
}

/** Visible ASCII without `%` and `,` as it is, every other byte percent-encoded: ids are free text, header values are not. */
function headerValue(value: string): string {
  return value.replace(/[^\x21-\x24\x26-\x2b\x2d-\x7e]/gu, (character) =>
    [...Buffer.from(character, 'utf8')].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
