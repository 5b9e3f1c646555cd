import type { RequiresSelection } from '@graphql-hive/router-query-planner';
import type { EntitySource } from './fetch-task.ts';
import { type Tree, applyRewrites, eachAt, isTree, mergeTrees } from './response-tree.ts';
import type { TypeRelations } from './type-relations.ts';

/** What one fetch asks for: each representation once, as JSON text, with the objects that its answer fills. */
export type Representations = { readonly texts: string[]; readonly targets: Tree[][] };

/**
 * Collects the representations of a fetch from the response so far. Left out: entities without a value for any key field, since
 * nobody could resolve them, and those whose type is not known.
 */
export function gatherRepresentations(root: Tree, source: EntitySource, relations: TypeRelations): Representations {
  const texts: string[] = [];
  const targets: Tree[][] = [];
  const seen = new Map<string, number>();
  const add = (entity: Tree): void => {
    const text = represent(entity, source, relations);
    if (text === null) return;
    const index = seen.get(text);
    if (index !== undefined) {
      targets[index]?.push(entity);
      return;
    }
    seen.set(text, texts.length);
    texts.push(text);
    targets.push([entity]);
  };
  for (const path of source.paths) eachAt(root, path, 0, relations, add);
  return { texts, targets };
}

function represent(entity: Tree, source: EntitySource, relations: TypeRelations): string | null {
  const projected = project(source.requires, entity, relations);
  if (projected === null) return null;
  let keyed = false;
  for (const key in projected) if (key !== '__typename') keyed = true;
  if (!keyed) return null;
  projected['__typename'] ??= entity['__typename'];
  if (typeof projected['__typename'] !== 'string') return null;
  applyRewrites(source.inputRewrites, projected, relations);
  return JSON.stringify(projected);
}

/** A field may stand in the response under its alias, or under its name where an entity fetch brought it; it is sent under the alias. */
function project(selections: readonly RequiresSelection[], entity: Tree, relations: TypeRelations): Tree | null {
  const out: Tree = {};
  for (const selection of selections) {
    if (selection.kind === 'Field') {
      const key = selection.alias ?? selection.name;
      const found = Object.hasOwn(entity, selection.name) ? entity[selection.name] : undefined;
      const value = found === undefined && Object.hasOwn(entity, key) ? entity[key] : found;
      const sent = selection.selections?.length ? projectValue(selection.selections, value, relations) : value;
      if (sent !== null && sent !== undefined) out[key] = sent;
    } else if (selection.kind === 'InlineFragment') {
      if (entity['__typename'] !== undefined && !relations.matches(entity['__typename'], selection.typeCondition)) continue;
      const inner = project(selection.selections, entity, relations);
      if (inner) mergeTrees(out, inner);
    }
  }
  return out;
}

function projectValue(selections: readonly RequiresSelection[], value: unknown, relations: TypeRelations): unknown {
  if (Array.isArray(value)) return value.map((item) => projectValue(selections, item, relations) ?? null);
  return isTree(value) ? project(selections, value, relations) : value;
}
