import type { Kysely } from 'kysely';
import { MillraceError } from '../kit/errors.ts';
import { registryErrors } from './errors.ts';
import { LATEST, type SchemaRow, type Write } from './store.ts';
import { schemaRows } from './store-reads.ts';
import type { Tables } from './tables.ts';

type Db = Kysely<Tables>;

export type Applied = {
  readonly changed: boolean;
  readonly rows: readonly SchemaRow[];
  readonly history: readonly {
    readonly kind: Write['kind'];
    readonly service: string;
    readonly version: string | null;
    readonly schemaId: number | null;
  }[];
};

/**
 * Takes the lock of all changes: the first statement of every change, on both databases, so that they run one after the other.
 * Raises the revision, which `expected` must be if it is given; null where it is not.
 */
export async function lock(
  db: Db,
  expected: number | null,
): Promise<{ readonly revision: number; readonly release: string | null } | null> {
  let update = db
    .updateTable('registry_state')
    .set((eb) => ({ revision: eb('revision', '+', 1) }))
    .where('id', '=', 1);
  if (expected !== null) update = update.where('revision', '=', expected);
  const row = await update.returning(['revision', 'release']).executeTakeFirst();
  return row ? { revision: row.revision, release: row.release } : null;
}

/** The same lock for what is no change of the graph: the revision stays. */
export async function hold(db: Db): Promise<void> {
  await db
    .updateTable('registry_state')
    .set((eb) => ({ revision: eb.ref('revision') }))
    .where('id', '=', 1)
    .execute();
}

/** Ids come from one counter under the lock: never used twice, and a change that is rolled back leaves no gap. */
export async function nextId(db: Db): Promise<number> {
  const row = await db
    .updateTable('registry_state')
    .set((eb) => ({ next_id: eb('next_id', '+', 1) }))
    .where('id', '=', 1)
    .returning('next_id')
    .executeTakeFirstOrThrow();
  return row.next_id - 1;
}

/** Under the lock. What is already so is not written, and counts as no change. */
export async function applyWrites(db: Db, writes: readonly Write[], revision: number, at: string): Promise<Applied> {
  const rows: SchemaRow[] = [];
  const history: Applied['history'][number][] = [];
  for (const write of writes) {
    const done = await applyWrite(db, write, revision, at);
    if (done.row) rows.push(done.row);
    if (done.changed)
      history.push({ kind: write.kind, service: done.service, version: done.row?.version ?? null, schemaId: done.row?.schemaId ?? null });
  }
  return { changed: history.length > 0, rows, history };
}

type Done = { readonly changed: boolean; readonly service: string; readonly row: SchemaRow | null };

function applyWrite(db: Db, write: Write, revision: number, at: string): Promise<Done> {
  if (write.kind === 'push') return push(db, write, revision, at);
  if (write.kind === 'deactivate') return deactivate(db, write.schemaId);
  return forget(db, write.service);
}

async function push(db: Db, write: Extract<Write, { kind: 'push' }>, revision: number, at: string): Promise<Done> {
  const service = await upsertService(db, write, at);
  const schema = await upsertSchema(db, write, service.id, at);
  const version = await upsertVersion(db, write, service.id, schema.id, revision, at);
  const row = await schemaRows(db).where('v.id', '=', version.id).executeTakeFirstOrThrow();
  return { changed: service.changed || schema.changed || version.changed, service: write.service, row };
}

type Upserted = { readonly id: number; readonly changed: boolean };

async function upsertService(db: Db, write: Extract<Write, { kind: 'push' }>, at: string): Promise<Upserted> {
  const { service: name, url, subscriptionUrl } = write;
  const known = await db.selectFrom('registry_services').selectAll().where('name', '=', name).executeTakeFirst();
  if (!known) {
    const id = await nextId(db);
    await db.insertInto('registry_services').values({ id, name, url, subscription_url: subscriptionUrl, added_time: at }).execute();
    return { id, changed: true };
  }
  const wanted = { url: url ?? known.url, subscription_url: subscriptionUrl ?? known.subscription_url };
  if (wanted.url === known.url && wanted.subscription_url === known.subscription_url) return { id: known.id, changed: false };
  await db.updateTable('registry_services').set(wanted).where('id', '=', known.id).execute();
  return { id: known.id, changed: true };
}

