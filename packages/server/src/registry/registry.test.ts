import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { Metrics } from '../kit/metrics.ts';
import type { Composition, ServiceInput } from '../supergraph/compose.ts';
import type { Release } from '../supergraph/release.ts';
import type { Compose } from './composer.ts';
import { openRegistry, type Registry } from './registry.ts';
import { decodeRelease, encodeRelease } from './release-json.ts';
import { registrySource } from './source.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { RegistryStore } from './store.ts';
import { realCompose, SDL } from './test-registry.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

async function setUp(compose: Compose = realCompose, store?: RegistryStore): Promise<Registry> {
  const own = store ?? (await openSqliteStore(':memory:'));
  if (!store) open.push(own);
  const registry = await openRegistry({ store: own, compose, clock: new ManualClock(), pollInterval: null });
  open.push(registry);
  return registry;
}

const push = (name: string, version: string, typeDefs: string) => ({ name, version, typeDefs, url: `http://${name}.test/graphql` });
const services = (registry: Registry) => [...(registry.release()?.subgraphs.keys() ?? [])].toSorted();

describe('releases', () => {
  it('are published before the push resolves, once for each change, in order', async () => {
    const registry = await setUp();
    const source = registrySource(registry);
    const seen: string[] = [];
    const stop = source.watch((release) => void seen.push(release.digest));
    expect(await source.current()).toBeNull();
    await registry.push([push('users', 'v1', SDL.users)], 'ann');
    const first = (await source.current())?.digest;
    await registry.push([push('users', 'v1', SDL.users)], 'ann');
    await registry.push([push('users', 'v2', SDL.users)], 'ann');
    expect(seen).toEqual([first]);
    await registry.push([push('users', 'v3', SDL.usersWithMail)], 'ann');
    expect(seen).toEqual([first, registry.release()?.digest]);
    stop();
    await registry.push([push('users', 'v4', SDL.users)], 'ann');
    expect(seen).toHaveLength(2);
  });

  it('survive a listener that throws', async () => {
    const registry = await setUp();
    const seen: Release[] = [];
    registry.onRelease(() => {
      throw new Error('boom');
    });
    registry.onRelease((release) => void seen.push(release));
    await registry.push([push('users', 'v1', SDL.users)], 'ann');
    expect(seen).toHaveLength(1);
  });

  it('are what they were after encoding and decoding, and refused after any change of the text', async () => {
    const registry = await setUp();
    await registry.push([push('users', 'v1', SDL.users), push('deals', 'v1', SDL.deals)], 'ann');
    const release = registry.release()!;
    const text = encodeRelease(release);
    expect(release.liveTypes).toHaveLength(1);
    expect(decodeRelease(text)).toEqual(release);
    expect(() => decodeRelease(text.replace('crm.deals', 'crm.other'))).toThrow(expect.objectContaining({ code: 'RELEASE_INVALID' }));
    expect(() => decodeRelease(text.replace('http://users.test', 'http://evil.test'))).toThrow(
      expect.objectContaining({ code: 'RELEASE_INVALID' }),
    );
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 3 }), (at, insert) => {
        const changed = text.slice(0, at) + insert + text.slice(at);
        let decoded: Release;
        try {
          decoded = decodeRelease(changed);
        } catch (error) {
          expect(error).toMatchObject({ code: 'RELEASE_INVALID' });
          return;
        }
        // White space between the parts, or a key that nobody reads: the release itself is the same.
        expect({ ...decoded, liveTypes: [] }).toEqual({ ...release, liveTypes: [] });
      }),
      { numRuns: 200 },
    );
    for (const rubbish of [
      '',
      '[]',
      'null',
      '{}',
      '{"format":2}',
      '{"format":1,"digest":"x","supergraphSdl":"","liveTypes":[7],"subgraphs":[]}',
    ]) {
      expect(() => decodeRelease(rubbish)).toThrow(expect.objectContaining({ code: 'RELEASE_INVALID' }));
    }
  });

  it('are served from the first moment after a restart, without composing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-registry-'));
    const path = join(folder, 'registry.sqlite');
    const store = await openSqliteStore(path);
    const registry = await openRegistry({ store, compose: realCompose, pollInterval: null });
    await registry.push([push('users', 'v1', SDL.users), push('deals', 'v1', SDL.deals)], 'ann');
    const before = registry.release();
    await registry.close();
    await store.close();
    const again = await openSqliteStore(path);
    const restarted = await openRegistry({ store: again, compose: () => Promise.reject(new Error('composed')), pollInterval: null });
    expect(restarted.release()).toEqual(before);
    await restarted.close();
    await again.close();
    rmSync(folder, { recursive: true });
  });

  it('are composed again where the stored text is of another format', async () => {
    const store = await openSqliteStore(':memory:');
    open.push(store);
    const registry = await setUp(realCompose, store);
    await registry.push([push('users', 'v1', SDL.users)], 'ann');
    await store.commit(await store.revision(), {
      writes: [],
      release: { digest: registry.release()!.digest, body: '{"format":0}' },
      at: '',
      actor: '',
    });
    expect((await setUp(realCompose, store)).release()).toEqual(registry.release());
  });

  it('of another process are taken up by looking', async () => {
    const store = await openSqliteStore(':memory:');
    open.push(store);
    const one = await setUp(realCompose, store);
    const two = await setUp(realCompose, store);
    const seen: string[] = [];
    two.onRelease((release) => void seen.push(release.digest));
    await one.push([push('users', 'v1', SDL.users)], 'ann');
    expect(two.release()).toBeNull();
    await two.refresh();
    await two.refresh();
    expect(seen).toEqual([one.release()?.digest]);
    await two.push([push('deals', 'v1', SDL.deals)], 'bob');
    await one.refresh();
    expect(one.release()).toEqual(two.release());
  });

  it('are looked for at the interval, through failures of the store', async () => {
    const store = await openSqliteStore(':memory:');
    open.push(store);
    const other = await setUp(realCompose, store);
    await other.push([push('users', 'v1', SDL.users)], 'ann');
    const clock = new ManualClock();
    let looks = 0;
    let onLook: () => void = () => {};
    const faulty = new Proxy(store, {
      get(target, key) {
        if (key !== 'release') {
          const value: unknown = Reflect.get(target, key);
          return typeof value === 'function' ? (value.bind(target) as unknown) : value;
        }
        return async () => {
          looks += 1;
          queueMicrotask(() => setImmediate(onLook));
          if (looks === 2) throw new Error('away');
          return target.release();
        };
      },
    });
    const registry = await openRegistry({ store: faulty, compose: realCompose, clock, pollInterval: 2000 });
    open.push(registry);
    const look = async () => {
      const looked = new Promise<void>((resolve) => (onLook = resolve));
      clock.advance(2000);
      await looked;
    };
    await other.push([push('deals', 'v1', SDL.deals)], 'ann');
    await look();
    expect(services(registry)).toEqual(['users']);
    const published = new Promise<Release>((resolve) => registry.onRelease(resolve));
    await look();
    expect(await published).toEqual(other.release());
  });
});

