import { definitionsOf } from './documents.ts';
import type { ComposedRow } from './registry.ts';
import type { HistoryRow, SchemaRow, SubscriptionRow } from './store.ts';

/** The shapes of spec/registry-api.md, 3: rows of the store as users of the older registry know them. */

export function schemaJson(row: SchemaRow): object {
  return {
    id: row.schemaId,
    service_id: row.serviceId,
    version: row.version,
    name: row.service,
    url: row.url,
    added_time: row.addedTime,
    type_defs: row.typeDefs,
    is_active: row.isActive ? 1 : 0,
    ...extras(row),
  };
}

export function composedJson({ row, pinned }: ComposedRow): object {
  return pinned ? { ...schemaJson(row), schema_id: row.schemaId } : schemaJson(row);
}

export function pushedJson(row: SchemaRow): object {
  return {
    id: row.versionId,
    service_id: row.serviceId,
    schema_id: row.schemaId,
    version: row.version,
    added_time: row.addedTime,
    name: row.service,
    url: row.url,
    is_active: row.isActive ? 1 : 0,
    type_defs: row.typeDefs,
    ...extras(row),
  };
}

/** Millrace's own columns appear only where they are used, so that a drop-in client sees the rows it knows. */
function extras(row: SchemaRow): object {
  return {
    ...(row.mappingDefs === null ? {} : { mapping_defs: row.mappingDefs }),
    ...(row.subscriptionUrl === null ? {} : { subscription_url: row.subscriptionUrl }),
  };
}

export function historyJson(row: HistoryRow): object {
  const { schemaId, ...rest } = row;
  return { ...rest, schema_id: schemaId };
}

export function subscriptionJson(row: SubscriptionRow): object {
  return { id: row.id, name: row.name, version: row.version, ws_url: row.wsUrl };
}

export function pushedSubscriptionJson(row: SubscriptionRow): object {
  return { ...subscriptionJson(row), definitionsCount: definitionsOf(row).length };
}

export function subscriptionsJson(rows: readonly SubscriptionRow[]): object {
  return { sources: rows.map(subscriptionJson), definitions: [...new Set(rows.flatMap(definitionsOf))] };
}