async function upsertSchema(db: Db, write: Extract<Write, { kind: 'push' }>, serviceId: number, at: string): Promise<Upserted> {
  const known = await db
    .selectFrom('registry_schemas')
    .select(['id', 'is_active'])
    .where('service_id', '=', serviceId)
    .where('digest', '=', write.digest)
    .executeTakeFirst();
  if (!known) {
    const id = await nextId(db);
    const { digest, typeDefs, mappingDefs } = write;
    await db
      .insertInto('registry_schemas')
      .values({ id, service_id: serviceId, digest, type_defs: typeDefs, mapping_defs: mappingDefs, is_active: 1, added_time: at })
      .execute();
    return { id, changed: true };
  }
  if (known.is_active === 1) return { id: known.id, changed: false };
  await db.updateTable('registry_schemas').set({ is_active: 1 }).where('id', '=', known.id).execute();
  return { id: known.id, changed: true };
}

async function upsertVersion(
  db: Db,
  write: Extract<Write, { kind: 'push' }>,
  serviceId: number,
  schemaId: number,
  revision: number,
  at: string,
): Promise<Upserted> {
  const { version, service } = write;
  const known = await db
    .selectFrom('registry_versions')
    .select(['id', 'schema_id', 'position'])
    .where('service_id', '=', serviceId)
    .where('version', '=', version)
    .executeTakeFirst();
  if (!known) {
    const id = await nextId(db);
    await db
      .insertInto('registry_versions')
      .values({ id, service_id: serviceId, schema_id: schemaId, version, position: revision, added_time: at })
      .execute();
    return { id, changed: true };
  }
  if (version !== LATEST) {
    if (known.schema_id !== schemaId) throw versionTaken(service, version);
    return { id: known.id, changed: false };
  }
  if (known.schema_id === schemaId && known.position === (await topPosition(db, serviceId))) return { id: known.id, changed: false };
  await db
    .updateTable('registry_versions')
    .set({ schema_id: schemaId, position: revision, added_time: at })
    .where('id', '=', known.id)
    .execute();
  return { id: known.id, changed: true };
}

async function topPosition(db: Db, serviceId: number): Promise<number> {
  const row = await db
    .selectFrom('registry_versions')
    .select((eb) => eb.fn.max('position').as('top'))
    .where('service_id', '=', serviceId)
    .executeTakeFirst();
  return row?.top ?? 0;
}

async function deactivate(db: Db, schemaId: number): Promise<Done> {
  const row = await schemaRows(db).where('s.id', '=', schemaId).orderBy('v.position', 'desc').executeTakeFirst();
  if (!row) return { changed: false, service: '', row: null };
  if (!row.isActive) return { changed: false, service: row.service, row };
  await db.updateTable('registry_schemas').set({ is_active: 0 }).where('id', '=', schemaId).execute();
  return { changed: true, service: row.service, row: { ...row, isActive: false } };
}

async function forget(db: Db, name: string): Promise<Done> {
  const known = await db.selectFrom('registry_services').select('id').where('name', '=', name).executeTakeFirst();
  if (!known) return { changed: false, service: name, row: null };
  await db.deleteFrom('registry_versions').where('service_id', '=', known.id).execute();
  await db.deleteFrom('registry_schemas').where('service_id', '=', known.id).execute();
  await db.deleteFrom('registry_services').where('id', '=', known.id).execute();
  return { changed: true, service: name, row: null };
}

/** Users of the older registry match on this text. */
export function versionTaken(name: string, version: string): MillraceError {
  const text = `Schema [${name}] and version [${version}] already exist in registry. You should not register different type_defs with same version.`;
  return new MillraceError(registryErrors.VERSION_TAKEN, text, { service: name, version });
}