describe('pushes', () => {
  it('that do not compose change nothing and name service, type and field', async () => {
    const registry = await setUp();
    await registry.push([push('users', 'v1', SDL.users)], 'ann');
    const before = registry.release();
    await expect(registry.push([push('other', 'v1', SDL.clashing)], 'ann')).rejects.toMatchObject({
      code: 'COMPOSITION_FAILED',
      details: { problems: expect.arrayContaining([expect.objectContaining({ service: 'other', type: 'Query', field: 'me' })]) },
    });
    expect(registry.release()).toBe(before);
    expect(await registry.store.service('other')).toBeNull();
  });

  it('of a mapping without tenant are refused by name', async () => {
    const registry = await setUp();
    const refused = registry.push([push('deals', 'v1', SDL.dealsWithoutTenant)], 'ann');
    await expect(refused).rejects.toMatchObject({
      code: 'LIVE_TENANT_MISSING',
      details: { problems: [expect.objectContaining({ service: 'deals', type: 'Deal' })] },
    });
    expect(registry.release()).toBeNull();
  });

  it('of several services are one change: each alone would not compose', async () => {
    const registry = await setUp();
    const seen: Release[] = [];
    registry.onRelease((release) => void seen.push(release));
    const [a, b] = await registry.push([push('deals', 'v1', SDL.deals), push('users', 'v1', SDL.users)], 'ann');
    expect([a?.service, b?.service]).toEqual(['deals', 'users']);
    expect(seen).toHaveLength(1);
    await expect(registry.push([push('users', 'v2', SDL.usersWithMail), push('plain', 'v1', SDL.broken)], 'ann')).rejects.toMatchObject({
      code: 'SDL_INVALID',
    });
    expect((await registry.latest()).map((row) => row.version)).toEqual(['v1', 'v1']);
  });

  it('take a mapping document beside a schema that stays as it is', async () => {
    const registry = await setUp();
    const typeDefs = 'type Query { deals: [Deal] } type Deal @key(fields: "id") { id: ID! title: String }';
    const mappingDefs =
      'extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live"]) extend type Deal @live(topic: "crm.deals", tenant: "company")';
    await registry.push([{ name: 'deals', version: 'v1', typeDefs, mappingDefs }], 'ann');
    expect(registry.release()?.liveTypes.map((type) => type.topic)).toEqual(['crm.deals']);
    await expect(registry.push([{ name: 'deals', version: 'v1', typeDefs }], 'ann')).rejects.toMatchObject({ code: 'VERSION_TAKEN' });
  });

  it('with another address alone make another release', async () => {
    const registry = await setUp();
    await registry.push([push('users', 'v1', SDL.users)], 'ann');
    const before = registry.release()?.digest;
    await registry.push([{ ...push('users', 'v1', SDL.users), url: 'http://elsewhere.test' }], 'ann');
    expect(registry.release()?.digest).not.toBe(before);
    expect(registry.release()?.subgraphs.get('users')?.url).toBe('http://elsewhere.test');
  });

  it('at once are made one after the other: the release has all of them', async () => {
    let running = 0;
    let most = 0;
    const registry = await setUp(async (inputs) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return realCompose(inputs);
    });
    const names = Array.from({ length: 20 }, (_, i) => `service${i}`);
    await Promise.all(names.map((name, i) => registry.push([push(name, 'v1', `type Query { f${i}: Int }`)], 'ann')));
    expect(services(registry)).toEqual([...names].toSorted());
    expect(most).toBe(1);
  });

  it('of two processes on one store never lose each other', async () => {
    const store = await openSqliteStore(':memory:');
    open.push(store);
    const both = [await setUp(realCompose, store), await setUp(realCompose, store)];
    const names = Array.from({ length: 10 }, (_, i) => `service${i}`);
    await Promise.all(names.map((name, i) => both[i % 2]!.push([push(name, 'v1', `type Query { f${i}: Int }`)], 'ann')));
    const third = await setUp(realCompose, store);
    expect(services(third)).toEqual([...names].toSorted());
  });

  it('are refused with a code when too many wait', async () => {
    let letGo: () => void = () => {};
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const registry = await setUp(async (inputs) => {
      await gate;
      return realCompose(inputs);
    });
    const waiting = Array.from({ length: 1000 }, () => registry.push([push('users', 'v1', SDL.users)], 'ann'));
    await expect(registry.push([push('users', 'v1', SDL.users)], 'ann')).rejects.toMatchObject({
      code: 'REGISTRY_BUSY',
      spec: { http: 503 },
    });
    const { values } = await registry.metrics.changes.get();
    expect(values).toContainEqual(expect.objectContaining({ labels: { kind: 'push', outcome: 'REGISTRY_BUSY' }, value: 1 }));
    letGo();
    expect(await Promise.all(waiting)).toHaveLength(1000);
  });
});

