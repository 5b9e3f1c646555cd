/**
 * The @link specification `https://specs.millrace.dev/live/v1.0`: what a team may write. Normative text: spec/live-schema.md.
 * `millrace schema directives` prints `LIVE_DIRECTIVES_SDL` for services that build their schema with a federation library.
 */
export const LIVE_SPEC_IDENTITY = 'https://specs.millrace.dev/live';
export const LIVE_SPEC_VERSION = 'v1.0';
export const LIVE_SPEC_URL = `${LIVE_SPEC_IDENTITY}/${LIVE_SPEC_VERSION}`;

/** Types of the specification carry its namespace, as @link wants it for names that are not imported. */
export const LIVE_TYPE_PREFIX = 'live__';

export const LIVE_DIRECTIVE_NAMES = ['live', 'carried', 'filterable'] as const;
export type LiveDirectiveName = (typeof LIVE_DIRECTIVE_NAMES)[number];

export const LIVE_DIRECTIVES_SDL = `"""
The type changes live: its events arrive on a topic. Paths are names separated by dots, looked up in the event's body.
"""
directive @live(
  "Where events arrive: \`name\` on the default broker, or \`broker:name\`."
  topic: String!
  "Path of the tenant id, or a constant in single quotes. Mandatory."
  tenant: String!
  "Fields of the @key that identifies the entity, each with its path where that differs: \`id\`, \`id: meta.id\`. Default: the first @key of scalars."
  key: String
  "Path of a number that grows with every change of one entity."
  version: String
  visibility: live__Visibility = TENANT
  "Query field that lists the entities, for snapshots."
  list: String
  format: live__Format = AUTO
  "Path of the entity's current image. Default: the body itself."
  entity: String = ""
  before: String = "before"
  action: String = "action"
  "The producer's words for actions. Default: added, changed, deleted and their common synonyms, in any letter case."
  actions: [live__ActionWord!]
  unknownAction: live__UnknownAction = REJECT
  eventId: String = "event_id"
  at: String = "at"
  "Who may see the event, with visibility EVENT: paths of one id or a list of ids."
  users: String = "users"
  groups: String = "groups"
  owner: String = "owner"
  "Base of the generated names: \`deal\` gives dealEvent, dealAdded. Default: the type's name, first letter small."
  name: String
) on OBJECT

"The field travels with the event and is served without a fetch. \`path\` is looked up in the entity; default: the field's name."
directive @carried(path: String) on FIELD_DEFINITION

"Clients may filter by the field. Only with @carried."
directive @filterable on FIELD_DEFINITION

enum live__Visibility {
  "Anybody, where the configuration admits anonymous sessions."
  PUBLIC
  "Everybody in the tenant."
  TENANT
  "Those that the event names as users, groups or owner."
  EVENT
  "Not supported yet."
  SERVICE
  "Not supported yet."
  CHECK
}

enum live__Format {
  AUTO
  JSON
  CLOUDEVENTS
  DEBEZIUM
}

enum live__Action {
  ADDED
  CHANGED
  DELETED
}

enum live__UnknownAction {
  REJECT
  DROP
}

input live__ActionWord {
  from: String!
  to: live__Action!
}
`;

/** Arguments by directive, with the kind of value each takes. */
export const LIVE_ARGUMENTS: Readonly<Record<LiveDirectiveName, ReadonlyMap<string, 'string' | 'enum' | 'actions'>>> = {
  live: new Map([
    ['topic', 'string'],
    ['tenant', 'string'],
    ['key', 'string'],
    ['version', 'string'],
    ['visibility', 'enum'],
    ['list', 'string'],
    ['format', 'enum'],
    ['entity', 'string'],
    ['before', 'string'],
    ['action', 'string'],
    ['actions', 'actions'],
    ['unknownAction', 'enum'],
    ['eventId', 'string'],
    ['at', 'string'],
    ['users', 'string'],
    ['groups', 'string'],
    ['owner', 'string'],
    ['name', 'string'],
  ]),
  carried: new Map([['path', 'string']]),
  filterable: new Map(),
};

/** Values of the directive's enums, and the first of each as the default. */
export const LIVE_ENUMS = {
  visibility: ['TENANT', 'PUBLIC', 'EVENT', 'SERVICE', 'CHECK'],
  format: ['AUTO', 'JSON', 'CLOUDEVENTS', 'DEBEZIUM'],
  unknownAction: ['REJECT', 'DROP'],
} as const;
