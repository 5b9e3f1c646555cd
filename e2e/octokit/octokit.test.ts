import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Client } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { post, subscriptionsAre } from '../deals.ts';
import { Inbox, type Millrace, devToken, pushSchema, startMillrace, temporaryFolder, wsClient } from '../harness.ts';

/**
 * The public payloads of `@octokit/webhooks-examples`, which nobody here wrote, travel the whole path: HTTP, log, ingest, channels,
 * matching, WebSocket. The oracle below is a straight loop over the payloads that shares no code with Millrace: it says for every
 * subscriber exactly what must arrive and in which order per entity.
 */

type Body = { readonly [key: string]: unknown };
type Payload = { readonly topic: string; readonly text: string; readonly body: Body };
type Delivery = { readonly id: string | null; readonly action: string; readonly raw: unknown };

const require = createRequire(import.meta.url);
const examples = require('@octokit/webhooks-examples') as readonly { readonly name: string; readonly examples: readonly Body[] }[];
const OWN_TOPIC = new Set(['issues', 'pull_request', 'push']);

const payloads: readonly Payload[] = examples.flatMap((event) =>
  event.examples.map((body) => ({
    topic: `github.${OWN_TOPIC.has(event.name) ? event.name : 'other'}`,
    text: JSON.stringify(body),
    body,
  })),
);

/** Follows own properties; the oracle's own, five lines. */
function at(body: unknown, path: string): unknown {
  let value: unknown = body;
  for (const step of path.split('.')) value = typeof value === 'object' && value !== null ? (value as Body)[step] : undefined;
  return value;
}

function tenantOf(body: Body): string | undefined {
  return at(body, 'repository.owner.login') as string | undefined;
}

function actionOf(payload: Payload): string | null {
  if (payload.topic === 'github.push' || payload.topic === 'github.other') return 'CHANGED';
  const action = at(payload.body, 'action');
  if (action === 'opened') return 'ADDED';
  if (action === 'deleted') return 'DELETED';
  return action === 'transferred' ? null : 'CHANGED';
}

const KINDS = {
  issueEvent: { topic: 'github.issues', entity: 'issue', key: 'id' },
  pullRequestEvent: { topic: 'github.pull_request', entity: 'pull_request', key: 'id' },
  pushEvent: { topic: 'github.push', entity: null, key: 'ref' },
  activityEvent: { topic: 'github.other', entity: null, key: null },
} as const;

type Subscriber = {
  readonly name: string;
  readonly tenant: string;
  readonly field: keyof typeof KINDS;
  readonly arguments: string;
  /** The filter's meaning over the entity, written by hand. */
  readonly wants: (entity: Body, action: string) => boolean;
};

