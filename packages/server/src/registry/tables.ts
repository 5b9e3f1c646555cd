import { type Kysely, sql } from 'kysely';
import { type Migration, type MigrationProvider, Migrator } from 'kysely/migration';
import { MillraceError } from '../kit/errors.ts';
import { registryErrors } from './errors.ts';

/** Types that node:sqlite and PostgreSQL share: integers of 32 bits, text, and times as ISO 8601 text, which sorts by time. */
export type Tables = {
  registry_state: { id: number; revision: number; next_id: number; release: string | null };
  registry_services: { id: number; name: string; url: string | null; subscription_url: string | null; added_time: string };
  registry_schemas: {
    id: number;
    service_id: number;
    digest: string;
    type_defs: string;
    mapping_defs: string | null;
    is_active: number;
    added_time: string;
  };
  /** `position` is the revision that registered it: the highest with an active schema is the current one. */
  registry_versions: { id: number; service_id: number; schema_id: number; version: string; position: number; added_time: string };
  registry_releases: { digest: string; body: string; revision: number; added_time: string };
  registry_changes: {
    id: number;
    revision: number;
    at: string;
    actor: string;
    kind: string;
    service: string;
    version: string | null;
    schema_id: number | null;
    release: string | null;
  };
  registry_persisted_queries: { key: string; value: string; added_time: string };
  registry_subscriptions: {
    id: number;
    name: string;
    version: string;
    ws_url: string | null;
    type_defs: string;
    digest: string;
    position: number;
    added_time: string;
  };
};

const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001_registry': { up: createTables },
};

/** Brings the tables up to date; safe with several processes at once. Rejects with STORE_VERSION where they are of a newer Millrace. */
export async function migrate(db: Kysely<Tables>): Promise<void> {
  const provider: MigrationProvider = { getMigrations: async () => ({ ...MIGRATIONS }) };
  const migrator = new Migrator({
    db,
    provider,
    migrationTableName: 'registry_migrations',
    migrationLockTableName: 'registry_migrations_lock',
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error === undefined) return;
  // Kysely reports a migration that it does not know before it runs any; everything else failed while it ran.
  const unknown = error instanceof Error && error.message.includes('corrupted migrations');
  if (!unknown) throw error;
  const line = "the registry's tables were made by a newer Millrace: start that version, or name another database";
  throw new MillraceError(registryErrors.STORE_VERSION, line, { migrations: results?.length ?? 0 }, error);
}

async function createTables(db: Kysely<unknown>): Promise<void> {
  await createState(db);
  await db.schema
    .createTable('registry_services')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull().unique())
    .addColumn('url', 'text')
    .addColumn('subscription_url', 'text')
    .addColumn('added_time', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('registry_schemas')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('service_id', 'integer', (c) => c.notNull().references('registry_services.id'))
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('type_defs', 'text', (c) => c.notNull())
    .addColumn('mapping_defs', 'text')
    .addColumn('is_active', 'integer', (c) => c.notNull())
    .addColumn('added_time', 'text', (c) => c.notNull())
    .addUniqueConstraint('registry_schemas_digest', ['service_id', 'digest'])
    .execute();
  await db.schema
    .createTable('registry_versions')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('service_id', 'integer', (c) => c.notNull().references('registry_services.id'))
    .addColumn('schema_id', 'integer', (c) => c.notNull().references('registry_schemas.id'))
    .addColumn('version', 'text', (c) => c.notNull())
    .addColumn('position', 'integer', (c) => c.notNull())
    .addColumn('added_time', 'text', (c) => c.notNull())
    .addUniqueConstraint('registry_versions_version', ['service_id', 'version'])
    .execute();
  await db.schema.createIndex('registry_versions_position').on('registry_versions').columns(['service_id', 'position']).execute();
  await db.schema.createIndex('registry_versions_schema').on('registry_versions').columns(['schema_id', 'position']).execute();
  await createRecords(db);
}

async function createState(db: Kysely<Tables>): Promise<void> {
  await db.schema
    .createTable('registry_state')
    .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
    .addColumn('revision', 'integer', (c) => c.notNull())
    .addColumn('next_id', 'integer', (c) => c.notNull())
    .addColumn('release', 'text')
    .execute();
  await db.insertInto('registry_state').values({ id: 1, revision: 0, next_id: 1, release: null }).execute();
}

async function createRecords(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('registry_releases')
    .addColumn('digest', 'text', (c) => c.primaryKey())
    .addColumn('body', 'text', (c) => c.notNull())
    .addColumn('revision', 'integer', (c) => c.notNull())
    .addColumn('added_time', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('registry_changes')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('revision', 'integer', (c) => c.notNull())
    .addColumn('at', 'text', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('service', 'text', (c) => c.notNull())
    .addColumn('version', 'text')
    .addColumn('schema_id', 'integer')
    .addColumn('release', 'text')
    .execute();
  await db.schema
    .createTable('registry_persisted_queries')
    .addColumn('key', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .addColumn('added_time', 'text', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('registry_subscriptions')
    .addColumn('id', 'integer', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('version', 'text', (c) => c.notNull())
    .addColumn('ws_url', 'text')
    .addColumn('type_defs', 'text', (c) => c.notNull())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('position', 'integer', (c) => c.notNull())
    .addColumn('added_time', 'text', (c) => c.notNull())
    .addUniqueConstraint('registry_subscriptions_version', ['name', 'version'])
    .execute();
}
