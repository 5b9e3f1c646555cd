import type { Kysely, SelectQueryBuilder } from 'kysely';
import type { SchemaRow } from './store.ts';
import type { Tables } from './tables.ts';

type Aliased = Tables & { v: Tables['registry_versions']; s: Tables['registry_schemas']; sv: Tables['registry_services'] };
type Selected = Omit<SchemaRow, 'isActive'> & { readonly isActive: number };

/** Versions joined with their schema and service, as rows of the port. */
export function schemaRows(db: Kysely<Tables>): RowQuery {
  const query = db
    .selectFrom('registry_versions as v')
    .innerJoin('registry_schemas as s', 's.id', 'v.schema_id')
    .innerJoin('registry_services as sv', 'sv.id', 'v.service_id')
    .select([
      's.id as schemaId',
      'sv.id as serviceId',
      'v.id as versionId',
      'sv.name as service',
      'v.version as version',
      'sv.url as url',
      'sv.subscription_url as subscriptionUrl',
      'v.added_time as addedTime',
      's.digest as digest',
      's.type_defs as typeDefs',
      's.mapping_defs as mappingDefs',
      's.is_active as isActive',
    ]);
  return new RowQuery(query);
}

type Query = SelectQueryBuilder<Aliased, 'v' | 's' | 'sv', Selected>;

/** The few conditions that the store needs, with the number of `is_active` made a boolean in one place. */
export class RowQuery {
  readonly #query: Query;

  constructor(query: Query) {
    this.#query = query;
  }

  where(column: 'v.id' | 's.id' | 'sv.name' | 'v.version' | 's.is_active', op: '=', value: number | string): RowQuery {
    return new RowQuery(this.#query.where(column, op, value));
  }

  /** Only the most recently registered version of an active schema, for each service. */
  current(): RowQuery {
    return new RowQuery(
      this.#query.where('s.is_active', '=', 1).where((eb) =>
        eb(
          'v.position',
          '=',
          eb
            .selectFrom('registry_versions as w')
            .innerJoin('registry_schemas as t', 't.id', 'w.schema_id')
            .whereRef('w.service_id', '=', 'v.service_id')
            .where('t.is_active', '=', 1)
            .select(({ fn }) => fn.max('w.position').as('top')),
        ),
      ),
    );
  }

  orderBy(column: 'sv.id' | 'v.position', direction: 'asc' | 'desc'): RowQuery {
    return new RowQuery(this.#query.orderBy(column, direction));
  }

  async execute(): Promise<readonly SchemaRow[]> {
    return (await this.#query.execute()).map(toRow);
  }

  async executeTakeFirst(): Promise<SchemaRow | null> {
    const row = await this.#query.limit(1).executeTakeFirst();
    return row ? toRow(row) : null;
  }

  async executeTakeFirstOrThrow(): Promise<SchemaRow> {
    return toRow(await this.#query.limit(1).executeTakeFirstOrThrow());
  }
}

function toRow(row: Selected): SchemaRow {
  return { ...row, isActive: row.isActive === 1 };
}

export function readActive(db: Kysely<Tables>): Promise<readonly SchemaRow[]> {
  return schemaRows(db).current().orderBy('sv.id', 'asc').execute();
}