describe('delete', () => {
  it('of a schema falls back, and is refused where the fallback does not compose', async () => {
    const registry = await setUp();
    const [v1] = await registry.push([push('users', 'v1', SDL.users)], 'ann');
    const [v2] = await registry.push([push('users', 'v2', SDL.usersWithMail)], 'ann');
    await registry.deactivate(v2!.schemaId, 'ann');
    expect(registry.release()?.supergraphSdl).not.toContain('mail');
    await expect(registry.deactivate(v1!.schemaId, 'ann')).rejects.toMatchObject({ code: 'COMPOSITION_FAILED' });
    expect((await registry.latest()).map((row) => row.version)).toEqual(['v1']);
    expect(await registry.deactivate(999, 'ann')).toBeNull();
  });

  it('of a service is refused where the rest does not compose, unless forced: then the last good release stays', async () => {
    const compose: Compose = async (inputs: readonly ServiceInput[]): Promise<Composition> =>
      inputs.some((input) => input.name === 'users')
        ? realCompose(inputs)
        : { errors: [{ code: 'COMPOSITION_FAILED', message: 'deals needs users' }] };
    const registry = await setUp(compose);
    await registry.push([push('users', 'v1', SDL.users), push('deals', 'v1', SDL.deals)], 'ann');
    const before = registry.release();
    await expect(registry.deleteService('users', { force: false }, 'ann')).rejects.toMatchObject({
      code: 'COMPOSITION_FAILED',
      message: expect.stringContaining('deals needs users'),
    });
    expect(await registry.deleteService('users', { force: true }, 'ann')).toMatchObject({ name: 'users' });
    expect(registry.release()).toBe(before);
    expect(await registry.deleteService('users', { force: true }, 'ann')).toBeNull();
    expect((await registry.history(null, 1))[0]).toMatchObject({ kind: 'delete', service: 'users', release: before?.digest, actor: 'ann' });
  });

  it('does not force its way past a composition that could not be tried', async () => {
    const registry = await setUp();
    await registry.push([push('users', 'v1', SDL.users), push('plain', 'v1', SDL.plain)], 'ann');
    const failing = await setUp(() => Promise.reject(new Error('worker died')), registry.store);
    await expect(failing.deleteService('users', { force: true }, 'ann')).rejects.toThrow('worker died');
    expect(await registry.latest()).toHaveLength(2);
  });
});

it('composes one set once, remembers no failure, and counts', async () => {
  let composed = 0;
  let fail = false;
  const store = await openSqliteStore(':memory:');
  open.push(store);
  const metrics = new Metrics();
  const registry = await openRegistry({
    store,
    metrics,
    pollInterval: null,
    compose: async (inputs) => {
      composed += 1;
      return fail ? { errors: [{ code: 'COMPOSITION_FAILED', message: 'no' }] } : realCompose(inputs);
    },
  });
  open.push(registry);
  await registry.push([push('users', 'v1', SDL.users)], 'ann');
  for (let i = 0; i < 5; i++) await registry.compose([]);
  expect(composed).toBe(1);
  fail = true;
  for (let i = 0; i < 2; i++)
    await expect(registry.validate([push('users', 'v2', SDL.usersWithMail)])).rejects.toMatchObject({ code: 'COMPOSITION_FAILED' });
  fail = false;
  await registry.validate([push('users', 'v2', SDL.usersWithMail)]);
  expect(composed).toBe(4);
  expect(await metrics.text()).toContain('millrace_registry_changes_total{kind="push",outcome="changed"} 1');
});
