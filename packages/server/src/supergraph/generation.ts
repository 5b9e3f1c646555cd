import type { ExecutionResult, GraphQLError, GraphQLSchema } from 'graphql';
import type { LiveType } from '../events/live-type.ts';
import type { JsonObject } from '../kit/json.ts';
import type { SubgraphOperation } from './fetch-task.ts';

/**
 * One release made executable: schema, planner, subgraph clients. Generations are built beside the running one, swapped by one
 * reference, leased by whoever works with them, and disposed of when the last lease ends after they were replaced.
 */
export interface Generation {
  /** Grows with every swap in this process. */
  readonly number: number;
  readonly digest: string;
  /** What clients see: no join directives, nothing @inaccessible. */
  readonly schema: GraphQLSchema;
  readonly liveTypes: readonly LiveType[];
  /**
   * Parse, limits, validate, plan; each cached by text and bounded. The same text and operation name give the same object
   * while it stays in the cache, so callers may key their own work by it.
   */
  prepare(request: { readonly query: string; readonly operationName: string | null }): Promise<Prepared>;
}

export type Prepared =
  | { readonly kind: 'invalid'; readonly phase: 'parse' | 'validate' | 'limit' | 'plan'; readonly errors: readonly GraphQLError[] }
  | { readonly kind: 'operation'; readonly operation: PreparedOperation };

export interface PreparedOperation {
  readonly type: 'query' | 'mutation' | 'subscription';
  readonly name: string | null;
  /** Normalised text (printed without location, comments, unused fragments): the identity of the document for groups and usage. */
  readonly normalised: string;
  /** Coerces per the operation's definitions. Variables that the operation does not define are dropped. */
  coerceVariables(raw: JsonObject): { readonly values: Readonly<Record<string, unknown>> } | { readonly errors: readonly GraphQLError[] };
  /** Queries and mutations, whole. Never rejects: failures are errors in the result. */
  execute(call: OperationCall): Promise<ExecutionResult>;
  /** Subscriptions only, else null. */
  readonly subscription: SubscriptionPlan | null;
}

export type SubscriptionPlan =
  /** A generated field over a live type. */
  | {
      readonly kind: 'live';
      readonly liveType: LiveType;
      /** `dealEvent`, `dealAdded`, … and the key under which the client wants it. */
      readonly field: string;
      readonly responseKey: string;
      /** The field's arguments, coerced with these variables. */
      arguments(variables: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
      /** Whether any subgraph has to be asked under these variables. False: the event alone answers, `complete` is synchronous. */
      enriches(variables: Readonly<Record<string, unknown>>): boolean;
      /** Shapes one event without asking anybody: response JSON text of the whole `data` (carried fields; enriched fields are fetched by `enrich`). */
      complete(source: LiveSource, variables: Readonly<Record<string, unknown>>): ExecutionText;
      /** The same with enrichment. Never rejects; a subgraph that is down or late gives an error on the enriched part alone. */
      enrich(source: LiveSource, call: OperationCall): Promise<ExecutionText>;
    }
  /** Hand-written in a subgraph; `start` opens the upstream and yields one result per upstream event, enriched with the rest of the plan. */
  | { readonly kind: 'passthrough'; readonly subgraph: string; start(call: OperationCall): AsyncIterable<ExecutionResult> };

/** What the generated subscription field resolves to, before the plan's entity fetches. */
export type LiveSource = {
  readonly cursor: string;
  readonly action: 'SNAPSHOT' | 'ADDED' | 'CHANGED' | 'DELETED' | 'ENTERED' | 'LEFT' | 'GAP';
  readonly id: string | null;
  readonly at: string;
  /** JSON texts, spliced into the response as they are. */
  readonly raw: string | null;
  readonly delta: string | null;
  readonly missed: number | null;
  /** Carried fields by GraphQL name with __typename and key fields; null where the event has no entity (GAP). */
  readonly entity: JsonObject | null;
};

/** `text` is JSON of `{"data":…}` or `{"errors":…,"data":…}` without its closing brace, so that `,"extensions":…}` can follow. */
export type ExecutionText = { readonly text: string; readonly errors: number };

export type OperationCall = {
  readonly variables: Readonly<Record<string, unknown>>;
  /** Headers sent to every subgraph: identity as the view allows it, request id, traceparent. */
  readonly headers: Readonly<Record<string, string>>;
  /** Who may share fetches and in-flight work with this call: equal strings may, others never. */
  readonly view: string;
  /** Ends the work early; subgraph requests are aborted. */
  readonly signal: AbortSignal | null;
  /** Absolute, on the monotonic clock, ms. */
  readonly deadline: number;
};

/** The one reference to the current generation. */
export interface Generations {
  /** The current generation with a lease on it. Release exactly once; a generation is disposed of only without leases. Null before the first release. */
  lease(): GenerationLease | null;
  /** Called after each swap with the new generation already current. Returns a stop function. */
  onSwap(listener: (next: Generation, previous: Generation | null) => void): () => void;
  close(): Promise<void>;
}

export interface GenerationLease {
  readonly generation: Generation;
  release(): void;
}

/** PORT. One GraphQL request to one subgraph. */
export interface SubgraphClient {
  /**
   * Resolves with whatever GraphQL result the subgraph gave, its shape beyond `data` and `errors` unchecked; rejects with
   * SUBGRAPH_UNREACHABLE, SUBGRAPH_TIMEOUT, SUBGRAPH_BAD_ANSWER, SUBGRAPH_OPEN_CIRCUIT, SUBGRAPH_OVERLOADED, REQUEST_CANCELLED.
   */
  execute(request: SubgraphRequest): Promise<SubgraphAnswer>;
  /**
   * Opens a subscription that the subgraph serves itself. Ends when the upstream completes; throws a MillraceError when the upstream
   * cannot be reached or breaks. Ending the iteration closes the upstream.
   */
  subscribe(request: SubgraphRequest): AsyncIterable<SubgraphAnswer>;
  close(): Promise<void>;
}

export type SubgraphAnswer = {
  readonly data?: { [key: string]: unknown } | null;
  readonly errors?: readonly unknown[];
};

export type SubgraphRequest = {
  readonly operation: SubgraphOperation;
  /** JSON text of an object: representations are built as text once and never parsed again on this side. */
  readonly variables: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | null;
  /** Absolute, on the monotonic clock, ms. */
  readonly deadline: number;
};
