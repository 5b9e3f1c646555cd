import { QueryPlanner } from '@graphql-hive/router-query-planner';
import type { GraphQLError } from 'graphql';
import { plannerNames } from './planner-names.ts';

const NO_LABELS = new Set<string>();

/** Whether an error of composition says that some query cannot be resolved. */
export function isUnsatisfiable(error: GraphQLError): boolean {
  return error.extensions['code'] === 'SATISFIABILITY_ERROR';
}

/**
 * Of the satisfiability errors, those that hold. The composition library (0.27.0) cannot follow a @requires with a condition on an
 * interface (`data { ... on Bar { bar } }` where `data` is another interface) and calls such a field unreachable. Its error names a query that
 * would fail; where the planner that is going to run has a plan for that very query, the error does not hold.
 */
export function confirmUnsatisfiable(errors: readonly GraphQLError[], supergraphSdl: string): readonly GraphQLError[] {
  if (!errors.some(blamesRequires)) return errors;
  let planner: QueryPlanner;
  try {
    planner = new QueryPlanner(plannerNames(supergraphSdl).supergraphSdl);
  } catch {
    return errors;
  }
  return errors.filter((error) => !blamesRequires(error) || !plans(planner, error));
}

function blamesRequires(error: GraphQLError): boolean {
  return error.message.includes('cannot satisfy @require conditions');
}

function plans(planner: QueryPlanner, error: GraphQLError): boolean {
  const query = /^The following supergraph API query:\n([\s\S]*?)\ncannot be satisfied/.exec(error.message)?.[1];
  if (query === undefined) return false;
  try {
    return planner.plan(query, null, NO_LABELS, 0).node !== undefined;
  } catch {
    return false;
  }
}
