import { parentPort } from 'node:worker_threads';
import { QueryPlanner } from '@graphql-hive/router-query-planner';
import { systemClock } from '../kit/clock.ts';
import { reasonOf } from '../kit/errors.ts';
import type { PlannerReply, PlannerRequest } from './planner-protocol.ts';

/** The thread that plans: the planner's constructor blocks, for seconds on a large graph, and would stop every socket on the main thread. */
const planners = new Map<number, QueryPlanner>();
const NO_LABELS = new Set<string>();

function reply(message: PlannerReply): void {
  parentPort?.postMessage(message);
}

function build(generation: number, supergraphSdl: string): void {
  try {
    const planner = new QueryPlanner(supergraphSdl);
    planners.set(generation, planner);
    reply({ kind: 'built', generation, consumerSchema: planner.consumerSchema });
  } catch (error) {
    reply({ kind: 'build-failed', generation, message: reasonOf(error) });
  }
}

/** A plan is made on another thread of the planner's own, which looks at the signal while it works: a plan without end stops there. */
async function plan({ id, generation, query, operationName, timeoutMs }: PlannerRequest & { kind: 'plan' }): Promise<void> {
  const stop = new AbortController();
  const timer = systemClock.after(timeoutMs, () => stop.abort());
  try {
    const planner = planners.get(generation);
    if (!planner) throw new Error(`generation ${generation} is not built`);
    reply({ kind: 'planned', id, plan: await planner.planAsync(query, operationName, NO_LABELS, 0, stop.signal) });
  } catch (error) {
    reply({ kind: 'plan-failed', id, message: reasonOf(error), late: stop.signal.aborted });
  } finally {
    timer.cancel();
  }
}

parentPort?.on('message', (request: PlannerRequest) => {
  if (request.kind === 'build') build(request.generation, request.supergraphSdl);
  else if (request.kind === 'dispose') planners.delete(request.generation);
  else void plan(request);
});
