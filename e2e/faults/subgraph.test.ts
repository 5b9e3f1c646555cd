import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { post, subscriptionsAre } from '../deals.ts';
import { Inbox, type Millrace, devToken, startMillrace, temporaryFolder, wsClient } from '../harness.ts';

/**
 * Fault: a subgraph that enrichment needs is down, slow, or answers rubbish.
 * What must hold: raw and carried parts still arrive, the enriched part carries a typed error, other subscriptions are not held up.
 */

const DEALS = `
extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried"])
  @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type Query { deal: Deal }
type Deal @key(fields: "id") @live(topic: "crm.deals", tenant: "company_id") {
  id: ID! @carried
  title: String! @carried
  stage: Stage
}
type Stage @key(fields: "id") { id: ID! name: String }`;

type Behaviour = 'well' | 'slow' | 'rubbish' | 'wrong-shape' | 'http-500' | 'errors' | 'cut';

describe('a subgraph that fails', () => {
  const folder = temporaryFolder();
  let subgraph: Server;
  let behaviour: Behaviour = 'well';
  let requests = 0;
  let millrace: Millrace;
  let token: string;
  const enriched = new Inbox<Message>();
  const plain = new Inbox<Message>();

  type Message = {
    readonly data?: {
      readonly dealEvent?: {
        readonly id: string;
        readonly raw: { readonly title: string };
        readonly deal: { readonly title: string; readonly stage: { readonly name: string } | null } | null;
      };
    } | null;
    readonly errors?: readonly {
      readonly message: string;
      readonly path?: readonly (string | number)[];
      readonly extensions?: { readonly code?: string };
    }[];
  };

  function answer(body: string): { status: number; text: string } | 'never' | 'cut' {
    const { query, variables } = JSON.parse(body) as { query: string; variables: { representations?: readonly { id: string }[] } };
    expect(query, 'carried fields are not asked for').not.toContain('title');
    const entities = (variables.representations ?? []).map((r) => ({ __typename: 'Deal', stage: { name: `stage of ${r.id}` } }));
    switch (behaviour) {
      case 'well':
        return { status: 200, text: JSON.stringify({ data: { _entities: entities } }) };
      case 'slow':
        return 'never';
      case 'cut':
        return 'cut';
      case 'rubbish':
        return { status: 200, text: '<html>not json' };
      case 'wrong-shape':
        return { status: 200, text: JSON.stringify({ data: { _entities: [[1, { stage: 'x' }]] } }) };
      case 'http-500':
        return { status: 500, text: 'oops' };
      case 'errors':
        return {
          status: 200,
          text: JSON.stringify({
            data: null,
            errors: [{ message: 'database password is hunter2 at 10.0.0.7', extensions: { code: 'DOWNSTREAM', stacktrace: ['secret'] } }],
          }),
        };
    }
  }

  beforeAll(async () => {
    subgraph = createServer((req, res) => {
      let body = '';
      req.on('data', (chunk: Buffer) => void (body += chunk.toString()));
      req.on('end', () => {
        requests += 1;
        const a = answer(body);
        if (a === 'never') return;
        if (a === 'cut') return void req.socket.destroy();
        res.writeHead(a.status, { 'content-type': 'application/json' }).end(a.text);
      });
    });
    await new Promise<void>((resolve) => subgraph.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(subgraph.address() as AddressInfo).port}/graphql`;
    millrace = await startMillrace({ data: folder.path, env: { MILLRACE_ENRICHMENT_DEADLINE: '500ms' } });
    token = await devToken('acme', 'anna');
    const pushed = await fetch(new URL('/schema/push', millrace.addresses.registry), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify({ name: 'deals', version: '1', type_defs: DEALS, url }),
    });
    expect(pushed.status, await pushed.clone().text()).toBe(200);
    const client = wsClient(millrace.addresses, token);
    const sink = (inbox: Inbox<Message>) => ({
      next: (r: unknown) => inbox.push(r as Message),
      error: (e: unknown) => inbox.push({ errors: e as never }),
      complete: () => {},
    });
    await subscriptionsAre(millrace, 2, () => {
      client.subscribe({ query: 'subscription { dealEvent { id raw deal { title stage { name } } } }' }, sink(enriched));
      client.subscribe({ query: 'subscription { dealEvent { id raw deal { title } } }' }, sink(plain));
    });
  });

  afterAll(async () => {
    await millrace?.stop();
    subgraph.closeAllConnections();
    subgraph.close();
    folder.remove();
  });

  async function publish(id: string): Promise<Message> {
    const already = enriched.items.length;
    const response = await post(millrace, token, 'crm.deals', { event_id: id, id, company_id: 'acme', title: `title of ${id}` });
    expect(response.status).toBe(202);
    await plain.until((items) => items.some((m) => m.data?.dealEvent?.id === id));
    await enriched.until((items) => items.length > already);
    return enriched.items.at(-1)!;
  }

  test('well: the stage comes from the subgraph, the title from the event', async () => {
    behaviour = 'well';
    const message = await publish('d0');
    expect(message).toMatchObject({ data: { dealEvent: { id: 'd0', deal: { title: 'title of d0', stage: { name: 'stage of d0' } } } } });
    expect(message.errors).toBeUndefined();
  });

  test('a selection of carried fields asks no subgraph', () => {
    expect(requests).toBe(1);
  });

  test.each(['slow', 'rubbish', 'wrong-shape', 'http-500', 'errors', 'cut'] as const)(
    '%s: raw and carried parts arrive, the enriched part says why it is missing',
    async (how) => {
      behaviour = how;
      const message = await publish(`d-${how}`);
      expect(message.data?.dealEvent).toMatchObject({ id: `d-${how}`, raw: { title: `title of d-${how}` } });
      expect(message.data?.dealEvent?.deal?.stage ?? null).toBeNull();
      expect(message.errors?.length).toBeGreaterThan(0);
      expect(message.errors?.[0]?.path?.slice(0, 2)).toEqual(['dealEvent', 'deal']);
      expect(message.errors?.[0]?.extensions?.code).toEqual(expect.stringMatching(/^[A-Z_]+$/));
      expect(JSON.stringify(message)).not.toMatch(/stacktrace|127\.0\.0\.1/);
    },
  );

  test('events keep their order for the enriched subscription', () => {
    const ids = enriched.items.map((m) => m.data?.dealEvent?.id);
    expect(ids).toEqual(['d0', 'd-slow', 'd-rubbish', 'd-wrong-shape', 'd-http-500', 'd-errors', 'd-cut']);
  });

  test('and well again once the subgraph is', async () => {
    behaviour = 'well';
    // The circuit may be open from the failures before: it closes by itself, so publish until an answer is whole.
    for (let i = 0; ; i += 1) {
      const message = await publish(`again-${i}`);
      if (message.errors === undefined) return expect(message.data?.dealEvent?.deal?.stage).toEqual({ name: `stage of again-${i}` });
      if (i > 2000) throw new Error(`never recovered: ${JSON.stringify(message)}`);
    }
  });
});
