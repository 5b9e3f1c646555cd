import { type Clock, systemClock } from '../kit/clock.ts';
import { type ErrorSpec, MillraceError, toMillraceError } from '../kit/errors.ts';
import { validTraceparent } from '../kit/traceparent.ts';
import { type Tracer, noTracer } from '../kit/tracer.ts';
import { CLOSED, type Circuit, type CircuitRules, admit, settle } from './circuit.ts';
import { supergraphErrors } from './errors.ts';
import type { SubgraphAnswer, SubgraphClient, SubgraphRequest } from './generation.ts';
import { readGraphqlAnswer } from './graphql-answer.ts';
import type { Exchange, Exchanger } from './http-exchange.ts';
import { KeepAlivePool } from './keep-alive-pool.ts';
import type { SupergraphMetrics } from './metrics.ts';
import type { SubgraphTarget } from './release.ts';
import { UndiciExchanger } from './undici-exchanger.ts';
import { type UpstreamOptions, Upstreams } from './upstreams.ts';

export type SubgraphClientOptions = {
  readonly targets: ReadonlyMap<string, SubgraphTarget>;
  readonly metrics?: SupergraphMetrics;
  readonly clock?: Clock;
  /** Without it nothing is traced. */
  readonly tracer?: Tracer;
  /** Connections kept open to one origin. */
  readonly connectionsMax?: number;
  /** Requests to one subgraph under way or waiting for a connection; beyond it SUBGRAPH_OVERLOADED. */
  readonly inFlightMax?: number;
  readonly responseBytesMax?: number;
  /** Failures in a row that open the circuit breaker, and how long it stays open. */
  readonly circuit?: CircuitRules;
  readonly upstream?: UpstreamOptions;
};

export const SUBGRAPH_CLIENT_DEFAULTS = {
  connectionsMax: 64,
  inFlightMax: 2000,
  responseBytesMax: 32 * 1024 * 1024,
  circuit: { threshold: 8, openMs: 5000 },
} as const;

/** GraphQL over HTTP to the subgraphs of one release, on kept-alive connections. */
export function createSubgraphClient(options: SubgraphClientOptions): SubgraphClient {
  return new HttpSubgraphClient(options);
}

type Subgraph = {
  readonly name: string;
  /** Null: the registered address is not one. */
  readonly origin: string | null;
  readonly path: string;
  readonly metrics: SubgraphMetrics | null;
  circuit: Circuit;
  inFlight: number;
};

/** Children of the metrics for one subgraph: looking them up by label for each request costs more than counting. */
type SubgraphMetrics = ReturnType<typeof metricsOf>;

function metricsOf(metrics: SupergraphMetrics, name: string) {
  return {
    requests: metrics.requests.labels(name),
    seconds: metrics.seconds.labels(name),
    inFlight: metrics.inFlight.labels(name),
    circuit: metrics.circuit.labels(name),
    retries: metrics.retries.labels(name),
  };
}

class HttpSubgraphClient implements SubgraphClient {
  readonly #subgraphs = new Map<string, Subgraph>();
  readonly #pools = new Map<string, Exchanger>();
  readonly #clock: Clock;
  readonly #options: SubgraphClientOptions;
  readonly #rules: CircuitRules;
  readonly #tracer: Tracer;
  readonly #upstreams: Upstreams;

