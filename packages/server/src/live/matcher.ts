import type { LiveEvent } from '../events/live-event.ts';
import type { LiveAction, LiveType } from '../events/live-type.ts';
import { MillraceError } from '../kit/errors.ts';
import { type AccessPath, accessPathsOf } from './access-paths.ts';
import { liveErrors } from './errors.ts';
import { compileFilter, type FilterLimits, parseFilter, type Predicate, TRUE } from './filter.ts';
import type { FieldLayout, Row } from './filter-values.ts';

export const ACTION_BITS: Readonly<Record<LiveAction, number>> = { ADDED: 1, CHANGED: 2, DELETED: 4 };
const ALL_ACTIONS = 7;

/** What a group wants of its channel, compiled once. Semantics: spec/delivery.md sections 2 and 3. */
export type Matcher = {
  /** Bits of `ACTION_BITS`. */
  readonly actions: number;
  readonly ids: ReadonlySet<string> | null;
  readonly predicate: Predicate | null;
  /** Where the index finds it. Every event that matches is found on at least one path. */
  readonly paths: readonly AccessPath[];
  /** What is left to test of an event found on a path; null where the path says it all. */
  readonly residual: Predicate | null;
};

export type MatcherLimits = FilterLimits & { readonly ids: number };

/** Throws FILTER_*, IDS_TOO_MANY. `args` are the generated field's coerced arguments. */
export function compileMatcher(
  type: LiveType,
  field: string,
  args: Readonly<Record<string, unknown>>,
  layout: FieldLayout,
  limits: MatcherLimits,
): Matcher {
  const node = parseFilter(args['filter'], layout, limits);
  const predicate = node && compileFilter(node);
  const actions = actionsOf(type, field, args['actions']);
  const ids = idsOf(args['ids'], limits);
  if (ids) return { actions, ids, predicate, paths: [{ kind: 'ids', ids: [...ids] }], residual: predicate };
  const access = node ? accessPathsOf(node, layout) : null;
  if (!access) return { actions, ids, predicate, paths: [{ kind: 'scan' }], residual: predicate };
  return { actions, ids, predicate, paths: access.paths, residual: access.exact ? null : predicate };
}

/** `row` must be loaded with `event`. */
export function matches(matcher: Matcher, event: LiveEvent, row: Row): boolean {
  if ((matcher.actions & ACTION_BITS[event.action]) === 0) return false;
  if (matcher.ids && (event.key === null || !matcher.ids.has(event.key))) return false;
  return matcher.predicate === null || matcher.predicate(row) === TRUE;
}

function actionsOf(type: LiveType, field: string, listed: unknown): number {
  const kind = field.startsWith(type.fieldName) ? field.slice(type.fieldName.length) : 'Event';
  const own =
    kind === 'Added'
      ? ACTION_BITS.ADDED
      : kind === 'Changed'
        ? ACTION_BITS.CHANGED
        : kind === 'Deleted'
          ? ACTION_BITS.DELETED
          : ALL_ACTIONS;
  if (!Array.isArray(listed)) return own;
  let wanted = 0;
  for (const action of listed as readonly unknown[]) {
    if (action === 'ADDED' || action === 'CHANGED' || action === 'DELETED') wanted |= ACTION_BITS[action];
  }
  return own & wanted;
}

function idsOf(ids: unknown, limits: MatcherLimits): ReadonlySet<string> | null {
  if (!Array.isArray(ids)) return null;
  if (ids.length > limits.ids)
    throw new MillraceError(liveErrors.IDS_TOO_MANY, `ids has ${ids.length} members, at most ${limits.ids} are allowed`);
  return new Set((ids as readonly unknown[]).map(String));
}