const SUBSCRIBERS: readonly Subscriber[] = [
  { name: 'all issues', tenant: 'Codertocat', field: 'issueEvent', arguments: '', wants: () => true },
  { name: 'all issues of another owner', tenant: 'octo-org', field: 'issueEvent', arguments: '', wants: () => true },
  { name: 'a tenant without events', tenant: 'nobody', field: 'issueEvent', arguments: '', wants: () => true },
  {
    name: 'open issues',
    tenant: 'Codertocat',
    field: 'issueEvent',
    arguments: '(filter: {state: {eq: "open"}})',
    wants: (e) => e['state'] === 'open',
  },
  {
    name: 'issues not by Codertocat or with comments',
    tenant: 'Codertocat',
    field: 'issueEvent',
    arguments: '(filter: {or: [{not: {author: {eq: "Codertocat"}}}, {comments: {gt: 0}}]})',
    wants: (e) => at(e, 'user.login') !== 'Codertocat' || (e['comments'] as number) > 0,
  },
  {
    name: 'never closed, title contains',
    tenant: 'Codertocat',
    field: 'issueEvent',
    arguments: '(filter: {closedAt: {isNull: true}, title: {contains: "Spelling"}})',
    wants: (e) => e['closed_at'] === null && String(e['title']).includes('Spelling'),
  },
  { name: 'one issue', tenant: 'Codertocat', field: 'issueEvent', arguments: '(ids: ["444500041"])', wants: (e) => e['id'] === 444500041 },
  {
    name: 'deletions',
    tenant: 'Codertocat',
    field: 'issueEvent',
    arguments: '(actions: [DELETED])',
    wants: (_, action) => action === 'DELETED',
  },
  { name: 'all pull requests', tenant: 'Codertocat', field: 'pullRequestEvent', arguments: '', wants: () => true },
  {
    name: 'drafts or small',
    tenant: 'Codertocat',
    field: 'pullRequestEvent',
    arguments: '(filter: {or: [{draft: {eq: true}}, {additions: {lte: 1}}]})',
    wants: (e) => e['draft'] === true || (typeof e['additions'] === 'number' && e['additions'] <= 1),
  },
  { name: 'pull requests of another owner', tenant: 'octo-org', field: 'pullRequestEvent', arguments: '', wants: () => true },
  { name: 'pushes', tenant: 'Codertocat', field: 'pushEvent', arguments: '', wants: () => true },
  {
    name: 'forced pushes',
    tenant: 'Codertocat',
    field: 'pushEvent',
    arguments: '(filter: {forced: {eq: true}})',
    wants: (e) => e['forced'] === true,
  },
  { name: 'everything else', tenant: 'Codertocat', field: 'activityEvent', arguments: '', wants: () => true },
  { name: 'everything else, octo-org', tenant: 'octo-org', field: 'activityEvent', arguments: '', wants: () => true },
  {
    name: 'everything else that was created by a bot-like sender',
    tenant: 'Codertocat',
    field: 'activityEvent',
    arguments: '(filter: {action: {in: ["created", "completed"]}, sender: {startsWith: "Coder"}})',
    wants: (e) => ['created', 'completed'].includes(e['action'] as string) && String(at(e, 'sender.login')).startsWith('Coder'),
  },
];

/** What must reach a subscriber, in the order of publication. A body published twice (same bytes, no id of its own) counts once. */
function oracle(subscriber: Subscriber): readonly Delivery[] {
  const kind = KINDS[subscriber.field];
  const seen = new Set<string>();
  const out: Delivery[] = [];
  for (const payload of payloads) {
    if (payload.topic !== kind.topic || tenantOf(payload.body) !== subscriber.tenant) continue;
    const digest = createHash('sha256').update(payload.text).digest('hex');
    const action = actionOf(payload);
    if (action === null || seen.has(digest)) continue;
    seen.add(digest);
    const entity = (kind.entity ? payload.body[kind.entity] : payload.body) as Body;
    if (!subscriber.wants(entity, action)) continue;
    out.push({ id: kind.key ? String(entity[kind.key]) : null, action, raw: entity });
  }
  return out;
}

function perEntity(deliveries: readonly Delivery[]): Record<string, readonly Delivery[]> {
  return Object.groupBy(deliveries, (d) => `entity ${d.id}`) as Record<string, readonly Delivery[]>;
}

/** Publishes in batches of 20 per run of one topic, so that the order of publication is the order of the examples. */
async function publishAll(millrace: Millrace, token: string): Promise<readonly { status: string; code?: string }[]> {
  const results: { status: string; code?: string }[] = [];
  for (let start = 0; start < payloads.length;) {
    const topic = payloads[start]!.topic;
    let end = start + 1;
    while (end < payloads.length && end - start < 20 && payloads[end]!.topic === topic) end += 1;
    const batch = payloads.slice(start, end).map((p) => p.text);
    const response = await post(millrace, token, topic, `[${batch.join(',')}]`);
    expect(response.status, await response.clone().text()).toBe(202);
    results.push(...((await response.json()) as { events: { status: string; code?: string }[] }).events);
    start = end;
  }
  return results;
}