  constructor(options: SubgraphClientOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#tracer = options.tracer ?? noTracer;
    this.#rules = options.circuit ?? SUBGRAPH_CLIENT_DEFAULTS.circuit;
    this.#upstreams = new Upstreams(options.targets, this.#clock, options.metrics, options.upstream ?? {});
    for (const target of options.targets.values()) {
      const url = httpUrl(target.url);
      const metrics = options.metrics ? metricsOf(options.metrics, target.name) : null;
      this.#subgraphs.set(target.name, {
        name: target.name,
        origin: url?.origin ?? null,
        path: url ? url.pathname + url.search : '',
        metrics,
        circuit: CLOSED,
        inFlight: 0,
      });
    }
  }

  execute(request: SubgraphRequest): Promise<SubgraphAnswer> {
    return this.#tracer.enabled ? this.#traced(request) : this.#execute(request);
  }

  /** The subgraph's spans become children of the request to it. */
  async #traced(request: SubgraphRequest): Promise<SubgraphAnswer> {
    const { subgraph, type } = request.operation;
    const parent = validTraceparent(request.headers['traceparent']);
    const span = this.#tracer.child('subgraph.request', parent, { 'millrace.subgraph': subgraph, 'graphql.operation.type': type });
    if (span === null) return this.#execute(request);
    try {
      const answer = await this.#execute({ ...request, headers: { ...request.headers, traceparent: span.traceparent } });
      span.end(answer.errors?.length ? 'errors' : undefined);
      return answer;
    } catch (error) {
      span.end(toMillraceError(error).code);
      throw error;
    }
  }

  #execute(request: SubgraphRequest): Promise<SubgraphAnswer> {
    return new Promise((resolve, reject) => {
      const subgraph = this.#subgraphs.get(request.operation.subgraph);
      const refused = this.#refuse(subgraph, request);
      if (refused || subgraph?.origin == null) {
        const error = refused ?? failure('SUBGRAPH_UNREACHABLE', request, 'has no usable address');
        this.#options.metrics?.failures.labels(request.operation.subgraph, error.code).inc();
        reject(error);
        return;
      }
      subgraph.inFlight++;
      subgraph.metrics?.inFlight.set(subgraph.inFlight);
      const started = this.#clock.monotonic();
      this.#send(subgraph, subgraph.origin, request, request.operation.type === 'query' ? 1 : 0, (result) => {
        this.#ended(subgraph, result, started);
        if (result instanceof MillraceError) reject(result);
        else resolve(result);
      });
    });
  }

  subscribe(request: SubgraphRequest): AsyncIterable<SubgraphAnswer> {
    return this.#upstreams.subscribe(request);
  }

  /** Decided before any work. Admitting a request through a half-open circuit makes it the probe. */
  #refuse(subgraph: Subgraph | undefined, request: SubgraphRequest): MillraceError | null {
    if (!subgraph) return failure('SUBGRAPH_UNREACHABLE', request, 'is not part of the current release');
    if (request.signal?.aborted) return failure('REQUEST_CANCELLED', request, 'was not asked: the caller went away');
    if (request.deadline <= this.#clock.monotonic()) return failure('SUBGRAPH_TIMEOUT', request, 'was not asked: the deadline has passed');
    if (subgraph.inFlight >= (this.#options.inFlightMax ?? SUBGRAPH_CLIENT_DEFAULTS.inFlightMax))
      return failure('SUBGRAPH_OVERLOADED', request, `has ${subgraph.inFlight} requests under way`);
    const { admitted, circuit } = admit(subgraph.circuit, this.#clock.monotonic());
    subgraph.circuit = circuit;
    return admitted ? null : failure('SUBGRAPH_OPEN_CIRCUIT', request, 'failed repeatedly and is left alone for some seconds');
  }

  #send(
    subgraph: Subgraph,
    origin: string,
    request: SubgraphRequest,
    retries: number,
    done: (result: SubgraphAnswer | MillraceError) => void,
    fresh = false,
  ): void {
    subgraph.metrics?.requests.inc();
    const exchanged = {
      path: subgraph.path,
      headers: { accept: ACCEPT, 'content-type': 'application/json', ...request.headers },
      body: `${request.operation.bodyPrefix}${request.variables}}`,
      signal: request.signal,
      timeoutMs: request.deadline - this.#clock.monotonic(),
      responseBytesMax: this.#options.responseBytesMax ?? SUBGRAPH_CLIENT_DEFAULTS.responseBytesMax,
      fresh,
    };
    this.#exchanger(origin).post(exchanged, (result) => {
      // A kept-alive connection may be closed by the other side just as a request leaves on it; a query may be sent again, a mutation not.
      if (result.kind === 'broken' && result.beforeAnswer && retries > 0 && request.deadline > this.#clock.monotonic()) {
        subgraph.metrics?.retries.inc();
        this.#send(subgraph, origin, request, retries - 1, done, true);
      } else done(readExchange(result, request));
    });
  }

  #ended(subgraph: Subgraph, result: SubgraphAnswer | MillraceError, started: number): void {
    const now = this.#clock.monotonic();
    subgraph.inFlight--;
    const cancelled = result instanceof MillraceError && result.spec === supergraphErrors.REQUEST_CANCELLED;
    const outcome = cancelled ? 'cancelled' : result instanceof MillraceError ? 'failure' : 'success';
    subgraph.circuit = settle(subgraph.circuit, outcome, now, this.#rules);
    const { metrics } = subgraph;
    if (!metrics) return;
    metrics.inFlight.set(subgraph.inFlight);
    metrics.circuit.set(subgraph.circuit.kind === 'open' ? 1 : 0);
    if (result instanceof MillraceError) this.#options.metrics?.failures.labels(subgraph.name, result.code).inc();
    else metrics.seconds.observe((now - started) / 1000);
  }

  #exchanger(origin: string): Exchanger {
    let exchanger = this.#pools.get(origin);
    if (!exchanger) {
      const connections = this.#options.connectionsMax ?? SUBGRAPH_CLIENT_DEFAULTS.connectionsMax;
      exchanger = origin.startsWith('https:')
        ? new UndiciExchanger(origin, connections, this.#clock)
        : new KeepAlivePool(origin, connections, this.#clock);
      this.#pools.set(origin, exchanger);
    }
    return exchanger;
  }

  async close(): Promise<void> {
    this.#upstreams.close();
    await Promise.all([...this.#pools.values()].map((exchanger) => exchanger.close()));
  }
}

const ACCEPT = 'application/graphql-response+json, application/json';

function httpUrl(text: string): URL | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : null;
}

function readExchange(result: Exchange, request: SubgraphRequest): SubgraphAnswer | MillraceError {
  switch (result.kind) {
    case 'answer':
      return readAnswer(result, request);
    case 'broken':
      return failure('SUBGRAPH_UNREACHABLE', request, `could not be reached (${result.reason})`);
    case 'timeout':
      return failure('SUBGRAPH_TIMEOUT', request, 'did not answer before the deadline');
    case 'cancelled':
      return failure('REQUEST_CANCELLED', request, 'was not waited for: the caller went away');
    case 'too-large':
      return failure('SUBGRAPH_BAD_ANSWER', request, 'answered more bytes than are allowed');
  }
}

function readAnswer(answer: Exchange & { kind: 'answer' }, request: SubgraphRequest): SubgraphAnswer | MillraceError {
  if (!/json/i.test(answer.contentType))
    return failure('SUBGRAPH_BAD_ANSWER', request, `answered status ${answer.status} that is not JSON`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(answer.text);
  } catch {
    return failure('SUBGRAPH_BAD_ANSWER', request, `answered status ${answer.status} with JSON that does not parse`);
  }
  return (
    readGraphqlAnswer(parsed) ??
    failure('SUBGRAPH_BAD_ANSWER', request, `answered status ${answer.status} with JSON that is no GraphQL result`)
  );
}

export function failure(code: keyof typeof supergraphErrors, request: SubgraphRequest, what: string): MillraceError {
  const spec: ErrorSpec = supergraphErrors[code];
  return new MillraceError(spec, `subgraph "${request.operation.subgraph}" ${what}`, { serviceName: request.operation.subgraph });
}
