import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { freePorts } from '../../tools/services/ports.ts';
import { available, service } from '../../tools/services/shared.ts';
import { DEALS_SDL } from '../deals.ts';
import { Inbox, pushSchema, wsClient } from '../harness.ts';
import { ask, Site, until } from '../site.ts';

/** The program's roles in processes of their own, as `millrace serve --roles` starts them. */

const TYPENAMES = '{ __schema { queryType { fields { name } } } }';
const ping = (field: string): string => `type Query { ${field}: String }`;

/** A registry, and the flags with which other roles find it. */
async function withRegistry(site: Site) {
  const [registryPort] = (await freePorts(1)) as [number];
  const registryFlags = ['--roles', 'registry', '--port', '0', '--registry-port', String(registryPort)];
  const token = await site.token('millrace:registry:read');
  const others = ['--registry-urls', `http://127.0.0.1:${registryPort}`, '--registry-token', token, '--gateway-introspection'];
  return { start: () => site.serve('registry', registryFlags), others };
}

/** One port for all, and two admin ports in a row. */
async function sharedPorts(): Promise<readonly string[]> {
  for (;;) {
    const [port, admin, ...more] = (await freePorts(40)).toSorted((a, b) => a - b) as [number, number, ...number[]];
    const pair = [admin, ...more].find((each, index, all) => all[index + 1] === each + 1);
    if (pair !== undefined) return ['--port', String(port), '--admin-port', String(pair)];
  }
}

describe('roles apart', () => {
  test('a push at the registry reaches a gateway within a second, which goes on without it, and starts without it from its disk', async () => {
    await using site = new Site({ port: 0 });
    const { start, others } = await withRegistry(site);
    const registry = await start();
    const admin = await site.token('millrace:admin');
    const user = await site.token('');
    const gateway = await site.serve('gateway', ['--roles', 'gateway', ...others]);
    expect(Object.keys(gateway.ready).toSorted()).toEqual(['admin', 'graphql', 'ready']);
    expect(Object.keys(registry.ready).toSorted()).toEqual(['admin', 'ready', 'registry']);

    const fields = async (): Promise<string> => (await ask(gateway.ready.graphql, user, TYPENAMES)).body;
    const first = await pushSchema(registry.ready.registry, admin, { name: 'shop', sdl: ping('first') });
    expect(first.status, await first.clone().text()).toBe(200);
    await until(fields, (body) => body.includes('"first"'));
    const pushed = performance.now();
    expect((await pushSchema(registry.ready.registry, admin, { name: 'shop', sdl: ping('second'), version: '2' })).status).toBe(200);
    await until(fields, (body) => body.includes('"second"'), 1_000);
    process.stdout.write(`a push was served ${Math.round(performance.now() - pushed)} ms after it was sent\n`);

    registry.child.kill('SIGKILL');
    await registry.exited;
    expect(await fields()).toContain('"second"');
    gateway.child.kill('SIGTERM');
    expect(await gateway.exited).toBe(0);
    const again = await site.serve('gateway', ['--roles', 'gateway', ...others]);
    expect((await ask(again.ready.graphql, user, TYPENAMES)).body).toContain('"second"');
    // And follows the registry again when it is back.
    const back = await start();
    expect((await pushSchema(back.ready.registry, admin, { name: 'shop', sdl: ping('third'), version: '3' })).status).toBe(200);
    await until(
      async () => (await ask(again.ready.graphql, user, TYPENAMES)).body,
      (body) => body.includes('"third"'),
    );
  }, 90_000);

  test('what other processes do is refused with the name of the role', async () => {
    await using site = new Site({ port: 0 });
    const { start, others } = await withRegistry(site);
    const registry = await start();
    await pushSchema(registry.ready.registry, await site.token('millrace:admin'), { name: 'shop', sdl: ping('one') });
    const { ready } = await site.serve('gateway', ['--roles', 'gateway', ...others]);
    const post = (path: string) => fetch(new URL(path, ready.graphql), { method: 'POST', body: '{}' });
    for (const [path, role] of [
      ['/events', 'ingest'],
      ['/graphql/stream', 'edge'],
    ] as const) {
      const answer = await post(path);
      expect([answer.status, await answer.json()]).toMatchObject([
        421,
        { error: { code: 'ROLE_ELSEWHERE', message: expect.stringContaining(role) } },
      ]);
    }
    const letters = await fetch(new URL('/dead-letters', ready.admin));
    expect([letters.status, await letters.text()]).toEqual([421, expect.stringContaining('ingest')]);
  }, 60_000);

  test('a process that knows no schema yet says so, takes no events, and begins when the registry is there', async () => {
    await using site = new Site({ port: 0, channels: { journal: true } });
    const { start, others } = await withRegistry(site);
    const apart = await site.serve('apart', ['--roles', 'ingest,gateway,edge', ...others]);
    const readiness = async () => (await fetch(new URL('/ready', apart.ready.admin))).status;
    expect(await readiness()).toBe(503);
    const admin = await site.token('millrace:admin');
    const post = () =>
      fetch(`${apart.ready.events}?topic=crm.deals`, {
        method: 'POST',
        headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
        body: JSON.stringify({ id: '1', title: 't', company_id: 'acme', event_id: 'e1' }),
      });
    const early = await post();
    expect([early.status, await early.json()]).toMatchObject([503, { error: { code: 'SCHEMA_AWAITED' } }]);
    const registry = await start();
    expect((await pushSchema(registry.ready.registry, admin, { name: 'deals', sdl: DEALS_SDL })).status).toBe(200);
    await until(readiness, (status) => status === 200);
    await until(
      async () => (await post()).status,
      (status) => status === 202,
    );
  }, 60_000);
});

