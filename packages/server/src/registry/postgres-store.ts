import { Kysely, PostgresDialect } from 'kysely';
import { MillraceError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { registryErrors } from './errors.ts';
import { KyselyStore } from './kysely-store.ts';
import type { RegistryStore } from './store.ts';
import { migrate, type Tables } from './tables.ts';

export type PostgresStoreOptions = {
  /** `postgres://user:password@host:port/database`. Never logged. */
  readonly url: string;
  readonly log: Logger;
  /** Connections, 1 to 100. */
  readonly connections?: number;
  /** Ms to wait for a connection, and for one statement. */
  readonly timeout?: number;
};

export const POSTGRES_DEFAULTS = { connections: 5, timeout: 10_000 } as const;

/** Rejects with STORE_UNAVAILABLE, STORE_VERSION. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<RegistryStore> {
  // Loaded only where it is used: an embedded start does without its 50 ms and 8 MB.
  const { default: pg } = await import('pg');
  const timeout = options.timeout ?? POSTGRES_DEFAULTS.timeout;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.connections ?? POSTGRES_DEFAULTS.connections,
    connectionTimeoutMillis: timeout,
    statement_timeout: timeout,
    application_name: 'millrace-registry',
  });
  // An idle connection that breaks is reported here; without a listener it would end the process.
  pool.on('error', (error) => options.log.warn({ reason: error.message }, 'registry database connection lost'));
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  try {
    await migrate(db);
  } catch (thrown) {
    await db.destroy();
    throw coded(thrown);
  }
  return new KyselyStore(db, coded);
}

/** Whatever a statement of ours fails with is the database's state, not the caller's fault; the text goes to the log, as the cause. */
function coded(thrown: unknown): unknown {
  if (thrown instanceof MillraceError || thrown instanceof TypeError) return thrown;
  return new MillraceError(registryErrors.STORE_UNAVAILABLE, "the registry's database does not answer: try again shortly", {}, thrown);
}
