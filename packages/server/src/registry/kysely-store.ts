import { type Kysely, sql, type Transaction } from 'kysely';
import {
  LATEST,
  type Change,
  type HistoryRow,
  type Preview,
  type RegistryStore,
  type SchemaRow,
  type ServiceRow,
  type SubscriptionRow,
  type SubscriptionSource,
  type Write,
} from './store.ts';
import { readActive, schemaRows } from './store-reads.ts';
import { applyWrites, hold, lock, nextId, versionTaken } from './store-writes.ts';
import type { Tables } from './tables.ts';

/** Releases kept besides the one in service, for roll-back and for whoever still follows an older one. */
export const RELEASES_KEPT = 50;

/** Thrown to make Kysely roll back; carries what was read before. */
class RolledBack<T> extends Error {
  readonly result: T;

  constructor(result: T) {
    super('rolled back');
    this.result = result;
  }
}

/** The same queries on node:sqlite and PostgreSQL. `coded` turns what the database throws into a coded error. */
export class KyselyStore implements RegistryStore {
  readonly #db: Kysely<Tables>;
  readonly #coded: (thrown: unknown) => unknown;

  constructor(db: Kysely<Tables>, coded: (thrown: unknown) => unknown) {
    this.#db = db;
    this.#coded = coded;
  }