describe('real webhook payloads through the whole path', () => {
  const folder = temporaryFolder();
  const clients: Client[] = [];
  const inboxes = new Map<Subscriber, Inbox<Delivery>>();
  let millrace: Millrace;
  let answers: readonly { status: string; code?: string }[];

  beforeAll(async () => {
    millrace = await startMillrace({ data: folder.path });
    const token = await devToken('Codertocat', 'publisher');
    const pushed = await pushSchema(millrace.addresses.registry, token, {
      name: 'github',
      sdl: readFileSync(new URL('schema.graphql', import.meta.url), 'utf8'),
    });
    expect(pushed.status, await pushed.clone().text()).toBe(200);
    const tokens = await Promise.all(SUBSCRIBERS.map(({ tenant, name }) => devToken(tenant, `user of ${name}`)));
    await subscriptionsAre(millrace, SUBSCRIBERS.length, () => {
      for (const [i, subscriber] of SUBSCRIBERS.entries()) subscribe(subscriber, tokens[i]!);
    });
    answers = await publishAll(millrace, token);
  });

  afterAll(async () => {
    for (const client of clients) await client.dispose();
    await millrace?.stop();
    folder.remove();
  });

  function subscribe(subscriber: Subscriber, token: string): void {
    const client = wsClient(millrace.addresses, token);
    clients.push(client);
    const inbox = new Inbox<Delivery>();
    inboxes.set(subscriber, inbox);
    // A plain stream has no identity and so no `id`.
    const fields = KINDS[subscriber.field].key === null ? 'action raw' : 'id action raw';
    const query = `subscription { ${subscriber.field}${subscriber.arguments} { ${fields} } }`;
    client.subscribe<Record<string, Delivery>>(
      { query },
      {
        next: (result) =>
          inbox.push(
            result.data?.[subscriber.field]
              ? ({ id: null, ...result.data[subscriber.field] } as Delivery)
              : { id: null, action: `ERROR ${JSON.stringify(result.errors)}`, raw: null },
          ),
        error: (error) => inbox.push({ id: null, action: `ERROR ${JSON.stringify(error)}`, raw: null }),
        complete: () => inbox.push({ id: null, action: 'COMPLETED', raw: null }),
      },
    );
  }

  test('there are hundreds of bodies, of several owners', () => {
    expect(payloads.length).toBeGreaterThan(300);
    expect(new Set(payloads.map((p) => tenantOf(p.body))).size).toBeGreaterThan(3);
  });

  test('every body is answered for: accepted, a duplicate, or rejected because it names no owner', () => {
    expect(answers.length).toBe(payloads.length);
    const seen = new Set<string>();
    for (const [i, payload] of payloads.entries()) {
      const digest = payload.topic + createHash('sha256').update(payload.text).digest('hex');
      const expected = tenantOf(payload.body) === undefined ? 'rejected' : seen.has(digest) ? 'duplicate' : 'accepted';
      if (expected === 'accepted') seen.add(digest);
      expect([answers[i]?.status, payload.text.slice(0, 80)]).toEqual([expected, payload.text.slice(0, 80)]);
      if (expected === 'rejected') expect(answers[i]?.code).toBe('EVENT_TENANT_MISSING');
    }
  });

  test.each(SUBSCRIBERS.map((s) => [s.name, s] as const))(
    '%s: every delivery of the oracle, none missing, none extra, in order per entity',
    async (_, subscriber) => {
      const expected = oracle(subscriber);
      const inbox = inboxes.get(subscriber)!;
      await inbox.until((items) => items.length >= expected.length);
      expect(perEntity(inbox.items)).toEqual(perEntity(expected));
    },
  );

  test('the oracle itself expects something of most subscribers and nothing of one', () => {
    const counts = SUBSCRIBERS.map((s) => oracle(s).length);
    expect(counts.filter((n) => n > 0).length).toBeGreaterThan(10);
    expect(counts[2]).toBe(0);
  });

  test('a last event to everybody arrives last: nothing extra was still on its way', async () => {
    const token = await devToken('Codertocat', 'publisher');
    const final = {
      action: 'opened',
      issue: {
        id: 1,
        number: 1,
        title: 'last',
        state: 'open',
        comments: 1,
        user: { login: 'x' },
        closed_at: null,
        updated_at: '2026-01-01T00:00:00Z',
      },
      repository: { owner: { login: 'Codertocat' } },
    };
    expect((await post(millrace, token, 'github.issues', final)).status).toBe(202);
    const all = inboxes.get(SUBSCRIBERS[0]!)!;
    const expected = oracle(SUBSCRIBERS[0]!).length + 1;
    await all.until((items) => items.length >= expected);
    expect(all.items).toHaveLength(expected);
    expect(inboxes.get(SUBSCRIBERS[1]!)!.items).toHaveLength(oracle(SUBSCRIBERS[1]!).length);
    expect(inboxes.get(SUBSCRIBERS[2]!)!.items).toHaveLength(0);
  });
});
