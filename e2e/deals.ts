import { expect } from 'vitest';
import type { Millrace } from './harness.ts';

/** The smallest useful topic: a live type whose fields all travel with the event, so no subgraph has to run. */
export const DEALS_SDL = `
extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])
type Query { ping: String }
type Deal @key(fields: "id") @live(topic: "crm.deals", tenant: "company_id") {
  id: ID! @carried
  title: String! @carried @filterable
  stageId: ID @carried(path: "stage_id") @filterable
  value: Float @carried @filterable
}`;

let published = 0;

export async function post(
  millrace: Millrace,
  token: string,
  topic: string | null,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const url = new URL(millrace.addresses.events);
  if (topic !== null) url.searchParams.set('topic', topic);
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** Publishes one deal of the tenant `acme` and expects it to be accepted. */
export async function publishDeal(millrace: Millrace, token: string, deal: Record<string, unknown>): Promise<void> {
  published += 1;
  const response = await post(millrace, token, 'crm.deals', { company_id: 'acme', event_id: `test-${published}`, ...deal });
  expect(response.status, await response.clone().text()).toBe(202);
  expect(await response.json()).toMatchObject({ events: [{ status: 'accepted' }] });
}

export async function metric(millrace: Millrace, name: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', millrace.addresses.admin))).text();
  const line = text.split('\n').find((l) => l.startsWith(`${name} `));
  if (line === undefined) throw new Error(`no metric ${name} in:\n${text}`);
  return Number(line.split(' ')[1]);
}

/** Does something and waits until the number of running subscriptions has changed by `change`. */
export async function subscriptionsAre(millrace: Millrace, change: number, act: () => void): Promise<void> {
  const target = (await metric(millrace, 'millrace_live_subscriptions')) + change;
  act();
  const end = Date.now() + 20_000;
  for (;;) {
    const now = await metric(millrace, 'millrace_live_subscriptions');
    if (now === target) return;
    if (Date.now() > end) throw new Error(`there are ${now} subscriptions, not ${target}:\n${millrace.log()}`);
  }
}
