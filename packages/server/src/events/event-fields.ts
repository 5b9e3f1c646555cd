import type { Json } from '../kit/json.ts';
import { isPlainName } from '../kit/plain-name.ts';
import { kindOf } from './cloud-event.ts';
import { type Reject, reject } from './errors.ts';
import { type EventFrame, type Image, integerText, lookUp } from './event-frame.ts';
import type { Audience } from './live-event.ts';
import { type AudiencePaths, type LiveType, valueAt } from './live-type.ts';

export const MAX_TENANT_LENGTH = 256;
export const MAX_ID_LENGTH = 512;
export const MAX_AUDIENCE = 10_000;

/** Results that may be null or a string; a Reject is the only object among them. */
type Text<T extends string | null> = T | Reject;

export function tenantOf(frame: EventFrame, entity: Image, type: LiveType): Text<string> {
  if (type.tenant.kind === 'constant') return type.tenant.tenant;
  const { path } = type.tenant;
  const found = lookUp(frame, entity, path);
  if (!found) return reject('EVENT_TENANT_MISSING', `no tenant at ${path.join('.')}, neither in the entity nor in the body`);
  const { value } = found;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  if (isPlainName(value, MAX_TENANT_LENGTH)) return value;
  return reject('EVENT_TENANT_INVALID', `the tenant at ${path.join('.')} must be ${TENANT_RULE}, got ${kindOf(value)}`);
}

const TENANT_RULE = `a non-empty string or safe integer of at most ${MAX_TENANT_LENGTH} characters without control characters`;

export function keyOf(frame: EventFrame, entity: Image, type: LiveType): Text<string | null> {
  if (type.key.length === 0) return null;
  const parts: string[] = [];
  for (const { field, path } of type.key) {
    const value = valueAt(entity.value, path) ?? null;
    const part = typeof value === 'string' ? value : integerText(frame, { value, path: [...entity.path, ...path] });
    if (part === null && typeof value === 'number') return reject('KEY_INVALID', `key field ${field} must be a string or an integer`);
    if (part === null || part === '')
      return reject('KEY_MISSING', `key field ${field} (${path.join('.')}) must be a string or an integer, got ${kindOf(value)}`);
    if (part.length > MAX_ID_LENGTH || !part.isWellFormed())
      return reject('KEY_INVALID', `key field ${field} must have at most ${MAX_ID_LENGTH} valid characters`);
    parts.push(part);
  }
  return parts.length === 1 ? (parts[0] ?? null) : JSON.stringify(parts);
}

export function versionOf(frame: EventFrame, entity: Image, type: LiveType): number | null | Reject {
  if (!type.version) return null;
  const found = lookUp(frame, entity, type.version);
  if (!found) return null;
  const version = typeof found.value === 'string' && /^\d{1,16}$/.test(found.value) ? Number(found.value) : found.value;
  if (typeof version === 'number' && Number.isSafeInteger(version) && version >= 0) return version;
  return reject(
    'VERSION_INVALID',
    `the version at ${type.version.join('.')} must be an integer from 0 to 2^53-1, got ${kindOf(found.value)}`,
  );
}

const PUBLIC: Audience = { kind: 'public' };
const TENANT: Audience = { kind: 'tenant' };

export function audienceOf(frame: EventFrame, entity: Image, type: LiveType): Audience | Reject {
  if (type.visibility === 'TENANT') return TENANT;
  if (type.visibility === 'PUBLIC') return PUBLIC;
  return membersOf(frame, entity, type.audience);
}

function membersOf(frame: EventFrame, entity: Image, paths: AudiencePaths): Audience | Reject {
  const users = new Set<string>();
  const groups = new Set<string>();
  for (const [path, into] of [
    [paths.users, users],
    [paths.owner, users],
    [paths.groups, groups],
  ] as const) {
    const found = lookUp(frame, entity, path);
    if (found && !collect(found.value, into)) {
      return reject('AUDIENCE_INVALID', `${path.join('.')} must be an id or a list of ids, each a string or an integer`);
    }
    if (users.size + groups.size > MAX_AUDIENCE)
      return reject('AUDIENCE_TOO_LARGE', `the event names more than ${MAX_AUDIENCE} users and groups`);
  }
  return { kind: 'members', users: [...users], groups: [...groups] };
}

function collect(value: Json, into: Set<string>): boolean {
  const items: readonly Json[] = Array.isArray(value) ? value : [value];
  for (const item of items) {
    // A list that a database aggregated over an outer join holds null for "nobody".
    if (item === null) continue;
    if (typeof item === 'string' && item !== '') into.add(item);
    else if (typeof item === 'number' && Number.isSafeInteger(item)) into.add(String(item));
    else return false;
    if (into.size > MAX_AUDIENCE) return true;
  }
  return true;
}
