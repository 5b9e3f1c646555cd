import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PostgresServer, postgresInstalled, startPostgres } from '../../test/services/postgres.ts';
import { silentLogger } from '../kit/log.ts';
import { registryStoreConformance } from './conformance.ts';
import { openPostgresStore } from './postgres-store.ts';

describe.skipIf(!postgresInstalled())('on PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  registryStoreConformance('PostgreSQL', async () => {
    const url = await server.createDatabase();
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
    const url = await server.createDatabase();
    const stores = await Promise.all(Array.from({ length: 4 }, () => openPostgresStore({ url, log: silentLogger, connections: 1 })));
    expect(await Promise.all(stores.map((store) => store.revision()))).toEqual([0, 0, 0, 0]);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('is unavailable with a code where nobody listens, without the password in the message', async () => {
    const opening = openPostgresStore({ url: 'postgres://ann:hunter2@127.0.0.1:1/none', log: silentLogger });
    await expect(opening).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', message: expect.not.stringContaining('hunter2') });
  });
});
