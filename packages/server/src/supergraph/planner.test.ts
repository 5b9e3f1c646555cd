import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { MillraceError } from '../kit/errors.ts';
import { composed, federated } from './fixture.ts';
import { createPlanner } from './planner.ts';

const { supergraphSdl } = composed({ a: { sdl: federated('type Query { a: Int }'), resolvers: {} } });
/** Every field stands in every subgraph, so that there are very many ways to each: about two seconds of planning. */
const entangled = ((): { supergraphSdl: string; query: string } => {
  const names = Array.from({ length: 24 }, (_, index) => `s${index}`);
  const sdl = (name: string): string =>
    `type Query { a: A @shareable } type A @key(fields: "id") { id: ID! b: B @shareable ${name}: Int } type B @key(fields: "id") { id: ID! a: A @shareable b_${name}: Int }`;
  const release = composed(Object.fromEntries(names.map((name) => [name, { sdl: federated(sdl(name)), resolvers: {} }])), {
    satisfiability: false,
  });
  const nested = (depth: number): string =>
    depth === 0 ? '' : `b { ${names.map((name) => `b_${name}`).join(' ')} a { ${names.join(' ')} ${nested(depth - 1)} } }`;
  return { supergraphSdl: release.supergraphSdl, query: `{ a { ${nested(8)} } }` };
})();
const directories: string[] = [];
afterAll(() => Promise.all(directories.map((directory) => rm(directory, { recursive: true }))));

/** A worker that dies at the query `crash` and otherwise plans nothing. */
async function crashingWorker(): Promise<URL> {
  const directory = await mkdtemp(join(tmpdir(), 'planner-'));
  directories.push(directory);
  const file = join(directory, 'worker.mjs');
  await writeFile(
    file,
    `import { parentPort } from 'node:worker_threads';
     parentPort.on('message', (m) => {
       if (m.kind === 'build') parentPort.postMessage({ kind: 'built', generation: m.generation, consumerSchema: 'x' });
       if (m.kind === 'plan' && m.query === 'crash') process.exit(3);
       if (m.kind === 'plan' && m.query !== 'hang') parentPort.postMessage({ kind: 'planned', id: m.id, plan: { kind: 'QueryPlan' } });
     });`,
  );
  return pathToFileURL(file);
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'fine',
    (error: unknown) => (error instanceof MillraceError ? error.code : error),
  );

describe('the planner and its thread', () => {
  it('plans for several generations, and refuses what cannot be planned', async () => {
    const planner = createPlanner();
    const first = await planner.build(supergraphSdl);
    const second = await planner.build(supergraphSdl);
    first.dispose();
    expect((await second.plan('{ a }', null)).node?.kind).toBe('Fetch');
    expect(await codeOf(first.plan('{ a }', null))).toBe('PLAN_FAILED');
    expect(await codeOf(second.plan('{ nothing }', null))).toBe('PLAN_FAILED');
    expect(await codeOf(planner.build('type Query { broken'))).toBe('PLAN_FAILED');
    await planner.close();
    expect(await codeOf(second.plan('{ a }', null))).toBe('PLANNER_UNAVAILABLE');
  });

  it('answers those who wait when the thread dies, and comes back with its generations', async () => {
    let crashed = (): void => {};
    const crash = new Promise<void>((resolve) => (crashed = resolve));
    const planner = createPlanner({ workerUrl: await crashingWorker(), onCrash: crashed });
    const graph = await planner.build('any');
    const hanging = codeOf(graph.plan('hang', null));
    expect(await codeOf(graph.plan('crash', null))).toBe('PLANNER_UNAVAILABLE');
    expect(await hanging).toBe('PLANNER_UNAVAILABLE');
    await crash;
    await expect.poll(() => codeOf(graph.plan('fine', null))).toBe('fine');
    await planner.close();
  });

  it('gives up on a plan that takes too long, and plans the next one', async () => {
    const planner = createPlanner({ planTimeoutMs: 1 });
    const graph = await planner.build(entangled.supergraphSdl);
    expect(await codeOf(graph.plan(entangled.query, null))).toBe('PLAN_TIMEOUT');
    expect(
      await codeOf(planner.build(supergraphSdl).then((next) => expect.poll(() => codeOf(next.plan('{ a }', null))).toBe('fine'))),
    ).toBe('fine');
    await planner.close();
  });

  it('bounds what waits', async () => {
    const planner = createPlanner({ workerUrl: await crashingWorker(), queueMax: 1 });
    const graph = await planner.build('any');
    const first = codeOf(graph.plan('hang', null));
    expect(await codeOf(graph.plan('fine', null))).toBe('PLANNER_UNAVAILABLE');
    await planner.close();
    expect(await first).toBe('PLANNER_UNAVAILABLE');
  });
});
