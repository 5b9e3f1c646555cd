import { LATENCY_BUCKETS, type Metrics } from '../kit/metrics.ts';

export type SupergraphMetrics = ReturnType<typeof createSupergraphMetrics>;

/** Label `subgraph` is a name of the current release, `code` one of the catalogue. */
export function createSupergraphMetrics(metrics: Metrics) {
  return {
    requests: metrics.counter('supergraph_subgraph_requests_total', 'Requests to subgraphs, retries included', ['subgraph']),
    failures: metrics.counter(
      'supergraph_subgraph_failures_total',
      'Requests to subgraphs that gave no answer, and subscriptions there that were refused or lost',
      ['subgraph', 'code'],
    ),
    retries: metrics.counter('supergraph_subgraph_retries_total', 'Queries sent again after a broken connection', ['subgraph']),
    seconds: metrics.histogram('supergraph_subgraph_seconds', 'From request to parsed answer', LATENCY_BUCKETS, ['subgraph']),
    inFlight: metrics.gauge('supergraph_subgraph_in_flight', 'Requests to subgraphs under way', ['subgraph']),
    circuit: metrics.gauge('supergraph_subgraph_circuit_open', '1 while the circuit breaker refuses requests', ['subgraph']),
    upstreams: metrics.gauge('supergraph_upstream_subscriptions', 'Subscriptions open at subgraphs', ['subgraph']),
    entitiesAsked: metrics.counter('supergraph_batched_entities_asked_total', 'Entities asked for by executions that may share requests'),
    entitiesSent: metrics.counter('supergraph_batched_entities_sent_total', 'Entities of those that were sent, after merging'),
    batches: metrics.counter('supergraph_entity_batches_total', 'Requests that merged entity fetches went out in'),
    prepared: metrics.gauge('supergraph_prepared_operations', 'Operations kept parsed, validated and planned'),
    prepareSeconds: metrics.histogram('supergraph_prepare_seconds', 'Parse, validate and plan an operation not yet known', LATENCY_BUCKETS),
    shared: metrics.counter('supergraph_shared_executions_total', 'Queries answered by an identical one already under way'),
    generation: metrics.gauge('supergraph_generation', 'Number of the current generation'),
    generationsKept: metrics.gauge('supergraph_generations_kept', 'Generations not disposed of yet, the current one included'),
    swaps: metrics.counter('supergraph_generation_swaps_total', 'Releases taken over'),
    swapFailures: metrics.counter('supergraph_generation_failures_total', 'Releases that could not be built; the one before stays'),
    plannerCrashes: metrics.counter('supergraph_planner_crashes_total', 'Restarts of the planner thread'),
  };
}
