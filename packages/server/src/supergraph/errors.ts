import { defineErrors } from '../kit/errors.ts';

const sdl = { class: 'input', http: 400, retryable: false } as const;

/** Everything that can be wrong with what a team pushes. Each names the service, and where it applies the type and the field. */
export const schemaErrors = defineErrors({
  SDL_INVALID: { ...sdl, meaning: 'The SDL does not parse.', action: 'Mend the syntax at the line and column given.' },
  COMPOSITION_FAILED: {
    ...sdl,
    meaning: 'The schemas do not compose into one supergraph.',
    action: 'Mend the schema that the message names; nothing was changed.',
  },
  SERVICE_NAME_RESERVED: {
    ...sdl,
    meaning: 'The name `live` belongs to the generated subgraph.',
    action: 'Push the service under another name.',
  },
  SERVICE_NAME_DUPLICATE: { ...sdl, meaning: 'Two services of one set have the same name.', action: 'Give each service its own name.' },
  LIVE_TENANT_MISSING: {
    ...sdl,
    meaning: 'A type with @live has no tenant rule.',
    action: 'Add `tenant:` with the path of the tenant id, or a constant as `"\'shop\'"`.',
  },
  LIVE_TENANT_INVALID: {
    ...sdl,
    meaning: 'The tenant rule is neither a path nor a quoted constant.',
    action: 'Write a dotted path, or a constant as `"\'shop\'"`.',
  },
  LIVE_TOPIC_INVALID: {
    ...sdl,
    meaning: 'The topic of @live is missing or malformed.',
    action: 'Write `topic: "name"` or `topic: "broker:name"`.',
  },
  LIVE_TOPIC_TAKEN: { ...sdl, meaning: 'Two live types read the same topic.', action: 'Give each type a topic of its own.' },
  LIVE_TYPE_DUPLICATE: {
    ...sdl,
    meaning: 'Two services put @live on the same type.',
    action: 'Leave @live in the service that publishes the events.',
  },
  LIVE_FIELD_TAKEN: {
    ...sdl,
    meaning: 'A generated name is already in use.',
    action: 'Give the type another base name with `name:` in @live, or rename the field.',
  },
  LIVE_NAME_INVALID: {
    ...sdl,
    meaning: 'The base name is not a GraphQL name.',
    action: 'Use letters, digits and underscores, starting with a letter.',
  },
  LIVE_PATH_INVALID: {
    ...sdl,
    meaning: 'A path is malformed.',
    action: 'Write names separated by single dots, at most 16 of them, such as `meta.id`.',
  },
  LIVE_ARGUMENT_UNKNOWN: {
    ...sdl,
    meaning: 'A directive has an argument that it does not take.',
    action: 'Remove it, or use one of those that the message lists.',
  },
  LIVE_ARGUMENT_INVALID: {
    ...sdl,
    meaning: 'An argument of a directive has a value of the wrong kind.',
    action: 'Use what the message says that it takes.',
  },
  LIVE_NOT_SUPPORTED_YET: {
    ...sdl,
    meaning: 'The specification names it, this version does not have it.',
    action: 'Use PUBLIC, TENANT or EVENT.',
  },
  LIVE_VERSION_UNSUPPORTED: {
    ...sdl,
    meaning: 'The schema links a version of the live specification that this program does not know.',
    action: 'Link https://specs.millrace.dev/live/v1.0.',
  },
  LIVE_IMPORT_UNKNOWN: {
    ...sdl,
    meaning: 'The @link imports a name that the live specification does not define.',
    action: 'Import @live, @carried, @filterable.',
  },
  LIVE_PLACE_INVALID: {
    ...sdl,
    meaning: 'A directive stands where it has no meaning.',
    action: '@live belongs on an object type, @carried and @filterable on fields of such a type.',
  },
  LIVE_CARRIED_INVALID: {
    ...sdl,
    meaning: 'The field cannot travel with an event: it has arguments, or is neither a scalar, an enum nor a list of these.',
    action: 'Remove @carried: the field is fetched when a client selects it.',
  },
  LIVE_FILTERABLE_INVALID: {
    ...sdl,
    meaning: '@filterable needs a carried field that is not a list.',
    action: 'Add @carried, or remove @filterable.',
  },
  LIVE_KEY_NOT_SCALAR: { ...sdl, meaning: 'The entity key has fields that are not plain scalars.', action: 'Add a @key of scalar fields.' },
  LIVE_KEY_UNKNOWN: {
    ...sdl,
    meaning: '`key:` in @live names no @key of the type.',
    action: 'Name the fields of one @key, each with a path where needed: `key: "id: meta.id"`.',
  },
  LIVE_STREAM_FIELD_NOT_CARRIED: {
    ...sdl,
    meaning: 'The type has no @key, so nobody could fetch a field that its events do not carry.',
    action: 'Add @carried to the field, or a @key to the type.',
  },
  LIVE_LIST_UNKNOWN: {
    ...sdl,
    meaning: '`list:` names no field of Query in this service.',
    action: 'Name the query field that lists the entities.',
  },
  LIVE_MAPPING_INVALID: {
    ...sdl,
    meaning: 'The mapping document does not fit the schema that it stands beside.',
    action: 'Extend types and repeat fields exactly as the schema has them.',
  },
});

