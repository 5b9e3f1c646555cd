import type { SubgraphAnswer } from './generation.ts';
import { isTree } from './response-tree.ts';

/** Null where the value is not an execution result. */
export function readGraphqlAnswer(parsed: unknown): SubgraphAnswer | null {
  if (!isTree(parsed)) return null;
  const data = parsed['data'];
  const errors = parsed['errors'];
  if (errors !== undefined && errors !== null && !Array.isArray(errors)) return null;
  const hasErrors = Array.isArray(errors) && errors.length > 0;
  if (!isTree(data) && !(hasErrors && (data === null || data === undefined))) return null;
  return { data: isTree(data) ? data : null, ...(hasErrors ? { errors } : {}) };
}
