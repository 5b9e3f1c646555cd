import { tokenOf } from './tokens.ts';

/** All fields travel with the event, so no subgraph has to run. */
const DEALS_SDL = `
extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])
type Query { ping: String }
type Deal @key(fields: "id") @live(topic: "crm.deals", tenant: "company_id") {
  id: ID! @carried
  title: String! @carried @filterable
}`;

export async function pushDeals(registry: string, version = '1'): Promise<void> {
  const response = await fetch(new URL('/schema/push', registry), {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${await tokenOf('operator', 'chaos')}` },
    body: JSON.stringify({ name: 'deals', version, type_defs: DEALS_SDL, url: 'http://127.0.0.1:9/graphql' }),
  });
  if (response.status !== 200) throw new Error(`the schema was not taken: ${response.status} ${await response.text()}`);
}
