/**
 * PORT. Where the registry keeps services, schemas, versions, releases, history and documents. Implemented once, over Kysely, for
 * node:sqlite and PostgreSQL; `conformance.ts` is the suite of both.
 *
 * Every change raises one revision. Changes are transactional and serialised by the row that holds it: a change is first
 * previewed (applied, read, rolled back), composed outside any transaction, then committed only if the revision is still the
 * previewed one. All methods reject with STORE_UNAVAILABLE, DISK_FULL or DATA_* where the database fails.
 */
export interface RegistryStore {
  /** What the change would leave, without making it. Rejects with VERSION_TAKEN. */
  preview(writes: readonly Write[], at: string): Promise<Preview>;
  /** Makes the change, or nothing and `null` where the revision is no longer `expected`. Rejects with VERSION_TAKEN. */
  commit(expected: number, change: Change): Promise<readonly SchemaRow[] | null>;
  revision(): Promise<number>;
  /** The current schema of each service, by service id. */
  active(): Promise<readonly SchemaRow[]>;
  /** Null where the service or the version is unknown. */
  version(service: string, version: string): Promise<SchemaRow | null>;
  schema(schemaId: number): Promise<SchemaRow | null>;
  service(name: string): Promise<ServiceRow | null>;
  /** The release in service, null before the first; `revision` is the one it was read at. */
  release(): Promise<{ readonly revision: number; readonly digest: string | null; readonly body: string | null }>;
  /** Newest first; ids below `before`. */
  history(before: number | null, limit: number): Promise<readonly HistoryRow[]>;
  /** Who pushed each known service last, by service name. */
  lastPushers(): Promise<ReadonlyMap<string, string>>;
  persistedQuery(key: string): Promise<string | null>;
  /** False where `max` documents are kept already and this is not one of them. Never overwrites. */
  persistQuery(key: string, value: string, at: string, max: number): Promise<boolean>;
  /** Rejects with VERSION_TAKEN. */
  pushSubscriptions(source: SubscriptionSource, at: string): Promise<SubscriptionRow>;
  /** The most recent version of each source, by id. */
  subscriptions(): Promise<readonly SubscriptionRow[]>;
  /** Resolves where the database answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The version that may be re-pointed. */
export const LATEST = 'latest';

export type SchemaRow = {
  readonly schemaId: number;
  readonly serviceId: number;
  readonly versionId: number;
  readonly service: string;
  readonly version: string;
  readonly url: string | null;
  readonly subscriptionUrl: string | null;
  /** ISO 8601, UTC: when the version was registered (for `latest`: re-pointed). */
  readonly addedTime: string;
  readonly digest: string;
  readonly typeDefs: string;
  readonly mappingDefs: string | null;
  readonly isActive: boolean;
};

export type ServiceRow = { readonly id: number; readonly name: string };

export type Write =
  | {
      readonly kind: 'push';
      readonly service: string;
      readonly version: string;
      /** Of both documents as printed; decides whether two schemas are the same. */
      readonly digest: string;
      readonly typeDefs: string;
      readonly mappingDefs: string | null;
      /** Null keeps what is known. */
      readonly url: string | null;
      readonly subscriptionUrl: string | null;
    }
  | { readonly kind: 'deactivate'; readonly schemaId: number }
  | { readonly kind: 'delete'; readonly service: string };

export type Preview = {
  readonly revision: number;
  /** False where everything is as it would be left. */
  readonly changed: boolean;
  /** One for each write of kind `push`, in order, and for a deactivated schema. Ids are those of stored rows only where `changed` is false. */
  readonly rows: readonly SchemaRow[];
  readonly active: readonly SchemaRow[];
  /** Digest of the release in service before the change. */
  readonly release: string | null;
};

export type Change = {
  readonly writes: readonly Write[];
  /** Null keeps the one in service. */
  readonly release: { readonly digest: string; readonly body: string } | null;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly actor: string;
};

export type HistoryRow = {
  readonly id: number;
  readonly revision: number;
  readonly at: string;
  readonly actor: string;
  readonly kind: Write['kind'];
  readonly service: string;
  readonly version: string | null;
  readonly schemaId: number | null;
  readonly release: string | null;
};

export type SubscriptionSource = {
  readonly name: string;
  readonly version: string;
  readonly wsUrl: string | null;
  readonly typeDefs: string;
  readonly digest: string;
};

export type SubscriptionRow = SubscriptionSource & { readonly id: number };
