import type { QueryPlan } from '@graphql-hive/router-query-planner';

/** Messages between `planner.ts` and its worker thread. Generations are numbered by the host. */
export type PlannerRequest =
  | { readonly kind: 'build'; readonly generation: number; readonly supergraphSdl: string }
  | {
      readonly kind: 'plan';
      readonly id: number;
      readonly generation: number;
      readonly query: string;
      readonly operationName: string | null;
      readonly timeoutMs: number;
    }
  | { readonly kind: 'dispose'; readonly generation: number };

export type PlannerReply =
  | { readonly kind: 'built'; readonly generation: number; readonly consumerSchema: string }
  | { readonly kind: 'build-failed'; readonly generation: number; readonly message: string }
  | { readonly kind: 'planned'; readonly id: number; readonly plan: QueryPlan }
  | {
      readonly kind: 'plan-failed';
      readonly id: number;
      readonly message: string;
      /** It took longer than it may. */ readonly late: boolean;
    };
