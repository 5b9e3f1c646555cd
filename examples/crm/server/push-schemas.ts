import type { Crm } from './start.ts';

/** Pushes the three schemas to Millrace's registry, one after the other; each state in between composes. */
export async function pushSchemas(registryUrl: string, token: string, subgraphs: Crm['subgraphs']): Promise<void> {
  for (const { name, url, sdl } of subgraphs) {
    const response = await fetch(new URL('/schema/push', registryUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ name, version: 'latest', type_defs: sdl, url }),
    });
    if (!response.ok) throw new Error(`the registry refused the schema of ${name}: ${response.status} ${await response.text()}`);
  }
}
