import type { ExecutionResult } from 'graphql';
import { accessErrors } from '../access/errors.ts';
import type { Clock } from '../kit/clock.ts';
import { type ErrorSpec, MillraceError, toMillraceError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { OperationContext, OperationOutcome, OperationPipeline } from '../live/operations.ts';
import type { GraphqlRequest } from '../live/session.ts';
import type { GenerationLease, Generations, OperationCall, PreparedOperation } from '../supergraph/generation.ts';
import { Callers, validTraceparent } from './callers.ts';
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
};

export const PIPELINE_DEFAULTS: PipelineOptions = { timeoutMs: 30_000, forwardAuthorization: true };

export type PipelineDeps = {
  readonly generations: Generations;
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly log: Logger;
};

/** One operation on its way. Steps fill it in, in their order. */
type Work = {
  readonly request: GraphqlRequest;
  readonly context: OperationContext;
  readonly startedAt: number;
  lease: GenerationLease | null;
  operation: PreparedOperation | null;
  variables: Readonly<Record<string, unknown>>;
};

/** Null: go on with the next step. */
type StepResult = OperationOutcome | null;
type Step = (work: Work) => StepResult | Promise<StepResult>;

/**
 * The one list of steps for HTTP, WebSocket and SSE. The identity is verified and the request id given before it starts: see
 * `OperationContext`. Limits on documents are checked within `prepare`, where the document is parsed.
 *
 * A lease on the generation is held from the second step on. It is released when `run` resolves, except that a `live` outcome
 * hands it to the receiver, and a `stream` keeps it until its iteration ends.
 */
export function createPipeline(deps: PipelineDeps, options: Partial<PipelineOptions> = {}): OperationPipeline {
  const settings: PipelineOptions = { ...PIPELINE_DEFAULTS, ...options };
  const { clock, metrics } = deps;
  const mask = new ErrorMask(deps.log, metrics);
  const callers = new Callers(settings.forwardAuthorization);

  const steps: readonly Step[] = [lease, prepare, variables, authorise, execute];

  function lease(work: Work): StepResult {
    work.lease = deps.generations.lease() ?? { generation: emptyGeneration(), release: () => undefined };
    return null;
  }

  async function prepare(work: Work): Promise<StepResult> {
    const prepared = await work.lease!.generation.prepare(work.request);
    if (prepared.kind === 'operation') {
      work.operation = prepared.operation;
      return null;
    }
    const spec = prepared.phase === 'parse' ? gatewayErrors.GRAPHQL_PARSE_FAILED : gatewayErrors.GRAPHQL_VALIDATION_FAILED;
    return refused(spec.http, mask.ofDocument(prepared.errors, spec.code));
  }

  function variables(work: Work): StepResult {
    const coerced = work.operation!.coerceVariables(work.request.variables);
    if ('errors' in coerced) {
      return refused(gatewayErrors.BAD_USER_INPUT.http, mask.ofDocument(coerced.errors, gatewayErrors.BAD_USER_INPUT.code));
    }
    work.variables = coerced.values;
    return null;
  }

  function authorise(work: Work): StepResult {
    if (work.operation!.type !== 'subscription') return null;
    if (work.context.transport === 'http') {
      return refusal(
        gatewayErrors.SUBSCRIPTION_NEEDS_STREAM,
        'a subscription has more than one answer: use WebSocket (graphql-transport-ws) or accept text/event-stream',
      );
    }
    const { identity } = work.context;
    if (work.operation!.subscription?.kind === 'live' && identity.tenant === null) {
      return refusal(
        accessErrors.UNAUTHENTICATED,
        'live data belongs to a tenant: sign in with a token that names one (in dev: millrace token --tenant T --user U)',
      );
    }
    return null;
  }

  async function execute(work: Work): Promise<StepResult> {
    const operation = work.operation!;
    const { subscription } = operation;
    if (subscription?.kind === 'live') {
      return { kind: 'live', operation, plan: subscription, variables: work.variables, lease: work.lease! };
    }
    const call = callOf(work);
    if (subscription) {
      const texts = (result: ExecutionResult): string => resultText(result, work.context.requestId);
      return {
        kind: 'stream',
        results: new LeasedStream((signal) => subscription.start({ ...call, signal }), work.lease!, texts, work.context.signal),
      };
    }
    metrics.running.inc();
    try {
      const result = await operation.execute(call);
      count(work, result.errors?.length ? 'errors' : 'ok');
      return { kind: 'result', text: resultText(result, work.context.requestId) };
    } finally {
      metrics.running.dec();
    }
  }

  function callOf(work: Work): OperationCall {
    const caller = callers.of(work.context.identity);
    const traceparent = validTraceparent(work.context.traceparent ?? work.request.extensions['traceparent']);
    return {
      variables: work.variables,
      headers: { ...caller.headers, 'x-request-id': work.context.requestId, ...(traceparent === null ? {} : { traceparent }) },
      view: caller.view,
      signal: work.context.signal,
      deadline: work.startedAt + settings.timeoutMs,
    };
  }

  function resultText(result: ExecutionResult, requestId: string): string {
    if (!result.errors?.length)
      return JSON.stringify(result.extensions ? { data: result.data, extensions: result.extensions } : { data: result.data });
    const { data, extensions } = result;
    return JSON.stringify({
      errors: mask.ofResult(result.errors, requestId),
      ...(data === undefined ? {} : { data }),
      ...(extensions ? { extensions } : {}),
    });
  }

  function count(work: Work, outcome: string): void {
    const type = work.operation?.type ?? 'unknown';
    metrics.operations.inc({ transport: work.context.transport, type, outcome });
    if (work.operation) metrics.seconds.observe({ type }, (clock.monotonic() - work.startedAt) / 1_000);
  }

  async function walk(work: Work): Promise<OperationOutcome> {
    try {
      for (const step of steps) {
        const result = step(work);
        // Most steps are synchronous; waiting for what is already there would cost each operation a turn of the microtask queue.
        const outcome = result instanceof Promise ? await result : result;
        if (outcome === null) continue;
        if (outcome.kind !== 'result') count(work, outcome.kind);
        return outcome;
      }
      throw new Error('the last step gives an outcome');
    } catch (thrown) {
      count(work, 'internal');
      const error = toMillraceError(thrown);
      return refused(error.spec.http, [mask.ofThrown(error, work.context.requestId)], error.spec.retryable ? 1 : null);
    }
  }

  return {
    async run(request, context) {
      const work: Work = { request, context, startedAt: clock.monotonic(), lease: null, operation: null, variables: {} };
      const outcome = await walk(work);
      if (outcome.kind !== 'live' && outcome.kind !== 'stream') work.lease?.release();
      return outcome;
    },
  };
}

function refused(status: number, errors: readonly ShownError[], retryAfter: number | null = null): OperationOutcome {
  return { kind: 'refused', errors: JSON.stringify(errors), status, retryAfter };
}

function refusal(spec: ErrorSpec, message: string): OperationOutcome {
  const error = new MillraceError(spec, message);
  return refused(spec.http, [{ message: error.message, extensions: { code: error.code } }]);
}
