import type { FetchNodePathSegment, FetchRewrite, FlattenNodePathSegment } from '@graphql-hive/router-query-planner';
import type { TypeRelations } from './type-relations.ts';

/** The response while subgraphs fill it: what `JSON.parse` made, mutable. Any shape may come from a subgraph; nothing here throws on it. */
export type Tree = { [key: string]: unknown };

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Lays `source` over `target`; lists by index. A null never overwrites what another subgraph has given. Takes `source` over: do not use it again. */
export function mergeTrees(target: Tree, source: Tree): void {
  for (const key in source) {
    if (key === '__proto__') {
      define(target, source[key]);
      continue;
    }
    const given = source[key];
    const known = target[key];
    if (given === null && known !== undefined) continue;
    target[key] = isMergeable(known) && isMergeable(given) ? mergeValues(known, given) : given;
  }
}

type Mergeable = Tree | unknown[];

function isMergeable(value: unknown): value is Mergeable {
  return typeof value === 'object' && value !== null;
}

function mergeValues(known: Mergeable, given: Mergeable): unknown {
  if (Array.isArray(known)) {
    if (!Array.isArray(given)) return given;
    for (let i = 0; i < given.length; i++) {
      const a = known[i];
      const b: unknown = given[i];
      if (isMergeable(a) && isMergeable(b)) known[i] = mergeValues(a, b);
      else if (b !== null || i >= known.length) known[i] = b;
    }
    return known;
  }
  if (Array.isArray(given)) return given;
  mergeTrees(known, given);
  return known;
}

/** An entity that stands in several places must not be shared between them: later fetches may fill those places differently. */
export function cloneTree<T>(value: T): T {
  if (Array.isArray(value)) return value.map(cloneTree) as T;
  if (!isTree(value)) return value;
  const copy: Tree = {};
  for (const key in value) {
    if (key === '__proto__') define(copy, cloneTree(value[key]));
    else copy[key] = cloneTree(value[key]);
  }
  return copy as T;
}

/** A client may choose the alias `__proto__`. Assigning it would set the prototype, merging into it would change Object.prototype. */
function define(target: Tree, value: unknown): void {
  Object.defineProperty(target, '__proto__', { value, enumerable: true, configurable: true, writable: true });
}

/** Calls `found` for each object at a plan's path, lists flattened. */
export function eachAt(
  value: unknown,
  path: readonly FlattenNodePathSegment[],
  at: number,
  relations: TypeRelations,
  found: (entity: Tree) => void,
): void {
  if (value === null || value === undefined) return;
  if (Array.isArray(value)) {
    const next = path[at] === '@' ? at + 1 : at;
    for (const item of value) eachAt(item, path, next, relations, found);
    return;
  }
  if (!isTree(value)) return;
  const segment = path[at];
  if (segment === undefined) found(value);
  else if (segment === '@') return;
  else if ('Field' in segment) eachAt(own(value, segment.Field), path, at + 1, relations, found);
  else if (value['__typename'] === undefined || relations.matchesAny(value['__typename'], segment.TypeCondition))
    eachAt(value, path, at + 1, relations, found);
}

function own(tree: Tree, key: string): unknown {
  return Object.hasOwn(tree, key) ? tree[key] : undefined;
}

/** The response path of `entity`, found by identity. Only for errors: it walks. Null where it is not there. */
export function pathOf(root: unknown, path: readonly FlattenNodePathSegment[], entity: Tree | null): (string | number)[] | null {
  const walk = (value: unknown, at: number, trail: (string | number)[]): (string | number)[] | null => {
    const segment = path[at];
    if (Array.isArray(value)) {
      for (const [index, item] of value.entries()) {
        const found = walk(item, segment === '@' ? at + 1 : at, [...trail, index]);
        if (found) return found;
      }
      return null;
    }
    if (!isTree(value)) return null;
    if (segment === undefined) return entity === null || value === entity ? trail : null;
    if (segment === '@') return null;
    return 'Field' in segment ? walk(own(value, segment.Field), at + 1, [...trail, segment.Field]) : walk(value, at + 1, trail);
  };
  return walk(root, 0, []);
}

/** Applies a plan's rewrites to what is sent or received. */
export function applyRewrites(rewrites: readonly FetchRewrite[] | null, value: unknown, relations: TypeRelations): void {
  for (const rewrite of rewrites ?? []) {
    if ('KeyRenamer' in rewrite) {
      const to = rewrite.KeyRenamer.renameKeyTo;
      eachKey(value, rewrite.KeyRenamer.path, 0, relations, (holder, key) => {
        if (!Object.hasOwn(holder, key) || key === to) return;
        holder[to] = holder[key];
        delete holder[key];
      });
    } else {
      const setter = 'ValueSetter' in rewrite ? rewrite.ValueSetter : rewrite;
      eachKey(value, setter.path, 0, relations, (holder, key) => {
        holder[key] = setter.setValueTo;
      });
    }
  }
}

function eachKey(
  value: unknown,
  path: readonly FetchNodePathSegment[],
  at: number,
  relations: TypeRelations,
  found: (holder: Tree, key: string) => void,
): void {
  if (Array.isArray(value)) {
    for (const item of value) eachKey(item, path, at, relations, found);
    return;
  }
  const segment = path[at];
  if (!isTree(value) || segment === undefined) return;
  if ('TypenameEquals' in segment) {
    if (relations.matchesAny(value['__typename'], segment.TypenameEquals)) eachKey(value, path, at + 1, relations, found);
  } else if (at === path.length - 1) found(value, segment.Key);
  else eachKey(own(value, segment.Key), path, at + 1, relations, found);
}
