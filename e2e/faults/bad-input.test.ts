import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEALS_SDL, post, publishDeal, subscriptionsAre } from '../deals.ts';
import { Inbox, type Millrace, devToken, pushSchema, startMillrace, temporaryFolder, wsClient } from '../harness.ts';

/** Bad input of every kind from outside: a coded error each time, nothing leaks, and the program goes on as if nothing had happened. */

type Failure =
  | { readonly errors: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[] }
  | { readonly closed: number; readonly reason: string };

describe('bad input', () => {
  const folder = temporaryFolder();
  let millrace: Millrace;
  let token: string;

  beforeAll(async () => {
    millrace = await startMillrace({ data: folder.path });
    token = await devToken('acme', 'anna');
    expect((await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: DEALS_SDL })).status).toBe(200);
  });

  afterAll(async () => {
    await millrace?.stop();
    folder.remove();
  });

  /** Runs one operation that must fail, and says how. */
  function fails(query: string, variables: Record<string, unknown> = {}, as: string | null = token): Promise<Failure> {
    const client = wsClient(millrace.addresses, as);
    return new Promise<Failure>((resolve, reject) => {
      client.subscribe(
        { query, variables },
        {
          next: (r) => (r.errors ? resolve({ errors: r.errors }) : reject(new Error(`answered ${JSON.stringify(r)}`))),
          error: (e) =>
            resolve(
              Array.isArray(e)
                ? { errors: e as never }
                : { closed: (e as { code: number }).code, reason: (e as { reason: string }).reason },
            ),
          complete: () => reject(new Error('completed without an error')),
        },
      );
    }).finally(() => void client.dispose());
  }

  const codes = (failure: Failure): readonly (string | undefined)[] =>
    'errors' in failure ? failure.errors.map((e) => e.extensions?.code) : [`closed ${failure.closed}`];
  const DEALS =
    'subscription($after: Cursor, $filter: DealFilter, $ids: [ID!]) { dealEvent(after: $after, filter: $filter, ids: $ids) { id cursor } }';

  async function sign(
    secret: string,
    claims: Record<string, unknown>,
    issuer = 'https://millrace.invalid/dev',
    expires = '1h',
  ): Promise<string> {
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(issuer)
      .setSubject('eve')
      .setExpirationTime(expires)
      .sign(new TextEncoder().encode(secret));
  }

  test('a forged token, a foreign issuer, an unsigned token, rubbish: closed with 4403, refused with 401 over HTTP', async () => {
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"iss":"https://millrace.invalid/dev","sub":"eve","tenant":"acme"}').toString('base64url')}.`;
    for (const bad of [
      await sign('x'.repeat(64), { tenant: 'acme' }),
      await sign('x'.repeat(64), { tenant: 'acme' }, 'https://evil.example'),
      unsigned,
      'rubbish',
      '',
    ]) {
      expect(codes(await fails(DEALS, {}, bad)), bad).toEqual(['closed 4403']);
      const response = await fetch(millrace.addresses.graphql, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${bad}` },
        body: '{"query":"{__typename}"}',
      });
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ errors: [{ extensions: { code: expect.any(String) } }] });
      expect((await post(millrace, bad, 'crm.deals', { id: '1', company_id: 'acme' })).status).toBe(401);
    }
  });

  test('an expired token is refused by name', async () => {
    const expired = await devToken('acme', 'anna', ['--expires', '0s']).catch(() => null);
    const failure = expired === null ? null : await fails(DEALS, {}, expired);
    if (failure !== null) expect(codes(failure)).toEqual(['closed 4403']);
    const response = await post(millrace, 'a.b.c', 'crm.deals', {});
    expect(response.status).toBe(401);
  });

  test('a subscription without a tenant is refused, nothing is heard', async () => {
    expect(codes(await fails(DEALS, {}, null))).toEqual(['UNAUTHENTICATED']);
  });

  test('cursors: forged, of another tenant, cut short, of another type of value', async () => {
    const inbox = new Inbox<string>();
    const client = wsClient(millrace.addresses, await devToken('globex', 'greta'));
    await subscriptionsAre(millrace, 1, () => {
      client.subscribe<{ dealEvent: { cursor: string } }>(
        { query: 'subscription { dealEvent { cursor } }' },
        { next: (r) => inbox.push(r.data!.dealEvent.cursor), error: () => {}, complete: () => {} },
      );
    });
    await post(millrace, token, 'crm.deals', { id: '1', company_id: 'globex', title: 't', event_id: 'for-globex' });
    const foreign = (await inbox.until((items) => items.length > 0))[0]!;
    await subscriptionsAre(millrace, -1, () => void client.dispose());
    expect(codes(await fails(DEALS, { after: foreign }))).toEqual(['CURSOR_FOREIGN']);
    const flipped = Buffer.from(foreign, 'base64url');
    flipped[flipped.length - 1]! ^= 1;
    for (const forged of [flipped.toString('base64url'), foreign.slice(0, -6), 'AAAA', '', 'x'.repeat(100_000)]) {
      expect(codes(await fails(DEALS, { after: forged })), forged.slice(0, 40)).toEqual([
        expect.stringMatching(/^CURSOR_INVALID$|closed 1009/),
      ]);
    }
    expect(codes(await fails(DEALS, { after: 12 }))[0]).toEqual(expect.any(String));
  });

  test('filters: too deep, unknown fields, unknown operators, wrong types, too many ids', async () => {
    let deep: Record<string, unknown> = { title: { eq: 'x' } };
    for (let i = 0; i < 50; i += 1) deep = { not: deep };
    expect(codes(await fails(DEALS, { filter: deep }))).toEqual(['FILTER_TOO_DEEP']);
    expect(codes(await fails(DEALS, { filter: { or: Array.from({ length: 5000 }, () => ({ title: { eq: 'x' } })) } }))).toEqual([
      expect.stringMatching(/^FILTER_TOO_LARGE$|closed 1009/),
    ]);
    for (const filter of [{ secret: { eq: 1 } }, { title: { regex: '.*' } }, { value: { eq: 'x' } }, [1], 'x', { __proto__x: 1 }]) {
      expect(codes(await fails(DEALS, { filter }))[0], JSON.stringify(filter)).toEqual(expect.any(String));
    }
    expect(codes(await fails(DEALS, { ids: Array.from({ length: 100_000 }, (_, i) => `${i}`) }))).toEqual([
      expect.stringMatching(/^IDS_TOO_MANY$|closed 1009/),
    ]);
  });

  test('documents: unknown fields, syntax errors, two root fields, far too deep', async () => {
    expect('errors' in (await fails('subscription { dealEvent { nope } }'))).toBe(true);
    expect('errors' in (await fails('subscription { dealEvent { id'))).toBe(true);
    expect('errors' in (await fails('subscription { dealEvent { id } dealAdded { id } }'))).toBe(true);
    expect('errors' in (await fails(`query { ${'a { '.repeat(500)} b ${'}'.repeat(500)} }`))).toBe(true);
  });

  test('ids named __proto__, constructor and toString are ordinary ids', async () => {
    for (const id of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const inbox = new Inbox<string>();
      const client = wsClient(millrace.addresses, token);
      await subscriptionsAre(millrace, 1, () => {
        client.subscribe<{ dealEvent: { id: string } }>(
          { query: DEALS, variables: { ids: [id] } },
          { next: (r) => inbox.push(r.data!.dealEvent.id), error: () => {}, complete: () => {} },
        );
      });
      await publishDeal(millrace, token, { id: 'other', title: 'x' });
      await publishDeal(millrace, token, { id, title: id, stage_id: '__proto__' });
      await inbox.until((items) => items.length > 0);
      expect(inbox.items).toEqual([id]);
      await subscriptionsAre(millrace, -1, () => void client.dispose());
    }
  });

  test('events: not JSON, no tenant, no key, unknown topic, too large, wrong content type, wrong method', async () => {
    const answers = async (body: unknown, topic: string | null = 'crm.deals', headers = {}): Promise<[number, string | undefined]> => {
      const response = await post(millrace, token, topic, body, headers);
      const json = (await response.json()) as { error?: { code: string }; events?: { code?: string }[] };
      return [response.status, json.error?.code ?? json.events?.[0]?.code];
    };
    for (const [body, topic, headers] of [
      ['{not json', 'crm.deals', {}],
      [{ id: '1' }, 'crm.deals', {}],
      [{ company_id: 'acme' }, 'crm.deals', {}],
      [{ id: '1', company_id: 'acme' }, 'no.such.topic', {}],
      [{ id: '1', company_id: 'acme' }, null, {}],
      [{ id: '1', company_id: 'acme' }, 'crm.deals', { 'content-type': 'text/html' }],
      ['x'.repeat(20_000_000), 'crm.deals', {}],
      ['[[[['.repeat(5000), 'crm.deals', {}],
      ['', 'crm.deals', {}],
    ] as const) {
      const [status, code] = await answers(body, topic, headers);
      expect([status >= 400 && status < 500, code], JSON.stringify(body).slice(0, 60)).toEqual([true, expect.stringMatching(/^[A-Z_]+$/)]);
    }
    expect((await fetch(millrace.addresses.events, { headers: { authorization: `Bearer ${token}` } })).status).toBe(405);
    expect((await fetch(`${millrace.addresses.events}?topic=crm.deals`, { method: 'POST', body: '{}' })).status).toBe(401);
  });

  test('schemas: syntax, no tenant, does not compose: 400 with service, type and field; the last good graph goes on', async () => {
    const push = async (name: string, sdl: string): Promise<[number, string]> => {
      const response = await pushSchema(millrace.addresses.registry, token, { name, sdl });
      return [response.status, await response.text()];
    };
    const [syntax] = await push('broken', 'type Query { a: ');
    expect(syntax).toBe(400);
    const [tenantless, text] = await push(
      'tenantless',
      'type Query { y: Int } type T @key(fields: "id") @live(topic: "t") { id: ID! @carried }',
    );
    expect(tenantless).toBe(400);
    expect(text).toMatch(/tenant/i);
    expect(text).toMatch(/tenantless/);
    const [conflict, why] = await push('conflict', 'type Query { x: Int } type Deal @key(fields: "id") { id: ID! title: Int! @shareable }');
    expect(conflict).toBe(400);
    expect(why).toMatch(/Deal/);
    expect(why).toMatch(/title/);
    await publishDeal(millrace, token, { id: 'still-here', title: 'x' });
  });

  test('after all of it the program is healthy', async () => {
    expect((await fetch(new URL('/health', millrace.addresses.admin))).status).toBe(200);
    expect((await fetch(new URL('/ready', millrace.addresses.admin))).status).toBe(200);
    expect(millrace.log()).not.toMatch(/unhandled|uncaught/i);
  });
});