describe('several processes on one port', () => {
  test('all of them serve, one that is killed comes back, and signals end them as they should', async () => {
    await using site = new Site({ port: 0 });
    const { start, others } = await withRegistry(site);
    const registry = await start();
    await pushSchema(registry.ready.registry, await site.token('millrace:admin'), { name: 'shop', sdl: ping('one') });
    const user = await site.token('');
    const group = await site.serve('gateways', ['--roles', 'gateway', '--processes', '2', ...(await sharedPorts()), ...others]);
    const processes = group.ready.processes!;
    expect(new Set(processes.map(({ pid }) => pid)).size).toBe(2);

    const served = async (): Promise<readonly number[]> => {
      expect((await ask(group.ready.graphql, user, TYPENAMES)).status).toBe(200);
      return Promise.all(
        processes.map(async ({ addresses }) => {
          const metrics = await (await fetch(new URL('/metrics', addresses.admin))).text();
          return Number(/^millrace_gateway_http_requests_total\{[^}]*status="200"[^}]*\} (\d+)/m.exec(metrics)?.[1] ?? 0);
        }),
      );
    };
    await until(served, (counts) => counts.every((count) => count > 0));

    process.kill(processes[0]!.pid, 'SIGKILL');
    // Connections that the kernel had given to it break; the next one is served by the other.
    await until(
      () => ask(group.ready.graphql, user, TYPENAMES).catch(() => null),
      (answer) => answer?.status === 200,
    );
    const readiness = () => fetch(new URL('/ready', processes[0]!.addresses.admin)).catch(() => null);
    await until(readiness, (answer) => answer?.status === 200);
    group.child.kill('SIGTERM');
    expect(await group.exited).toBe(0);
    expect(await fetch(new URL('/health', processes[1]!.addresses.admin)).catch(() => null)).toBeNull();
  }, 90_000);

  test('a second signal ends all of them at once', async () => {
    await using site = new Site({ port: 0, drainWindow: '1h' });
    const { start, others } = await withRegistry(site);
    await pushSchema((await start()).ready.registry, await site.token('millrace:admin'), { name: 'shop', sdl: ping('one') });
    const group = await site.serve('gateways', ['--roles', 'gateway', '--processes', '2', ...(await sharedPorts()), ...others]);
    group.child.kill('SIGTERM');
    group.child.kill('SIGTERM');
    await group.exited;
    for (const { addresses } of group.ready.processes!)
      await until(
        () => fetch(new URL('/health', addresses.admin)).catch(() => null),
        (answer) => answer === null,
      );
  }, 60_000);

  test.each([
    ['the roles of a registry', ['--processes', '2'], /registry and ingest/],
    ['no number', ['--processes', 'many', '--roles', 'gateway'], /takes a whole number/],
    ['too many', ['--processes', '257', '--roles', 'gateway'], /takes a whole number/],
  ])('are refused with %s', async (_what, flags, why) => {
    await using site = new Site({ port: 4_000, registry: { urls: ['http://127.0.0.1:9'] } });
    await expect(site.serve('x', flags)).rejects.toThrow(why);
  });
});

describe.skipIf(!available('redis'))('ingest and edge in processes of their own', () => {
  test('an event posted to one reaches a subscriber of the other', async () => {
    const { url } = await service('redis');
    await using site = new Site({
      port: 0,
      channels: { kind: 'redis', redis: { urls: [url], keyPrefix: `roles-${randomBytes(6).toString('hex')}` } },
      cursor: { key: randomBytes(32).toString('hex') },
    });
    const { start, others } = await withRegistry(site);
    const registry = await start();
    const admin = await site.token('millrace:admin');
    expect((await pushSchema(registry.ready.registry, admin, { name: 'deals', sdl: DEALS_SDL })).status).toBe(200);
    const [ingest, edge] = await Promise.all([
      site.serve('ingest', ['--roles', 'ingest', ...others]),
      site.serve('edge', ['--roles', 'edge', ...others]),
    ]);
    const inbox = new Inbox<{ readonly dealEvent: { readonly id: string } }>();
    const client = wsClient(edge.ready, await site.token(''));
    client.subscribe<{ readonly dealEvent: { readonly id: string } }>(
      { query: 'subscription { dealEvent { id } }' },
      { next: ({ data }) => void (data && inbox.push(data)), error: () => undefined, complete: () => undefined },
    );
    await until(
      async () => (await fetch(new URL('/metrics', edge.ready.admin))).text(),
      (metrics) => /^millrace_channels_listeners 1$/m.test(metrics),
    );
    const answer = await fetch(`${ingest.ready.events}?topic=crm.deals`, {
      method: 'POST',
      headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
      body: JSON.stringify({ id: '7', title: 't', company_id: 'acme', event_id: 'e7' }),
    });
    expect(answer.status).toBe(202);
    await inbox.until((items) => items.length > 0);
    expect(inbox.items).toEqual([{ dealEvent: { id: '7' } }]);
    await client.dispose();
  }, 60_000);
});