  async preview(writes: readonly Write[], at: string): Promise<Preview> {
    const work = this.#transaction(async (trx): Promise<Preview> => {
      const state = await lock(trx, null);
      if (!state) throw new Error('registry_state has no row');
      const applied = await applyWrites(trx, writes, state.revision, at);
      const preview = {
        revision: state.revision - 1,
        changed: applied.changed,
        rows: applied.rows,
        active: await readActive(trx),
        release: state.release,
      };
      throw new RolledBack(preview);
    });
    try {
      return await work;
    } catch (thrown) {
      if (thrown instanceof RolledBack) return thrown.result as Preview;
      throw thrown;
    }
  }

  commit(expected: number, change: Change): Promise<readonly SchemaRow[] | null> {
    return this.#transaction(async (trx) => {
      const state = await lock(trx, expected);
      if (!state) return null;
      const { rows, history } = await applyWrites(trx, change.writes, state.revision, change.at);
      if (change.release) await putRelease(trx, change.release, state.revision, change.at);
      const release = change.release?.digest ?? state.release;
      for (const { kind, service, version, schemaId } of history) {
        const id = await nextId(trx);
        const entry = {
          id,
          revision: state.revision,
          at: change.at,
          actor: change.actor,
          kind,
          service,
          version,
          schema_id: schemaId,
          release,
        };
        await trx.insertInto('registry_changes').values(entry).execute();
      }
      return rows;
    });
  }

  async revision(): Promise<number> {
    return (await this.release()).revision;
  }

  active(): Promise<readonly SchemaRow[]> {
    return this.#guard(() => readActive(this.#db));
  }

  version(service: string, version: string): Promise<SchemaRow | null> {
    return this.#guard(() => schemaRows(this.#db).where('sv.name', '=', service).where('v.version', '=', version).executeTakeFirst());
  }

  schema(schemaId: number): Promise<SchemaRow | null> {
    return this.#guard(() => schemaRows(this.#db).where('s.id', '=', schemaId).orderBy('v.position', 'desc').executeTakeFirst());
  }

  service(name: string): Promise<ServiceRow | null> {
    return this.#guard(
      async () =>
        (await this.#db.selectFrom('registry_services').select(['id', 'name']).where('name', '=', name).executeTakeFirst()) ?? null,
    );
  }

  release(): Promise<{ revision: number; digest: string | null; body: string | null }> {
    return this.#guard(() =>
      this.#db
        .selectFrom('registry_state as st')
        .leftJoin('registry_releases as r', 'r.digest', 'st.release')
        .select(['st.revision as revision', 'r.digest as digest', 'r.body as body'])
        .where('st.id', '=', 1)
        .executeTakeFirstOrThrow(),
    );
  }

  history(before: number | null, limit: number): Promise<readonly HistoryRow[]> {
    return this.#guard(async () => {
      let query = this.#db.selectFrom('registry_changes').selectAll().orderBy('id', 'desc').limit(limit);
      if (before !== null) query = query.where('id', '<', before);
      return (await query.execute()).map(({ schema_id: schemaId, kind, ...rest }) => ({ ...rest, kind: kind as Write['kind'], schemaId }));
    });
  }

  lastPushers(): Promise<ReadonlyMap<string, string>> {
    return this.#guard(async () => {
      const rows = await this.#db
        .selectFrom('registry_changes as c')
        .innerJoin('registry_services as sv', 'sv.name', 'c.service')
        .select(['c.service as service', 'c.actor as actor'])
        .where('c.kind', '=', 'push')
        .where((eb) =>
          eb(
            'c.id',
            '=',
            eb
              .selectFrom('registry_changes as d')
              .whereRef('d.service', '=', 'c.service')
              .where('d.kind', '=', 'push')
              .select(({ fn }) => fn.max('d.id').as('top')),
          ),
        )
        .execute();
      return new Map(rows.map((row) => [row.service, row.actor]));
    });
  }

  persistedQuery(key: string): Promise<string | null> {
    return this.#guard(async () => {
      const row = await this.#db.selectFrom('registry_persisted_queries').select('value').where('key', '=', key).executeTakeFirst();
      return row?.value ?? null;
    });
  }

  persistQuery(key: string, value: string, at: string, max: number): Promise<boolean> {
    return this.#transaction(async (trx) => {
      await hold(trx);
      const known = await trx.selectFrom('registry_persisted_queries').select('key').where('key', '=', key).executeTakeFirst();
      if (known) return true;
      const { count } = await trx
        .selectFrom('registry_persisted_queries')
        .select(({ fn }) => fn.countAll<number | string>().as('count'))
        .executeTakeFirstOrThrow();
      if (Number(count) >= max) return false;
      await trx.insertInto('registry_persisted_queries').values({ key, value, added_time: at }).execute();
      return true;
    });
  }

  pushSubscriptions(source: SubscriptionSource, at: string): Promise<SubscriptionRow> {
    return this.#transaction(async (trx) => {
      await hold(trx);
      const position = await nextId(trx);
      const { name, version, wsUrl, typeDefs, digest } = source;
      const known = await trx
        .selectFrom('registry_subscriptions')
        .select(['id', 'digest'])
        .where('name', '=', name)
        .where('version', '=', version)
        .executeTakeFirst();
      if (known && version !== LATEST && known.digest !== digest) throw versionTaken(name, version);
      if (!known) {
        const id = position;
        await trx
          .insertInto('registry_subscriptions')
          .values({ id, name, version, ws_url: wsUrl, type_defs: typeDefs, digest, position, added_time: at })
          .execute();
        return { ...source, id };
      }
      const moved = version === LATEST ? { position, type_defs: typeDefs, digest } : {};
      const url = wsUrl === null ? {} : { ws_url: wsUrl };
      const row = await trx
        .updateTable('registry_subscriptions')
        .set({ name, ...moved, ...url })
        .where('id', '=', known.id)
        .returningAll()
        .executeTakeFirstOrThrow();
      return toSubscription(row);
    });
  }

  subscriptions(): Promise<readonly SubscriptionRow[]> {
    return this.#guard(async () => {
      const rows = await this.#db
        .selectFrom('registry_subscriptions as a')
        .selectAll('a')
        .where((eb) =>
          eb(
            'a.position',
            '=',
            eb
              .selectFrom('registry_subscriptions as b')
              .whereRef('b.name', '=', 'a.name')
              .select(({ fn }) => fn.max('b.position').as('top')),
          ),
        )
        .orderBy('a.id')
        .execute();
      return rows.map(toSubscription);
    });
  }

  ping(): Promise<void> {
    return this.#guard(async () => void (await sql`select 1`.execute(this.#db)));
  }

  close(): Promise<void> {
    return this.#db.destroy();
  }

  #transaction<T>(work: (trx: Transaction<Tables>) => Promise<T>): Promise<T> {
    return this.#guard(() => this.#db.transaction().execute(work));
  }

  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw thrown instanceof RolledBack ? thrown : this.#coded(thrown);
    }
  }
}

async function putRelease(db: Kysely<Tables>, release: NonNullable<Change['release']>, revision: number, at: string): Promise<void> {
  const row = { digest: release.digest, body: release.body, revision, added_time: at };
  await db
    .insertInto('registry_releases')
    .values(row)
    .onConflict((oc) => oc.column('digest').doUpdateSet({ body: row.body, revision }))
    .execute();
  await db.updateTable('registry_state').set({ release: release.digest }).where('id', '=', 1).execute();
  const oldest = await db
    .selectFrom('registry_releases')
    .select('revision')
    .orderBy('revision', 'desc')
    .offset(RELEASES_KEPT)
    .limit(1)
    .executeTakeFirst();
  if (oldest) await db.deleteFrom('registry_releases').where('revision', '<=', oldest.revision).execute();
}

function toSubscription(row: Tables['registry_subscriptions']): SubscriptionRow {
  return { id: row.id, name: row.name, version: row.version, wsUrl: row.ws_url, typeDefs: row.type_defs, digest: row.digest };
}
