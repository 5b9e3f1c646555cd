import type { Identity } from '../access/identity.ts';
import type { GenerationLease, PreparedOperation, SubscriptionPlan } from '../supergraph/generation.ts';
import type { GraphqlRequest } from './session.ts';

/**
 * PORT. The gateway's pipeline as sessions see it: the same ordered steps for HTTP, WebSocket and SSE operations.
 * `run` never rejects: whatever goes wrong is an outcome.
 */
export interface OperationPipeline {
  run(request: GraphqlRequest, context: OperationContext): Promise<OperationOutcome>;
}

export type OperationContext = {
  readonly identity: Identity;
  readonly transport: 'http' | 'ws' | 'sse';
  readonly clientName: string | null;
  readonly clientVersion: string | null;
  readonly requestId: string;
  /** W3C trace context of the caller, handed on to subgraphs. Absent or null: none. */
  readonly traceparent?: string | null;
  /** Aborted when the client stops the operation or goes away. */
  readonly signal: AbortSignal;
};

export type OperationOutcome =
  /** A query or mutation ran; `text` is the JSON of its execution result. */
  | { readonly kind: 'result'; readonly text: string }
  /** The request never ran (parse, validation, limits, authorisation). `errors` is the JSON text of the list; `status` is for HTTP. */
  | { readonly kind: 'refused'; readonly errors: string; readonly status: number; readonly retryAfter: number | null }
  /** A subscription on a live type. Whoever receives it owns the lease. */
  | {
      readonly kind: 'live';
      readonly operation: PreparedOperation;
      readonly plan: SubscriptionPlan & { readonly kind: 'live' };
      readonly variables: Readonly<Record<string, unknown>>;
      readonly lease: GenerationLease;
    }
  /** A subscription served by a subgraph: JSON texts of execution results until the upstream ends. */
  | { readonly kind: 'stream'; readonly results: AsyncIterable<string> };
