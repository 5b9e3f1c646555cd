import { afterAll, beforeAll, expect, it } from 'vitest';
import { MemoryChannels } from '../channels/memory.ts';
import { createChannelsMetrics } from '../channels/metrics.ts';
import { systemClock } from '../kit/clock.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { CRM } from '../supergraph/fixture-crm.ts';
import { type TestGraph, testGraph } from '../supergraph/fixture.ts';
import { afterVariable } from './after-variable.ts';
import { createLiveEngine } from './live-engine.ts';
import { Outbox } from './outbox.ts';
import { FakeTransport, liveEvent, testCursors, until, userIdentity } from './testing.ts';

/** The engine over the real channels and a real generation: composed, planned and executed. */
let graph: TestGraph;
beforeAll(async () => {
  graph = await testGraph(CRM);
});
afterAll(() => graph.close());

const withFields = (fields: string): string =>
  'subscription ($filter: DealFilter, $after: Cursor) { ' +
  `dealEvent(filter: $filter, after: $after) { cursor action id missed raw deal { ${fields} } } }`;
const BOTH = withFields('title owner { name }');
const CARRIED = withFields('title stageId');

it('a normalised document, prepared again as after a change of the graph, is the same document', async () => {
  const { generation } = graph;
  for (const query of [BOTH, `query Other { deals { id } } ${BOTH.replace('subscription', 'subscription  Named')}`]) {
    const operationName = query === BOTH ? null : 'Named';
    const first = await generation.prepare({ query, operationName });
    if (first.kind !== 'operation') throw new Error(JSON.stringify(first.errors));
    const { normalised, name } = first.operation;
    const again = await generation.prepare({ query: normalised, operationName: name });
    if (again.kind !== 'operation') throw new Error(JSON.stringify(again.errors));
    expect(again.operation.normalised).toBe(normalised);
    expect(afterVariable(normalised)).toBe('after');
  }
});

it('delivers carried and enriched selections, filters, resumes by cursor and tells a gap', async () => {
  const metrics = new Metrics();
  const channels = new MemoryChannels({ logger: silentLogger, metrics: createChannelsMetrics(metrics) }, { maxEvents: 3 });
  const { generation } = graph;
  let leases = 0;
  const lease = () => ((leases += 1), { generation, release: () => void (leases -= 1) });
  const engine = createLiveEngine({
    channels,
    cursors: testCursors,
    clock: systemClock,
    metrics,
    log: silentLogger,
    generations: { lease, onSwap: () => () => {}, close: async () => {} },
  });
  const subscribe = async (query: string, rawVariables: Record<string, never> | Record<string, unknown>) => {
    const prepared = await generation.prepare({ query, operationName: null });
    if (prepared.kind !== 'operation' || prepared.operation.subscription?.kind !== 'live') throw new Error('not a live subscription');
    const { operation } = prepared;
    const coerced = operation.coerceVariables(rawVariables as never);
    if ('errors' in coerced || prepared.operation.subscription.kind !== 'live') throw new Error('bad variables');
    const transport = new FakeTransport();
    const subscription = engine.subscribe({
      operation,
      plan: prepared.operation.subscription,
      variables: coerced.values,
      rawVariables: rawVariables as never,
      lease: lease(),
      identity: userIdentity('acme', 'ann'),
      outbox: new Outbox(transport, 1_000_000),
      operationId: '1',
      lastCursor: null,
      owner: { subscriptionEnded: () => {} },
    });
    return { transport, subscription };
  };
  const publish = (id: string, stage: string) =>
    channels.publish([liveEvent({ key: id, entity: { id, title: `title of ${id}`, stage_id: stage, company_id: 'acme' } })]);

  const enriched = await subscribe(BOTH, {});
  const carried = await subscribe(CARRIED, { filter: { stageId: { in: ['s2'] } } });
  expect(engine.figures.groups).toBe(2);
  await new Promise((resolve) => setImmediate(resolve));
  await publish('d1', 's1');
  await publish('d2', 's2');
  await until(() => enriched.transport.frames.length === 2);
  const deals = (transport: FakeTransport) => transport.delivered().map((one) => (one as unknown as { deal: unknown }).deal);
  expect(deals(enriched.transport)).toEqual([
    { title: 'title of d1', owner: { name: 'name of u1' } },
    { title: 'title of d2', owner: null },
  ]);
  expect(deals(carried.transport)).toEqual([{ title: 'title of d2', stageId: 's2' }]);

  const cursor = carried.transport.delivered()[0]?.cursor;
  carried.subscription.stop();
  for (const id of ['d3', 'd4', 'd5', 'd6']) await publish(id, 's2');
  const resumed = await subscribe(CARRIED, { filter: { stageId: { in: ['s2'] } }, after: cursor });
  await until(() => resumed.transport.frames.length === 4);
  expect(resumed.transport.delivered().map(({ action, id, missed }) => [action, id, missed])).toEqual([
    ['GAP', null, 1],
    ['CHANGED', 'd4', null],
    ['CHANGED', 'd5', null],
    ['CHANGED', 'd6', null],
  ]);
  resumed.subscription.stop();
  enriched.subscription.stop();
  expect([leases, engine.figures]).toEqual([0, { subscriptions: 0, groups: 0, feeds: 0, behind: 0 }]);
  engine.close();
  await channels.close();
});
