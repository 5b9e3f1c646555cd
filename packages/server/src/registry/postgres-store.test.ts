import { beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, PostgresService } from '../../../../tools/services/postgres.ts';
import { available, service } from '../../../../tools/services/shared.ts';
import { ManualClock } from '../kit/clock.ts';
import { silentLogger } from '../kit/log.ts';
import { registryStoreConformance } from './conformance.ts';
import { openPostgresStore } from './postgres-store.ts';
import { openRegistry } from './registry.ts';
import { realCompose, SDL } from './test-registry.ts';

describe.skipIf(!available('postgres'))('on PostgreSQL', () => {
  let server: string;
  beforeAll(async () => {
    server = (await service('postgres')).url;
  });

  registryStoreConformance('PostgreSQL', async () => {
    const url = await createDatabase(server);
    const open = () => openPostgresStore({ url, log: silentLogger, connections: 3 });
    let store = await open();
    return {
      store,
      second: open,
      async reopen() {
        await store.close();
        store = await open();
        return store;
      },
      dispose: () => store.close(),
    };
  });

  it('brings the tables up from several processes at once', async () => {
    const url = await createDatabase(server);
    const stores = await Promise.all(Array.from({ length: 4 }, () => openPostgresStore({ url, log: silentLogger, connections: 1 })));
    expect(await Promise.all(stores.map((store) => store.revision()))).toEqual([0, 0, 0, 0]);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('keeps the registries of two processes of one mind', async () => {
    const url = await createDatabase(server);
    const clock = new ManualClock();
    const stores = await Promise.all([1, 2].map(() => openPostgresStore({ url, log: silentLogger, connections: 2 })));
    const registries = await Promise.all(stores.map((store) => openRegistry({ store, compose: realCompose, clock, pollInterval: null })));
    const names = Array.from({ length: 12 }, (_, i) => `service${i}`);
    await Promise.all(
      names.map(async (name, i) => {
        await registries[i % 2]?.push([{ name, version: 'v1', typeDefs: `type Query { f${i}: Int }` }], 'ann');
      }),
    );
    await Promise.all(registries.map((registry) => registry.refresh()));
    const [one, two] = registries.map((registry) => registry.release());
    expect(one).toEqual(two);
    expect([...(one?.subgraphs.keys() ?? [])].toSorted()).toEqual(names.toSorted());
    await Promise.all(registries.map((registry) => registry.close()));
    await Promise.all(stores.map((store) => store.close()));
  });

  it('survives a database that goes away: coded failures, the last good release, and no end of the process', async () => {
    const own = await PostgresService.start();
    const store = await openPostgresStore({ url: own.url, log: silentLogger, timeout: 2000 });
    const registry = await openRegistry({ store, compose: realCompose, pollInterval: null });
    await registry.push([{ name: 'users', version: 'v1', typeDefs: SDL.users }], 'ann');
    const release = registry.release();
    await own.stop();
    await expect(registry.push([{ name: 'users', version: 'v2', typeDefs: SDL.users }], 'ann')).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await expect(store.ping()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(registry.release()).toBe(release);
    await registry.close();
    await store.close();
  });

  it('is unavailable with a code where nobody listens, without the password in the message', async () => {
    const opening = openPostgresStore({ url: 'postgres://ann:hunter2@127.0.0.1:1/none', log: silentLogger });
    await expect(opening).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.not.stringContaining('hunter2') });
  });
});
