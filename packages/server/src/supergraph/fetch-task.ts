import type { FetchRewrite, FlattenNodePathSegment, RequiresSelection } from '@graphql-hive/router-query-planner';

/** One subgraph request of a plan, made ready to run: see `plan-compiler.ts`. */
export type FetchTask = {
  readonly index: number;
  readonly operation: SubgraphOperation;
  readonly variableUsages: readonly string[];
  /** All must hold, or the task counts as done without running. */
  readonly conditions: readonly Condition[];
  /** Tasks that need this one's answer. */
  readonly dependents: readonly number[];
  /** How many tasks this one waits for. */
  readonly dependencies: number;
} & (
  | { readonly kind: 'root'; readonly rootKeys: readonly string[]; readonly outputRewrites: readonly FetchRewrite[] | null }
  | { readonly kind: 'entity'; readonly source: EntitySource }
  | { readonly kind: 'batch'; readonly aliases: readonly BatchAlias[] }
);

export type Condition = { readonly variable: string; readonly value: boolean };

/** Where the entities of a fetch stand in the response so far, and what is sent of each. */
export type EntitySource = {
  readonly paths: readonly (readonly FlattenNodePathSegment[])[];
  readonly requires: readonly RequiresSelection[];
  readonly inputRewrites: readonly FetchRewrite[] | null;
  readonly outputRewrites: readonly FetchRewrite[] | null;
};

export type BatchAlias = { readonly alias: string; readonly variable: string; readonly source: EntitySource };

/** Everything about a subgraph request that is the same each time; equal requests of one generation share the object. */
export type SubgraphOperation = {
  readonly subgraph: string;
  readonly query: string;
  readonly operationName: string | null;
  readonly type: 'query' | 'mutation' | 'subscription';
  /** `{"query":"…","operationName":…,"variables":`: the text is escaped once, not per request. */
  readonly bodyPrefix: string;
};
