import { type ConstValueNode, type DirectiveNode, type FieldNode, Kind, parse, print } from 'graphql';
import type { CarriedField, FilterScalar, LiveAction, LiveFormat, LiveType, Path, TenantRule, Visibility } from '../events/live-type.ts';
import { argument } from './link-imports.ts';
import { LIVE_ARGUMENTS, LIVE_ENUMS, type LiveDirectiveName } from './live-directives.ts';
import { knownArguments } from './live-vocabulary.ts';
import type { Problems } from './live-problem.ts';
import { type FieldView, type NamedKind, type TypeView, readType } from './type-view.ts';

/** Bounds of a path, so that a mapping cannot make each event's look-ups expensive. */
export const PATH_STEPS_MAX = 16;
export const PATH_LENGTH_MAX = 256;

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const TOPIC = /^(?:([a-z][a-z0-9-]*):)?([^\s:'"]{1,249})$/;

/** Turns the directives on one type into the mapping. Null where something is wrong; then `problems` has the reasons. */
export function buildLiveType(
  view: TypeView,
  kinds: ReadonlyMap<string, NamedKind>,
  queryFields: ReadonlySet<string>,
  problems: Problems,
): LiveType | null {
  if (!view.live) return null;
  const before = problems.found.length;
  const read = new DirectiveReader(view.live, 'live', view.name, undefined, problems);
  const { broker, topic } = readTopic(read, view, problems);
  const tenant = readTenant(read, view, problems);
  const carried = readCarried(view, kinds, problems);
  const key = readKey(read, view, kinds, problems);
  if (key.length === 0) checkStream(view, carried, problems);
  const liveType: LiveType = {
    name: view.name,
    subgraph: problems.service,
    broker,
    topic,
    tenant,
    key,
    visibility: readVisibility(read, view, problems),
    audience: { users: read.path('users', ['users']), groups: read.path('groups', ['groups']), owner: read.path('owner', ['owner']) },
    version: read.optionalPath('version'),
    format: read.choice('format', LIVE_ENUMS.format) as LiveFormat,
    entity: read.path('entity', [], true),
    before: read.path('before', ['before']),
    action: read.path('action', ['action']),
    actions: readActions(read.value('actions'), view, problems),
    unknownAction: read.choice('unknownAction', LIVE_ENUMS.unknownAction) === 'DROP' ? 'drop' : 'reject',
    eventId: read.path('eventId', ['event_id']),
    at: read.path('at', ['at']),
    carried,
    fieldName: readName(read, view, problems),
    list: readList(read, view, queryFields, problems),
  };
  return problems.found.length === before ? liveType : null;
}

/** Reads the arguments of one directive and reports what they should have been. */
class DirectiveReader {
  readonly #node: DirectiveNode;
  readonly #type: string;
  readonly #field: string | undefined;
  readonly #problems: Problems;

  constructor(node: DirectiveNode, name: LiveDirectiveName, type: string, field: string | undefined, problems: Problems) {
    this.#node = node;
    this.#type = type;
    this.#field = field;
    this.#problems = problems;
    checkArguments(node, name, type, field, problems);
  }

  value(name: string): ConstValueNode | undefined {
    const value = argument(this.#node, name);
    return value?.kind === Kind.NULL ? undefined : value;
  }

  string(name: string): string | null {
    const value = this.value(name);
    if (value === undefined) return null;
    if (value.kind === Kind.STRING) return value.value;
    this.#problems.add('LIVE_ARGUMENT_INVALID', `"${name}" takes a string, got ${print(value)}`, this.#type, this.#field);
    return null;
  }

  choice(name: string, choices: readonly [string, ...string[]]): string {
    const value = this.value(name);
    if (value === undefined) return choices[0];
    if (value.kind === Kind.ENUM && choices.includes(value.value)) return value.value;
    this.#problems.add(
      'LIVE_ARGUMENT_INVALID',
      `"${name}" takes ${choices.join(', ')} (without quotes), got ${print(value)}`,
      this.#type,
      this.#field,
    );
    return choices[0];
  }

  optionalPath(name: string): Path | null {
    const text = this.string(name);
    return text === null ? null : this.#parsePath(name, text);
  }

  path(name: string, fallback: Path, emptyAllowed = false): Path {
    const text = this.string(name);
    if (text === null || (emptyAllowed && text === '')) return fallback;
    return this.#parsePath(name, text);
  }

  #parsePath(name: string, text: string): Path {
    const path = parsePath(text);
    if (path) return path;
    const wanted = `a path is names separated by single dots, at most ${PATH_STEPS_MAX} of them`;
    this.#problems.add('LIVE_PATH_INVALID', `"${name}": ${wanted}, got "${text.slice(0, 80)}"`, this.#type, this.#field);
    return [];
  }
}

function checkArguments(node: DirectiveNode, name: LiveDirectiveName, type: string, field: string | undefined, problems: Problems): void {
  for (const arg of node.arguments ?? [])
    if (!LIVE_ARGUMENTS[name].has(arg.name.value))
      problems.add(
        'LIVE_ARGUMENT_UNKNOWN',
        `@${name} takes no argument "${arg.name.value}"; it takes ${knownArguments(name)}`,
        type,
        field,
      );
}

/** Null where the text is not a path. */
export function parsePath(text: string): Path | null {
  const steps = text.split('.');
  const sound = steps.every((step) => step !== '' && step === step.trim() && !/['"\s]/.test(step));
  return sound && steps.length <= PATH_STEPS_MAX && text.length <= PATH_LENGTH_MAX ? steps : null;
}

function readTopic(read: DirectiveReader, view: TypeView, problems: Problems): { broker: string; topic: string } {
  const text = read.string('topic');
  const match = text === null ? null : TOPIC.exec(text);
  if (match) return { broker: match[1] ?? 'default', topic: match[2] ?? '' };
  problems.add(
    'LIVE_TOPIC_INVALID',
    `@live needs \`topic: "name"\` or \`topic: "broker:name"\`, got ${text === null ? 'none' : `"${text}"`}`,
    view.name,
  );
  return { broker: 'default', topic: '' };
}

function readTenant(read: DirectiveReader, view: TypeView, problems: Problems): TenantRule {
  const text = read.string('tenant');
  if (text === null) {
    const hint = 'add `tenant:` with the path of the tenant id in the event, such as `tenant: "company_id"`';
    problems.add('LIVE_TENANT_MISSING', `@live has no tenant rule, so its events could reach anybody; ${hint}`, view.name);
    return { kind: 'constant', tenant: '' };
  }
  const constant = /^'([^']+)'$/.exec(text.trim())?.[1];
  if (constant !== undefined) return { kind: 'constant', tenant: constant };
  const path = parsePath(text);
  if (path) return { kind: 'path', path };
  problems.add('LIVE_TENANT_INVALID', `"tenant" takes a path or a constant as "'shop'", got "${text.slice(0, 80)}"`, view.name);
  return { kind: 'constant', tenant: '' };
}

function readVisibility(read: DirectiveReader, view: TypeView, problems: Problems): Visibility {
  const value = read.choice('visibility', LIVE_ENUMS.visibility);
  if (value === 'PUBLIC' || value === 'TENANT' || value === 'EVENT') return value;
  problems.add('LIVE_NOT_SUPPORTED_YET', `visibility ${value} is not supported yet; PUBLIC, TENANT and EVENT are`, view.name);
  return 'EVENT';
}

function readActions(value: ConstValueNode | undefined, view: TypeView, problems: Problems): ReadonlyMap<string, LiveAction> {
  const actions = new Map<string, LiveAction>();
  if (value === undefined) return actions;
  for (const item of value.kind === Kind.LIST ? value.values : [value]) {
    const fields = new Map(item.kind === Kind.OBJECT ? item.fields.map((field) => [field.name.value, field.value]) : []);
    const from = fields.get('from');
    const to = fields.get('to');
    if (fields.size === 2 && from?.kind === Kind.STRING && to?.kind === Kind.ENUM && /^(ADDED|CHANGED|DELETED)$/.test(to.value)) {
      actions.set(from.value.toLowerCase(), to.value as LiveAction);
    } else {
      const wanted = '"actions" takes items like {from: "opened", to: ADDED}, `to` being ADDED, CHANGED or DELETED';
      problems.add('LIVE_ARGUMENT_INVALID', `${wanted}; got ${print(item)}`, view.name);
    }
  }
  return actions;
}

function readName(read: DirectiveReader, view: TypeView, problems: Problems): string {
  const text = read.string('name');
  if (text === null) return lowerFirst(view.name);
  if (!NAME.test(text) || text.startsWith('__')) problems.add('LIVE_NAME_INVALID', `"name" takes a GraphQL name, got "${text}"`, view.name);
  return text;
}

/** `Deal` deal, `PullRequest` pullRequest, `URLCheck` urlCheck, `SKU` sku. */
export function lowerFirst(name: string): string {
  return name.replace(/^[A-Z]+(?=[A-Z][a-z]|[0-9_]|$)|^[A-Z]/, (head) => head.toLowerCase());
}

function readList(read: DirectiveReader, view: TypeView, queryFields: ReadonlySet<string>, problems: Problems): string | null {
  const list = read.string('list');
  if (list !== null && !queryFields.has(list))
    problems.add('LIVE_LIST_UNKNOWN', `"list" names Query.${list}, which this service does not have`, view.name);
  return list;
}

function readCarried(view: TypeView, kinds: ReadonlyMap<string, NamedKind>, problems: Problems): readonly CarriedField[] {
  const carried: CarriedField[] = [];
  for (const field of view.fields.values()) {
    if (!field.carried) {
      if (field.filterable)
        problems.add(
          'LIVE_FILTERABLE_INVALID',
          '@filterable needs @carried: only what travels with an event can be compared',
          view.name,
          field.name,
        );
      continue;
    }
    const built = buildCarried(field, field.carried, view, kinds, problems);
    if (built) carried.push(built);
  }
  return carried;
}

function buildCarried(
  field: FieldView,
  directive: DirectiveNode,
  view: TypeView,
  kinds: ReadonlyMap<string, NamedKind>,
  problems: Problems,
): CarriedField | null {
  const type = readType(field.type);
  const kind = kinds.get(type.name);
  const reject = (what: string): null => (problems.add('LIVE_CARRIED_INVALID', what, view.name, field.name), null);
  if (field.takesArguments) return reject('a carried field cannot take arguments');
  if (kind === 'composite') return reject(`${type.name} is not a scalar or an enum; carry its id instead`);
  if (type.depth > 1) return reject('a carried list may not hold lists');
  if (field.filterable && type.depth > 0) problems.add('LIVE_FILTERABLE_INVALID', 'a list cannot be filtered by', view.name, field.name);
  if (field.filterable) checkArguments(field.filterable, 'filterable', view.name, field.name, problems);
  const read = new DirectiveReader(directive, 'carried', view.name, field.name, problems);
  return {
    field: field.name,
    path: read.path('path', [field.name]),
    type: type.name,
    scalar: filterScalar(type.name, kind),
    list: type.depth > 0,
    nonNull: type.nonNull,
    filterable: field.filterable !== null,
  };
}

function filterScalar(name: string, kind: NamedKind | undefined): FilterScalar {
  if (kind === 'enum') return 'Enum';
  if (name === 'ID' || name === 'String' || name === 'Int' || name === 'Float' || name === 'Boolean' || name === 'DateTime') return name;
  return 'Other';
}

/** Without a key nothing can fetch the rest of the type, so a field that is not carried would be a hole in the schema. */
function checkStream(view: TypeView, carried: readonly CarriedField[], problems: Problems): void {
  if (carried.length === 0 || view.keys.length > 0) return;
  for (const field of view.fields.values())
    if (!field.carried)
      problems.add(
        'LIVE_STREAM_FIELD_NOT_CARRIED',
        'the type has no @key, so this field could not be fetched; add @carried, or a @key to the type',
        view.name,
        field.name,
      );
}

function readKey(read: DirectiveReader, view: TypeView, kinds: ReadonlyMap<string, NamedKind>, problems: Problems): LiveType['key'] {
  const wanted = read.string('key');
  const keys = view.keys.map(scalarKey);
  if (wanted !== null) return readWantedKey(wanted, keys, view, problems);
  if (keys.length === 0) return [];
  const chosen = keys.find((fields) => fields?.every((field) => isKeyField(view.fields.get(field), kinds)));
  if (chosen) return chosen.map((field) => ({ field, path: keyPath(view, field) }));
  problems.add('LIVE_KEY_NOT_SCALAR', 'none of its @key directives consists of scalar fields only', view.name);
  return [];
}

/** Names of a flat @key field set; null where it has nested selections or does not parse. */
function scalarKey(fields: string): readonly string[] | null {
  try {
    const definition = parse(`{ ${fields} }`).definitions[0];
    const selections = definition?.kind === Kind.OPERATION_DEFINITION ? definition.selectionSet.selections : [];
    const flat = selections.every((selection): selection is FieldNode => selection.kind === Kind.FIELD && !selection.selectionSet);
    return flat ? selections.map((selection) => selection.name.value) : null;
  } catch {
    return null;
  }
}

function isKeyField(field: FieldView | undefined, kinds: ReadonlyMap<string, NamedKind>): boolean {
  if (!field || field.takesArguments) return false;
  const type = readType(field.type);
  return type.depth === 0 && kinds.get(type.name) !== 'composite';
}

function keyPath(view: TypeView, field: string): Path {
  const directive = view.fields.get(field)?.carried;
  const path = directive ? argument(directive, 'path') : undefined;
  return (path?.kind === Kind.STRING ? parsePath(path.value) : null) ?? [field];
}

/** `id`, `id: meta.id`, `org: meta.org id: meta.id`; a single word that names no field is the path for the only key field. */
function readWantedKey(wanted: string, keys: readonly (readonly string[] | null)[], view: TypeView, problems: Problems): LiveType['key'] {
  const parts = [...wanted.matchAll(/([^\s:]+)(?:\s*:\s*(\S+))?/g)].map((match) => ({ word: match[1] ?? '', path: match[2] }));
  const only = keys.find((fields) => fields?.length === 1)?.[0];
  const first = parts[0];
  if (parts.length === 1 && first && first.path === undefined && only !== undefined && !view.fields.has(first.word)) {
    const path = parsePath(first.word);
    if (path) return [{ field: only, path }];
  }
  const names = parts.map((part) => part.word);
  const chosen = keys.find((fields) => fields?.length === names.length && fields.every((field) => names.includes(field)));
  const paths = new Map(parts.map((part) => [part.word, part.path === undefined ? keyPath(view, part.word) : parsePath(part.path)]));
  if (chosen && [...paths.values()].every((path) => path !== null))
    return chosen.map((field) => ({ field, path: paths.get(field) ?? [field] }));
  const has = view.keys.length ? view.keys.map((key) => `@key(fields: "${key}")`).join(', ') : 'no @key';
  problems.add('LIVE_KEY_UNKNOWN', `"key" is "${wanted}"; the type has ${has}`, view.name);
  return [];
}
