import type { ExecutionResult } from 'graphql';
import { accessErrors } from '../access/errors.ts';
import type { Clock } from '../kit/clock.ts';
import { type ErrorSpec, MillraceError, toMillraceError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import { isSampled, unsampled, validTraceparent } from '../kit/traceparent.ts';
import { type Span, type Tracer, noTracer } from '../kit/tracer.ts';
import type { OperationContext, OperationOutcome, OperationPipeline } from '../live/operations.ts';
import type { GraphqlRequest } from '../live/session.ts';
import type { GenerationLease, Generations, OperationCall, PreparedOperation } from '../supergraph/generation.ts';
import { Callers } from './callers.ts';
import { emptyGeneration } from './empty-generation.ts';
import { ErrorMask, type ShownError } from './error-list.ts';
import { gatewayErrors } from './errors.ts';
import { LeasedStream } from './leased-stream.ts';
import type { GatewayMetrics } from './metrics.ts';

export type PipelineOptions = {
  /** For queries and mutations, ms. Subgraph requests are aborted when it passes. */
  readonly timeoutMs: number;
  /** Hand the caller's bearer token to subgraphs. */
  readonly forwardAuthorization: boolean;
  /** Several callers may get the same result object: then its text is made once. */
  readonly sharedResults: boolean;
};

export const PIPELINE_DEFAULTS: PipelineOptions = { timeoutMs: 30_000, forwardAuthorization: true, sharedResults: false };

export type PipelineDeps = {
  readonly generations: Generations;
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
  /** Without it nothing is traced. */
  readonly tracer?: Tracer;
};

/** One operation on its way. Steps fill it in, in their order. */
type Work = {
  readonly request: GraphqlRequest;
  readonly context: OperationContext;
  readonly startedAt: number;
  readonly span: Span | null;
  lease: GenerationLease | null;
  operation: PreparedOperation | null;
  variables: Readonly<Record<string, unknown>>;
};

/** Null: go on with the next step. */
type StepResult = OperationOutcome | null;
type Step = (work: Work) => StepResult | Promise<StepResult>;

export function createPipeline(deps: PipelineDeps, options: Partial<PipelineOptions> = {}): OperationPipeline {
  return new Pipeline(deps, { ...PIPELINE_DEFAULTS, ...options });
}

class Pipeline implements OperationPipeline {
  readonly #deps: PipelineDeps;
  readonly #options: PipelineOptions;
  readonly #mask: ErrorMask;
  readonly #callers: Callers;
  readonly #tracer: Tracer;
  /** Of results without errors: those who share an execution get one object, and one text. */
  readonly #texts = new WeakMap<ExecutionResult, string>();

  /**
   * The one list of steps for HTTP, WebSocket and SSE. The identity is verified and the request id given before it starts: see
   * `OperationContext`. Limits on documents are checked within `prepare`, where the document is parsed.
   */
  readonly #steps: readonly Step[] = [
    (work) => this.#lease(work),
    (work) => this.#prepare(work),
    (work) => this.#coerceVariables(work),
    (work) => this.#authorise(work),
    (work) => this.#execute(work),
  ];

  constructor(deps: PipelineDeps, options: PipelineOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#mask = new ErrorMask(deps.log, deps.metrics);
    this.#callers = new Callers(options.forwardAuthorization);
    this.#tracer = deps.tracer ?? noTracer;
  }

  /**
   * The lease on the generation, held from the first step on, is released when this resolves; except that a `live` outcome hands it
   * to the receiver, and a `stream` keeps it until its iteration ends.
   */
  async run(request: GraphqlRequest, context: OperationContext): Promise<OperationOutcome> {
    const span = this.#tracer.enabled ? this.#span(request, context) : null;
    const work: Work = { request, context, startedAt: this.#deps.clock.monotonic(), span, lease: null, operation: null, variables: {} };
    const outcome = await this.#walk(work);
    if (outcome.kind !== 'live' && outcome.kind !== 'stream') work.lease?.release();
    return outcome;
  }

  async #walk(work: Work): Promise<OperationOutcome> {
    try {
      for (const step of this.#steps) {
        const result = step(work);
        // Most steps are synchronous; waiting for what is already there would cost each operation a turn of the microtask queue.
        const outcome = result instanceof Promise ? await result : result;
        if (outcome === null) continue;
        if (outcome.kind !== 'result') this.#count(work, outcome.kind);
        return outcome;
      }
      throw new Error('the last step gives an outcome');
    } catch (thrown) {
      this.#count(work, 'internal');
      const { spec } = toMillraceError(thrown);
      return refused(spec.http, [this.#mask.ofThrown(thrown, work.context.requestId)], spec.retryable ? 1 : null);
    }
  }

  // ---- the steps, in their order --------------------------------------------------------------------------------------------

  #lease(work: Work): StepResult {
    work.lease = this.#deps.generations.lease() ?? { generation: emptyGeneration(), release: () => undefined };
    return null;
  }

  async #prepare(work: Work): Promise<StepResult> {
    const prepared = await work.lease!.generation.prepare(work.request);
    if (prepared.kind === 'operation') {
      work.operation = prepared.operation;
      return null;
    }
    const spec = prepared.phase === 'parse' ? gatewayErrors.GRAPHQL_PARSE_FAILED : gatewayErrors.GRAPHQL_VALIDATION_FAILED;
    return refused(spec.http, this.#mask.ofDocument(prepared.errors, spec.code));
  }

  #coerceVariables(work: Work): StepResult {
    const coerced = work.operation!.coerceVariables(work.request.variables);
    if ('errors' in coerced) {
      const spec = gatewayErrors.BAD_USER_INPUT;
      return refused(spec.http, this.#mask.ofDocument(coerced.errors, spec.code));
    }
    work.variables = coerced.values;
    return null;
  }

  #authorise(work: Work): StepResult {
    const { operation, context } = work;
    if (operation!.type !== 'subscription') return null;
    if (context.transport === 'http') return refusal(gatewayErrors.SUBSCRIPTION_NEEDS_STREAM, NEEDS_STREAM);
    if (operation!.subscription?.kind === 'live' && context.identity.tenant === null)
      return refusal(accessErrors.UNAUTHENTICATED, NEEDS_TENANT);
    return null;
  }

  #execute(work: Work): StepResult | Promise<StepResult> {
    const operation = work.operation!;
    const { subscription } = operation;
    if (subscription === null) return this.#result(work);
    if (subscription.kind === 'live') {
      return { kind: 'live', operation, plan: subscription, variables: work.variables, lease: work.lease! };
    }
    const call = this.#call(work);
    const { requestId, signal } = work.context;
    const start = (upstream: AbortSignal): AsyncIterable<ExecutionResult> => subscription.start({ ...call, signal: upstream });
    return { kind: 'stream', results: new LeasedStream(start, work.lease!, (result) => this.#text(result, requestId), signal) };
  }

  async #result(work: Work): Promise<StepResult> {
    const { running } = this.#deps.metrics;
    running.inc();
    try {
      const result = await work.operation!.execute(this.#call(work));
      this.#count(work, result.errors?.length ? 'errors' : 'ok');
      return { kind: 'result', text: this.#text(result, work.context.requestId) };
    } finally {
      running.dec();
    }
  }

  // ---- what they share ------------------------------------------------------------------------------------------------------

  #call(work: Work): OperationCall {
    const caller = this.#callers.of(work.context.identity);
    const traceparent = this.#traceparent(work);
    return {
      variables: work.variables,
      headers: { ...caller.headers, 'x-request-id': work.context.requestId, ...(traceparent === null ? {} : { traceparent }) },
      view: caller.view,
      signal: work.context.signal,
      deadline: work.startedAt + this.#options.timeoutMs,
    };
  }

  /**
   * Below the caller's span where the caller is signed in. Whoever is not may name a trace but never have one recorded: its flag could fill
   * the collector, and by choosing the id of the trace it could choose what a sampler by id takes.
   */
  #span({ extensions }: GraphqlRequest, { identity, transport, traceparent }: OperationContext): Span | null {
    const told = identity.kind === 'user' ? validTraceparent(traceparent ?? extensions['traceparent']) : null;
    const attributes = { 'millrace.transport': transport };
    return told === null ? this.#tracer.root('graphql.operation', attributes) : this.#tracer.child('graphql.operation', told, attributes);
  }

  /** For subgraphs. Where we trace and have not sampled the operation, they are not asked to either. */
  #traceparent({ span, context, request }: Work): string | null {
    if (span !== null) return span.traceparent;
    const told = validTraceparent(context.traceparent ?? request.extensions['traceparent']);
    return told !== null && this.#tracer.enabled && isSampled(told) ? unsampled(told) : told;
  }

  #text(result: ExecutionResult, requestId: string): string {
    const { data, errors, extensions } = result;
    if (!errors?.length) {
      const known = this.#options.sharedResults ? this.#texts.get(result) : undefined;
      const text = known ?? JSON.stringify(extensions ? { data, extensions } : { data });
      if (this.#options.sharedResults && known === undefined) this.#texts.set(result, text);
      return text;
    }
    const shown = this.#mask.ofResult(errors, requestId);
    return JSON.stringify({ errors: shown, ...(data === undefined ? {} : { data }), ...(extensions ? { extensions } : {}) });
  }

  #count(work: Work, outcome: string): void {
    const { metrics, clock } = this.#deps;
    const type = work.operation?.type ?? 'unknown';
    metrics.operations.inc({ transport: work.context.transport, type, outcome });
    work.span?.set('graphql.operation.type', type);
    work.span?.set('millrace.outcome', outcome);
    work.span?.end(outcome === 'errors' || outcome === 'internal' || outcome === 'refused' ? outcome : undefined);
    if (work.operation) metrics.seconds.observe({ type }, (clock.monotonic() - work.startedAt) / 1_000);
  }
}

const NEEDS_STREAM = 'a subscription has more than one answer: use WebSocket (graphql-transport-ws) or accept text/event-stream';
const NEEDS_TENANT = 'live data belongs to a tenant: sign in with a token that names one (in dev: millrace token --tenant T --user U)';

function refused(status: number, errors: readonly ShownError[], retryAfter: number | null = null): OperationOutcome {
  return { kind: 'refused', errors: JSON.stringify(errors), status, retryAfter };
}

function refusal(spec: ErrorSpec, message: string): OperationOutcome {
  const error = new MillraceError(spec, message);
  return refused(spec.http, [{ message: error.message, extensions: { code: error.code } }]);
}
