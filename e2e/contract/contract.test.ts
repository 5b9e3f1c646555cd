import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEALS_SDL, post, subscriptionsAre } from '../deals.ts';
import { Inbox, type Millrace, cli, devToken, startMillrace, temporaryFolder, wsClient } from '../harness.ts';

/** What other tools rely on (spec/cli.md): the ready line, the addresses, the commands, the answers of `POST /events`. */

describe('the outside contract', () => {
  const folder = temporaryFolder();
  let millrace: Millrace;
  let token: string;
  const inbox = new Inbox<{ readonly id: string; readonly action: string; readonly at: string }>();

  beforeAll(async () => {
    writeFileSync(join(folder.path, 'deals.graphql'), DEALS_SDL);
    writeFileSync(join(folder.path, 'other.graphql'), 'type Query { other: String }');
    writeFileSync(
      join(folder.path, 'supergraph.yaml'),
      'subgraphs:\n  deals:\n    routing_url: http://127.0.0.1:9/graphql\n    schema:\n      file: ./deals.graphql\n  other:\n    routing_url: http://127.0.0.1:9/graphql\n    schema:\n      file: ./other.graphql\n',
    );
    mkdirSync(join(folder.path, 'data'));
    millrace = await startMillrace({
      data: join(folder.path, 'data'),
      args: ['--supergraph-config', join(folder.path, 'supergraph.yaml')],
    });
    token = await devToken('acme', 'anna', ['--role', 'admin', '--role', 'sales', '--scope', 'a', '--expires', '2h']);
    const client = wsClient(millrace.addresses, token);
    await subscriptionsAre(millrace, 1, () => {
      client.subscribe<{ dealEvent: { id: string; action: string; at: string } }>(
        { query: 'subscription { dealEvent { id action at } }' },
        {
          next: (r) => inbox.push(r.data!.dealEvent),
          error: (e) => inbox.push({ id: JSON.stringify(e), action: '', at: '' }),
          complete: () => {},
        },
      );
    });
  });

  afterAll(async () => {
    expect(await millrace?.stop()).toBe(0);
    folder.remove();
  });

  test('each address is a full URL that answers', async () => {
    const { graphql, ws, sse, events, registry, admin } = millrace.addresses;
    expect([graphql, ws, sse, events, registry, admin].map((a) => new URL(a).protocol)).toEqual([
      'http:',
      'ws:',
      'http:',
      'http:',
      'http:',
      'http:',
    ]);
    const query = await fetch(graphql, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"query":"{ __typename }"}',
    });
    expect(await query.json()).toEqual({ data: { __typename: 'Query' } });
    expect(
      await (await fetch(new URL('/schema/supergraph', registry), { headers: { authorization: `Bearer ${token}` } })).text(),
    ).toContain('@join__graph(name: "deals"');
    for (const path of ['/metrics', '/health', '/ready']) expect((await fetch(new URL(path, admin))).status).toBe(200);
  });

  const expectEvents = async (response: Response, expected: readonly unknown[]): Promise<void> => {
    expect(response.status, await response.clone().text()).toBe(202);
    expect(await response.json()).toEqual({ events: expected });
  };

  test('plain JSON: an object, an array, NDJSON; duplicates and rejects are said in the order sent', async () => {
    await expectEvents(
      await post(millrace, token, 'crm.deals', { event_id: 'p1', company_id: 'acme', id: 'p1', title: 't', action: 'added' }),
      [{ id: 'p1', status: 'accepted' }],
    );
    const mixed = [
      { event_id: 'p1', company_id: 'acme', id: 'p1', title: 't', action: 'added' },
      { event_id: 'p2', id: 'no tenant' },
      { event_id: 'p3', company_id: 'acme', id: 'p3', title: 't', action: 'CHANGED' },
    ];
    await expectEvents(await post(millrace, token, 'crm.deals', mixed), [
      { id: 'p1', status: 'duplicate' },
      { id: 'p2', status: 'rejected', code: 'EVENT_TENANT_MISSING', reason: expect.any(String) },
      { id: 'p3', status: 'accepted' },
    ]);
    const lines = [
      { event_id: 'n1', company_id: 'acme', id: 'n1', title: 't' },
      { event_id: 'n2', company_id: 'acme', id: 'n1', title: 't', action: 'Deleted' },
    ]
      .map((e) => JSON.stringify(e))
      .join('\n');
    await expectEvents(await post(millrace, token, 'crm.deals', `${lines}\n`, { 'content-type': 'application/x-ndjson' }), [
      { id: 'n1', status: 'accepted' },
      { id: 'n2', status: 'accepted' },
    ]);
    await inbox.until((items) => items.length >= 4);
    expect(inbox.items.map((e) => [e.id, e.action])).toEqual([
      ['p1', 'ADDED'],
      ['p3', 'CHANGED'],
      ['n1', 'CHANGED'],
      ['n1', 'DELETED'],
    ]);
  });

  test('CloudEvents: structured, binary, batch', async () => {
    const data = { company_id: 'acme', id: 'c1', title: 't' };
    const event = (id: string, action: string): Record<string, unknown> => ({
      specversion: '1.0',
      id,
      source: '/crm',
      type: `crm.deals.${action}`,
      time: '2026-01-02T03:04:05Z',
      datacontenttype: 'application/json',
      data,
    });
    const before = inbox.items.length;
    await expectEvents(await post(millrace, token, null, event('ce1', 'added'), { 'content-type': 'application/cloudevents+json' }), [
      { id: 'ce1', status: 'accepted' },
    ]);
    await expectEvents(
      await post(millrace, token, 'crm.deals', data, {
        'ce-specversion': '1.0',
        'ce-id': 'ce2',
        'ce-source': '/crm',
        'ce-type': 'crm.deals.changed',
        'ce-time': '2026-01-02T03:04:06Z',
      }),
      [{ id: 'ce2', status: 'accepted' }],
    );
    await expectEvents(
      await post(millrace, token, null, [event('ce3', 'deleted'), event('ce1', 'added')], {
        'content-type': 'application/cloudevents-batch+json',
      }),
      [
        { id: 'ce3', status: 'accepted' },
        { id: 'ce1', status: 'duplicate' },
      ],
    );
    await inbox.until((items) => items.length >= before + 3);
    expect(inbox.items.slice(before)).toEqual([
      { id: 'c1', action: 'ADDED', at: '2026-01-02T03:04:05Z' },
      { id: 'c1', action: 'CHANGED', at: '2026-01-02T03:04:06Z' },
      { id: 'c1', action: 'DELETED', at: '2026-01-02T03:04:05Z' },
    ]);
  });

  test('a changed schema file is pushed by itself, subscriptions go on', async () => {
    const before = inbox.items.length;
    writeFileSync(join(folder.path, 'other.graphql'), 'type Query { other: String another: Int }');
    const end = Date.now() + 10_000;
    for (;;) {
      const sdl = await (
        await fetch(new URL('/schema/supergraph', millrace.addresses.registry), { headers: { authorization: `Bearer ${token}` } })
      ).text();
      if (sdl.includes('another')) break;
      expect(Date.now(), 'the change was never pushed').toBeLessThan(end);
    }
    await post(millrace, token, 'crm.deals', { event_id: 'after-swap', company_id: 'acme', id: 's', title: 't' });
    await inbox.until((items) => items.length > before);
    expect(inbox.items.at(-1)).toMatchObject({ id: 's' });
  });

  test('dead letters: listed with the reason, shown with the raw bytes, redriven once', async () => {
    const admin = ['--admin', millrace.addresses.admin];
    const list = await cli(['dead-letters', 'list', '--json', ...admin]);
    expect(list.code, list.stderr).toBe(0);
    const letters = JSON.parse(list.stdout) as { id: string; code: string; topic: string }[];
    const letter = letters.find((l) => l.code === 'EVENT_TENANT_MISSING')!;
    expect(letter).toMatchObject({ topic: 'crm.deals', code: 'EVENT_TENANT_MISSING' });
    const shown = await cli(['dead-letters', 'show', letter.id, '--json', ...admin]);
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain('no tenant');
    const redriven = await cli(['dead-letters', 'redrive', letter.id, '--json', ...admin]);
    expect(redriven.code, redriven.stderr).toBe(0);
  });

  test('events tail shows what became of each', async () => {
    const before = inbox.items.length;
    const tailing = cli(['events', 'tail', '--json', '--limit', '1', '--type', 'Deal', '--admin', millrace.addresses.admin]);
    const end = Date.now() + 15_000;
    let n = 0;
    let done = false;
    void tailing.then(() => (done = true));
    while (!done && Date.now() < end) {
      n += 1;
      await post(millrace, token, 'crm.deals', { event_id: `tail-${n}`, company_id: 'acme', id: `tail-${n}`, title: 't' });
      await inbox.until((items) => items.length >= before + n);
    }
    const { code, stdout } = await tailing;
    expect(code).toBe(0);
    expect(JSON.parse(stdout.trim().split('\n')[0]!)).toMatchObject({ topic: 'crm.deals', tenant: 'acme', type: 'Deal' });
  });

  test('a port that is taken, a config that cannot be read, a data folder in use: one clear line and an exit code', async () => {
    const blocker = createServer();
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
    const port = (blocker.address() as AddressInfo).port;
    const other = temporaryFolder();
    const taken = await cli(['dev', '--json', '--port', `${port}`, '--data', other.path], { cwd: other.path });
    blocker.close();
    expect(taken.code).toBeGreaterThan(0);
    expect(taken.stderr).toMatch(/PORT_TAKEN|in use/);
    writeFileSync(join(other.path, 'bad.config.json'), '{"nope": 1,');
    const unreadable = await cli(['dev', '--json', '--port', '0', '--data', other.path, '--config', join(other.path, 'bad.config.json')], {
      cwd: other.path,
    });
    expect(unreadable.code).toBeGreaterThan(0);
    expect(unreadable.stderr).toContain('bad.config.json');
    const locked = await cli(['dev', '--json', '--port', '0', '--data', join(folder.path, 'data')], { cwd: other.path });
    expect(locked.code).toBeGreaterThan(0);
    expect(locked.stderr).toMatch(/DATA_LOCKED/);
    for (const result of [taken, unreadable, locked]) {
      expect(result.stdout).toBe('');
      expect(result.stderr).not.toMatch(/\n\s+at .*\.ts:\d+/);
    }
    other.remove();
  });
});
