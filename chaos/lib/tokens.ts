import { issueDevToken } from '../../packages/server/src/access/dev-tokens.ts';

const known = new Map<string, Promise<string>>();

/** Good for a week: clocks jump here. */
export function tokenOf(tenant: string, user: string): Promise<string> {
  const key = `${tenant} ${user}`;
  let token = known.get(key);
  if (!token) {
    token = issueDevToken({ tenant, user, expiresIn: '7d' });
    known.set(key, token);
  }
  return token;
}
