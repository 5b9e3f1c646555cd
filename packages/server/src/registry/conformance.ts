import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RegistryStore, Write } from './store.ts';

export type StoreFixture = {
  /** Opens the same database again while the first handle stays open (another process), or null where a store has one owner. */
  readonly second: (() => Promise<RegistryStore>) | null;
  readonly store: RegistryStore;
  /** Closes the store and opens it again on the same data. */
  reopen(): Promise<RegistryStore>;
  dispose(): Promise<void>;
};

const AT = '2026-11-23T12:00:00.000Z';

function push(service: string, version: string, digest: string, extra: Partial<Extract<Write, { kind: 'push' }>> = {}): Write {
  return { kind: 'push', service, version, digest, typeDefs: `# ${digest}`, mappingDefs: null, url: null, subscriptionUrl: null, ...extra };
}

/** The suite that every RegistryStore passes. */
export function registryStoreConformance(name: string, make: () => Promise<StoreFixture>): void {
  describe(`RegistryStore: ${name}`, () => {
    let fixture: StoreFixture;
    let store: RegistryStore;
    beforeEach(async () => {
      fixture = await make();
      store = fixture.store;
    });
    afterEach(() => fixture.dispose());

    async function make_(...writes: Write[]) {
      const rows = await store.commit(await store.revision(), { writes, release: null, at: AT, actor: 'ann' });
      if (rows === null) throw new Error('conflict');
      return rows;
    }
    const current = async () => (await store.active()).map((row) => `${row.service}@${row.version}:${row.digest}`);

    it('is empty at first', async () => {
      expect(await store.active()).toEqual([]);
      expect(await store.release()).toEqual({ revision: 0, digest: null, body: null });
      expect(await store.history(null, 10)).toEqual([]);
      expect(await store.service('a')).toBeNull();
      expect(await store.schema(1)).toBeNull();
      await store.ping();
    });

    it('gives back what was pushed', async () => {
      const [row] = await make_(
        push('deals', 'v1', 'd1', { url: 'http://d', subscriptionUrl: 'ws://d', mappingDefs: '# m', typeDefs: 'ünï©ode ☃ 𝒳' }),
      );
      expect(row).toMatchObject({
        service: 'deals',
        version: 'v1',
        digest: 'd1',
        url: 'http://d',
        subscriptionUrl: 'ws://d',
        mappingDefs: '# m',
        typeDefs: 'ünï©ode ☃ 𝒳',
        addedTime: AT,
        isActive: true,
      });
      expect(await store.version('deals', 'v1')).toEqual(row);
      expect(await store.schema(row!.schemaId)).toEqual(row);
      expect(await store.service('deals')).toEqual({ id: row!.serviceId, name: 'deals' });
      expect(await store.active()).toEqual([row]);
    });

    it('serves the most recently registered version, and re-pushing an old one does not move it back', async () => {
      await make_(push('a', 'v1', 'd1'));
      await make_(push('a', 'v2', 'd2'), push('b', 'v1', 'x'));
      await make_(push('a', 'v1', 'd1'));
      expect(await current()).toEqual(['a@v2:d2', 'b@v1:x']);
    });

    it('changes nothing for the same again, and says so', async () => {
      await make_(push('a', 'v1', 'd1', { url: 'http://a' }));
      const preview = await store.preview([push('a', 'v1', 'd1')], AT);
      expect(preview.changed).toBe(false);
      expect(preview.rows).toEqual(await store.active());
      expect((await store.preview([push('a', 'v1', 'd1', { url: 'http://b' })], AT)).changed).toBe(true);
    });

    it('refuses another schema under a fixed version, and keeps all of a change back with it', async () => {
      await make_(push('a', 'v1', 'd1'));
      const text = 'Schema [a] and version [v1] already exist in registry. You should not register different type_defs with same version.';
      await expect(store.preview([push('a', 'v1', 'd2')], AT)).rejects.toMatchObject({ code: 'VERSION_TAKEN', message: text });
      await expect(make_(push('b', 'v1', 'x'), push('a', 'v1', 'd2'))).rejects.toMatchObject({ code: 'VERSION_TAKEN' });
      expect(await current()).toEqual(['a@v1:d1']);
      expect(await store.service('b')).toBeNull();
    });

    it('re-points latest, forwards and back, and keeps it once', async () => {
      await make_(push('a', 'latest', 'd1'));
      await make_(push('a', 'latest', 'd2'));
      expect(await current()).toEqual(['a@latest:d2']);
      await make_(push('a', 'latest', 'd1'));
      expect(await current()).toEqual(['a@latest:d1']);
      await make_(push('a', 'v9', 'd2'));
      expect(await current()).toEqual(['a@v9:d2']);
      await make_(push('a', 'latest', 'd1'));
      expect(await current()).toEqual(['a@latest:d1']);
      expect((await store.preview([push('a', 'latest', 'd1')], AT)).changed).toBe(false);
    });

    it('gives one schema to several versions', async () => {
      const [one] = await make_(push('a', 'v1', 'd1'));
      const [two] = await make_(push('a', 'v2', 'd1'));
      expect(two).toMatchObject({ schemaId: one!.schemaId, version: 'v2' });
      expect(two!.versionId).not.toBe(one!.versionId);
      expect(await current()).toEqual(['a@v2:d1']);
    });

    it('falls back when a schema is deactivated, and takes it up again when it is pushed', async () => {
      await make_(push('a', 'v1', 'd1'));
      const [v2] = await make_(push('a', 'v2', 'd2'));
      const [row] = await make_({ kind: 'deactivate', schemaId: v2!.schemaId });
      expect(row).toMatchObject({ version: 'v2', isActive: false });
      expect(await current()).toEqual(['a@v1:d1']);
      expect((await store.preview([{ kind: 'deactivate', schemaId: v2!.schemaId }], AT)).changed).toBe(false);
      await make_(push('a', 'v2', 'd2'));
      expect(await current()).toEqual(['a@v2:d2']);
      expect(await store.preview([{ kind: 'deactivate', schemaId: 999 }], AT)).toMatchObject({ changed: false, rows: [] });
    });

    it('forgets a service, and never uses an id twice', async () => {
      const [before] = await make_(push('a', 'v1', 'd1'));
      await make_({ kind: 'delete', service: 'a' });
      expect(await store.active()).toEqual([]);
      expect(await store.service('a')).toBeNull();
      const [after] = await make_(push('a', 'v1', 'd2'));
      expect(after!.schemaId).toBeGreaterThan(before!.versionId);
      expect((await store.preview([{ kind: 'delete', service: 'nobody' }], AT)).changed).toBe(false);
    });

    it('previews without leaving a trace', async () => {
      await make_(push('a', 'v1', 'd1'));
      const before = [await store.release(), await store.active(), await store.history(null, 10)];
      const preview = await store.preview([push('a', 'v2', 'd2'), push('b', 'v1', 'x'), push('c', 'latest', 'y')], AT);
      expect(preview.active.map((row) => row.version)).toEqual(['v2', 'v1', 'latest']);
      expect(preview).toMatchObject({ revision: await store.revision(), changed: true });
      expect([await store.release(), await store.active(), await store.history(null, 10)]).toEqual(before);
    });

    it('commits only at the revision that was previewed', async () => {
      const { revision } = await store.preview([push('a', 'v1', 'd1')], AT);
      await make_(push('b', 'v1', 'x'));
      expect(await store.commit(revision, { writes: [push('a', 'v1', 'd1')], release: null, at: AT, actor: 'ann' })).toBeNull();
      expect(await current()).toEqual(['b@v1:x']);
    });

    it('lets exactly one of several commits at one revision through', async () => {
      const revision = await store.revision();
      const all = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          store.commit(revision, { writes: [push(`s${i}`, 'v1', 'd')], release: null, at: AT, actor: 'ann' }),
        ),
      );
      expect(all.filter((rows) => rows !== null)).toHaveLength(1);
      expect(await store.active()).toHaveLength(1);
    });

    it('keeps the release in service, through a restart too, and a bounded number of old ones', async () => {
      for (let i = 0; i < 60; i++) {
        await store.commit(await store.revision(), {
          writes: [push('a', `v${i}`, `d${i}`)],
          release: { digest: `r${i}`, body: `body ${i}` },
          at: AT,
          actor: 'ann',
        });
      }
      await make_(push('b', 'v1', 'x'));
      store = await fixture.reopen();
      expect(await store.release()).toEqual({ revision: 61, digest: 'r59', body: 'body 59' });
      expect(await current()).toEqual(['a@v59:d59', 'b@v1:x']);
      await store.commit(61, { writes: [push('b', 'v2', 'y')], release: { digest: 'r59', body: 'again' }, at: AT, actor: 'ann' });
      expect(await store.release()).toMatchObject({ digest: 'r59', body: 'again' });
    });

    it('keeps the history, newest first, by pages', async () => {
      const [a] = await make_(push('a', 'v1', 'd1'));
      await make_(push('a', 'v2', 'd2'), push('b', 'v1', 'x'));
      await make_({ kind: 'deactivate', schemaId: a!.schemaId });
      await make_({ kind: 'delete', service: 'b' });
      const all = await store.history(null, 10);
      expect(all.map(({ kind, service, version, revision }) => [kind, service, version, revision])).toEqual([
        ['delete', 'b', null, 4],
        ['deactivate', 'a', 'v1', 3],
        ['push', 'b', 'v1', 2],
        ['push', 'a', 'v2', 2],
        ['push', 'a', 'v1', 1],
      ]);
      expect(all[0]).toMatchObject({ at: AT, actor: 'ann', release: null, schemaId: null });
      expect(await store.history(all[1]!.id, 2)).toEqual(all.slice(2, 4));
    });

    it('knows who pushed each service last', async () => {
      expect(await store.lastPushers()).toEqual(new Map());
      await make_(push('a', 'v1', 'd1'), push('b', 'v1', 'x'), push('c', 'v1', 'y'));
      await store.commit(await store.revision(), {
        writes: [push('b', 'v2', 'z'), push('a', 'v1', 'd1'), { kind: 'delete', service: 'c' }],
        release: null,
        at: AT,
        actor: 'bob',
      });
      expect(await store.lastPushers()).toEqual(
        new Map([
          ['a', 'ann'],
          ['b', 'bob'],
        ]),
      );
    });

    it('keeps documents, never overwrites one, and no more than the bound', async () => {
      expect(await store.persistQuery('k1', '{a}', AT, 2)).toBe(true);
      expect(await store.persistQuery('k1', '{evil}', AT, 2)).toBe(true);
      expect(await store.persistQuery('__proto__', '{b}', AT, 2)).toBe(true);
      expect(await store.persistQuery('k3', '{c}', AT, 2)).toBe(false);
      expect(await store.persistedQuery('k1')).toBe('{a}');
      expect(await store.persistedQuery('__proto__')).toBe('{b}');
      expect(await store.persistedQuery('k3')).toBeNull();
    });

    it('keeps subscription sources by the same rules for versions', async () => {
      const source = { name: 'socket', version: 'v1', wsUrl: 'ws://s', typeDefs: 'type A', digest: 'd1' };
      const one = await store.pushSubscriptions(source, AT);
      expect(one).toMatchObject(source);
      expect(await store.pushSubscriptions({ ...source, wsUrl: null }, AT)).toEqual(one);
      await expect(store.pushSubscriptions({ ...source, digest: 'd2' }, AT)).rejects.toMatchObject({ code: 'VERSION_TAKEN' });
      await store.pushSubscriptions({ ...source, version: 'latest', digest: 'd2' }, AT);
      await store.pushSubscriptions({ ...source, version: 'latest', digest: 'd3', wsUrl: 'ws://t' }, AT);
      await store.pushSubscriptions({ ...source, name: 'other' }, AT);
      expect((await store.subscriptions()).map((row) => [row.name, row.version, row.digest, row.wsUrl])).toEqual([
        ['socket', 'latest', 'd3', 'ws://t'],
        ['other', 'v1', 'd1', 'ws://s'],
      ]);
    });

    it('takes names and texts as data', async () => {
      const nasty = ['__proto__', 'constructor', "'; drop table registry_services; --", '%_\\"$1 ?', '☃'];
      for (const name of nasty) await make_(push(name, name, name, { typeDefs: name }));
      expect(await current()).toEqual(nasty.map((name) => `${name}@${name}:${name}`));
      for (const name of nasty) expect(await store.version(name, name)).toMatchObject({ typeDefs: name });
    });

    it('serialises changes of two processes', async () => {
      if (fixture.second === null) return;
      const other = await fixture.second();
      try {
        const revision = await store.revision();
        const both = await Promise.all(
          [store, other].map((s, i) => s.commit(revision, { writes: [push(`s${i}`, 'v1', 'd')], release: null, at: AT, actor: 'ann' })),
        );
        expect(both.filter((rows) => rows !== null)).toHaveLength(1);
        await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? store : other).preview([push('s0', `w${i}`, `e${i}`)], AT)));
        expect(await other.active()).toEqual(await store.active());
      } finally {
        await other.close();
      }
    });
  });
}
