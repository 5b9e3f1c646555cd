import type { Json } from '../kit/json.ts';

/**
 * What `@live` on a type says, after validation: the mapping from the records of a topic to the events of a type.
 * Pure data, made from SDL by `supergraph/live-schema.ts`, used by ingest (to map), by live (to match) and by
 * `POST /events` (to find the event id). Normative: spec/live-schema.md.
 */
export type LiveType = {
  /** The GraphQL type's name, `Deal`. Also the second half of a channel's name. */
  readonly name: string;
  /** The subgraph whose SDL (or mapping document) carries the directive. */
  readonly subgraph: string;
  /** The broker that the topic lives on; `default` where the directive names none. */
  readonly broker: string;
  /** The topic's name on that broker, `crm.deals`. */
  readonly topic: string;
  /** Where the tenant id stands. Mandatory: a type without one does not compose. */
  readonly tenant: TenantRule;
  /** Fields of the entity key in @key order with the path of each in the entity. Empty: a plain event stream without identity. */
  readonly key: readonly { readonly field: string; readonly path: Path }[];
  readonly visibility: Visibility;
  /** Only for EVENT: where the event names who may see it. */
  readonly audience: AudiencePaths;
  /** Per-entity increasing number, if the producer has one. */
  readonly version: Path | null;
  readonly format: LiveFormat;
  /** The current image of the entity within the body; an empty path is the body itself. */
  readonly entity: Path;
  readonly before: Path;
  readonly action: Path;
  /** Producer's words to ours, compared in any letter case. Empty: ADDED, CHANGED, DELETED and their common synonyms. */
  readonly actions: ReadonlyMap<string, LiveAction>;
  /** What happens to an action that has no mapping. */
  readonly unknownAction: 'reject' | 'drop';
  readonly eventId: Path;
  readonly at: Path;
  readonly carried: readonly CarriedField[];
  /** Base name of the generated subscription fields: `deal` gives `dealEvent`, `dealAdded`, … */
  readonly fieldName: string;
  /** The list query that a snapshot comes from, or null. */
  readonly list: string | null;
};

/** The topic as `@live` writes it, by which records find their types: two brokers may have topics of one name. */
export function liveTopicOf({ broker, topic }: Pick<LiveType, 'broker' | 'topic'>): string {
  return broker === 'default' ? topic : `${broker}:${topic}`;
}

/** Steps from an object to a value within it: `meta.id` is ['meta', 'id']. Own properties only; an index is a decimal string. */
export type Path = readonly string[];

export type TenantRule =
  /** Looked up in the body, first in the entity, then in the whole body. */
  | { readonly kind: 'path'; readonly path: Path }
  /** `tenant: "'shop'"`: a system with one tenant says so openly. */
  | { readonly kind: 'constant'; readonly tenant: string };

export type Visibility = 'PUBLIC' | 'TENANT' | 'EVENT';

/** `users`, `groups` and `owner` may each hold one id or a list. Looked up in the body, first in the entity. */
export type AudiencePaths = { readonly users: Path; readonly groups: Path; readonly owner: Path };

export type LiveFormat = 'AUTO' | 'JSON' | 'CLOUDEVENTS' | 'DEBEZIUM';

/** What happened to an entity, as a producer can say it. The client's enum has SNAPSHOT, ENTERED, LEFT and GAP besides. */
export type LiveAction = 'ADDED' | 'CHANGED' | 'DELETED';

export type CarriedField = {
  /** The GraphQL field. */
  readonly field: string;
  /** Where its value stands in the entity image. */
  readonly path: Path;
  /** The named type of the field (`Float`, `ID`, an enum or a custom scalar) and whether it is a list. */
  readonly type: string;
  readonly scalar: FilterScalar;
  readonly list: boolean;
  readonly nonNull: boolean;
  readonly filterable: boolean;
};

/** Decides the operators and the comparison of a filterable field. `Other` (custom scalars) takes eq, ne, in, notIn, isNull. */
export type FilterScalar = 'ID' | 'String' | 'Int' | 'Float' | 'Boolean' | 'Enum' | 'DateTime' | 'Other';

/** Follows own properties only, so that `__proto__` and `constructor` are ordinary, absent names. Undefined where the path ends early. */
export function valueAt(root: Json | undefined, path: Path): Json | undefined {
  let value: Json | undefined = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    if (step === 'length' && Array.isArray(value)) return undefined;
    value = (value as { readonly [key: string]: Json })[step];
  }
  return value;
}