const upstream = { class: 'upstream', http: 502, retryable: true } as const;
const limit = { class: 'limit', http: 400, retryable: false } as const;

export const supergraphErrors = defineErrors({
  SUBGRAPH_UNREACHABLE: {
    ...upstream,
    meaning: 'No connection to a subgraph, or it broke before the answer.',
    action: 'See whether the subgraph runs at its registered address.',
  },
  SUBGRAPH_TIMEOUT: {
    ...upstream,
    http: 504,
    meaning: 'A subgraph did not answer before the deadline.',
    action: 'Try again; if it lasts, look at that subgraph.',
  },
  SUBGRAPH_BAD_ANSWER: {
    ...upstream,
    meaning: 'A subgraph answered something that is not a GraphQL result, or too much of it.',
    action: 'Look at the log of that subgraph.',
  },
  SUBGRAPH_OPEN_CIRCUIT: {
    ...upstream,
    http: 503,
    meaning: 'A subgraph failed repeatedly; it is left alone for some seconds.',
    action: 'Try again in a few seconds.',
  },
  SUBGRAPH_OVERLOADED: {
    ...upstream,
    http: 503,
    meaning: 'As many requests to a subgraph are under way as are allowed.',
    action: 'Try again later.',
  },
  SUBGRAPH_STREAM_LOST: { ...upstream, meaning: 'The connection of a subscription to a subgraph broke.', action: 'Subscribe again.' },
  SUBGRAPH_ERROR: {
    ...upstream,
    retryable: false,
    meaning: 'A subgraph answered with errors of its own.',
    action: 'Read the message; it is the subgraph’s.',
  },
  PLANNER_UNAVAILABLE: {
    class: 'internal',
    http: 503,
    retryable: true,
    meaning: 'The query planner is being restarted, or too many plans are waiting.',
    action: 'Try again in a second.',
  },
  PLAN_FAILED: {
    class: 'input',
    http: 400,
    retryable: false,
    meaning: 'No way was found to answer the operation from the subgraphs.',
    action: 'Check the schema: the registry’s satisfiability check names the field.',
  },
  PLAN_TIMEOUT: {
    ...limit,
    meaning: 'The operation is so entangled that planning it took too long.',
    action: 'Ask for less in one operation: fewer fragments on interfaces and unions within each other.',
  },
  OPERATION_NOT_FOUND: {
    class: 'input',
    http: 400,
    retryable: false,
    meaning: 'The document has no operation, several without a name given, or none of that name.',
    action: 'Send operationName.',
  },
  VALUE_INVALID: {
    ...upstream,
    retryable: false,
    meaning: 'A subgraph (or an event) gave a value that the schema does not allow there.',
    action: 'Mend the resolver or the mapping that the path points at.',
  },
  REQUEST_CANCELLED: { class: 'input', http: 499, retryable: true, meaning: 'The caller went away.', action: 'None.' },
  LIVE_NOT_HERE: {
    class: 'internal',
    http: 500,
    retryable: false,
    meaning: 'A live subscription was run as a query.',
    action: 'Report it.',
  },
  TOKEN_LIMIT: { ...limit, meaning: 'The document has too many tokens.', action: 'Send a smaller document.' },
  DEPTH_LIMIT: { ...limit, meaning: 'The operation is nested too deeply.', action: 'Ask for less depth.' },
  ALIAS_LIMIT: { ...limit, meaning: 'The operation has too many aliases.', action: 'Use fewer aliases.' },
  ROOT_FIELD_LIMIT: { ...limit, meaning: 'The operation has too many root fields.', action: 'Split the operation.' },
  DIRECTIVE_LIMIT: { ...limit, meaning: 'The operation has too many directives.', action: 'Use fewer directives.' },
  FIELD_LIMIT: {
    ...limit,
    meaning: 'The operation has too many fields once its fragments are written out.',
    action: 'Spread fewer fragments within fragments, or split the operation.',
  },
});
