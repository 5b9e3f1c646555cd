import { mkdtempSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { registryStoreConformance } from './conformance.ts';
import { openSqliteStore } from './sqlite-store.ts';

registryStoreConformance('node:sqlite', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-registry-'));
  const path = join(folder, 'registry.sqlite');
  const store = await openSqliteStore(path);
  const open = [store];
  return {
    store,
    second: null,
    async reopen() {
      await open.at(-1)?.close();
      open.push(await openSqliteStore(path));
      return open.at(-1) ?? store;
    },
    async dispose() {
      await open.at(-1)?.close();
      rmSync(folder, { recursive: true });
    },
  };
});

it('refuses a file whose tables a newer version made', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-registry-'));
  const path = join(folder, 'registry.sqlite');
  await (await openSqliteStore(path)).close();
  const raw = new DatabaseSync(path);
  raw.exec("INSERT INTO registry_migrations (name, timestamp) VALUES ('9999_future', '2030-01-01')");
  raw.close();
  await expect(openSqliteStore(path)).rejects.toMatchObject({ code: 'STORE_VERSION' });
  rmSync(folder, { recursive: true });
});
