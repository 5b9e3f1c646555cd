import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { Metrics } from '../kit/metrics.ts';
import { type TestGraph, composed, federated, testCall, testClient, testGraph } from './fixture.ts';
import type { Generation, SubgraphClient } from './generation.ts';
import { createGenerations } from './generations.ts';
import { createSupergraphMetrics } from './metrics.ts';
import type { Release, SupergraphSource } from './release.ts';

const one = { a: { sdl: federated('type Query { a: Int b: Int }'), resolvers: { Query: { a: () => 1, b: () => 2 } } } };
const two = { a: { sdl: federated('type Query { a: Int c: Int }'), resolvers: { Query: { a: () => 10, c: () => 3 } } } };

function source(first: Release | null) {
  let push: (release: Release) => void = () => {};
  const made: SupergraphSource = {
    current: async () => first,
    watch: (listener) => {
      push = listener;
      return () => (push = () => {});
    },
  };
  return { source: made, push: (release: Release) => push(release) };
}

function closing(client: SubgraphClient): SubgraphClient & { closed: boolean } {
  return Object.assign(Object.create(client) as SubgraphClient, {
    closed: false,
    async close(this: { closed: boolean }) {
      this.closed = true;
    },
  });
}

describe('generations', () => {
  it('swap by one reference; the one before lives until its last lease ends', async () => {
    const releases = [composed(one), composed(two)] as const;
    const clients = [closing(testClient(one)), closing(testClient(two))] as const;
    const from = source(null);
    const metrics = createSupergraphMetrics(new Metrics());
    const generations = createGenerations({
      source: from.source,
      client: (release) => (release === releases[0] ? clients[0] : clients[1]),
      metrics,
    });
    await generations.ready;
    expect(generations.lease()).toBeNull();
    const swaps: [number, number | null][] = [];
    let swapped = (): void => {};
    generations.onSwap((next, previous) => {
      swaps.push([next.number, previous?.number ?? null]);
      expect(generations.lease()?.generation).toBe(next);
      swapped();
    });
    const swap = (release: Release): Promise<void> =>
      new Promise((resolve) => {
        swapped = resolve;
        from.push(release);
      });
    await swap(releases[0]);
    const lease = generations.lease();
    const old = lease?.generation as Generation;
    const prepared = await old.prepare({ query: '{ b }', operationName: null });
    await swap(releases[1]);
    expect(swaps).toEqual([
      [1, null],
      [2, 1],
    ]);
    if (prepared.kind !== 'operation') throw new Error('not prepared');
    expect(await prepared.operation.execute(testCall())).toEqual({ data: { b: 2 } });
    expect((await generations.lease()?.generation.prepare({ query: '{ b }', operationName: null }))?.kind).toBe('invalid');
    expect(clients[0].closed).toBe(false);
    lease?.release();
    lease?.release();
    await generations.close();
    expect(clients.map((client) => client.closed)).toEqual([true, true]);
    expect(generations.lease()).toBeNull();
  });

  it('dispose of a replaced one after the drain time, although somebody still holds it', async () => {
    const clock = new ManualClock();
    const from = source(composed(one));
    const clients: (SubgraphClient & { closed: boolean })[] = [];
    const generations = createGenerations({
      source: from.source,
      clock,
      drainMs: 1000,
      client: () => {
        const client = closing(testClient(one));
        clients.push(client);
        return client;
      },
    });
    await generations.ready;
    generations.lease();
    const swapped = new Promise((resolve) => generations.onSwap(resolve));
    from.push(composed(two));
    await swapped;
    clock.advance(999);
    expect(clients[0]?.closed).toBe(false);
    clock.advance(1);
    await expect.poll(() => clients[0]?.closed).toBe(true);
    await generations.close();
  });

  it('keep the one before where a release cannot be built, and say so', async () => {
    const from = source(composed(one));
    let failed: (release: Release) => void = () => {};
    const generations = createGenerations({ source: from.source, client: () => testClient(one), onFailure: (release) => failed(release) });
    await generations.ready;
    const broken = { ...composed(two), supergraphSdl: 'type Query { broken', digest: 'broken' };
    const failure = new Promise((resolve) => (failed = resolve));
    from.push(broken);
    expect(await failure).toBe(broken);
    expect(generations.lease()?.generation.number).toBe(1);
    await generations.close();
  });

  it('skip releases that are overtaken while one is being built, and those that are already current', async () => {
    const from = source(null);
    const generations = createGenerations({ source: from.source, client: () => testClient(one) });
    await generations.ready;
    const digests: string[] = [];
    let done = (): void => {};
    const last = { ...composed(two), digest: 'last' };
    generations.onSwap((next) => {
      digests.push(next.digest);
      if (next.digest === 'last') done();
    });
    const finished = new Promise<void>((resolve) => (done = resolve));
    from.push({ ...composed(one), digest: 'first' });
    from.push({ ...composed(one), digest: 'overtaken' });
    from.push(last);
    await finished;
    from.push(last);
    expect(digests).toEqual(['first', 'last']);
    await generations.close();
  });
});

describe('preparing', () => {
  const phases = async (graph: TestGraph, query: string, operationName: string | null = null): Promise<unknown> => {
    const prepared = await graph.generation.prepare({ query, operationName });
    return prepared.kind === 'operation'
      ? prepared.operation.normalised
      : [prepared.phase, prepared.errors.map((error) => error.extensions['code'])];
  };

  it('refuses with the phase and a code', async () => {
    const graph = await testGraph(one, { limits: { tokensMax: 30, depthMax: 2, aliasesMax: 1, rootFieldsMax: 3, directivesMax: 1 } });
    expect(await phases(graph, '{ a')).toEqual(['parse', ['GRAPHQL_PARSE_FAILED']]);
    expect(await phases(graph, '{ nothing }')).toEqual(['validate', ['GRAPHQL_VALIDATION_FAILED']]);
    expect(await phases(graph, 'query A { a } query B { b }')).toEqual(['validate', ['OPERATION_NOT_FOUND']]);
    expect(await phases(graph, '{ a }', 'C')).toEqual(['validate', ['OPERATION_NOT_FOUND']]);
    expect(await phases(graph, `{ ${'a '.repeat(40)} }`)).toEqual(['limit', ['TOKEN_LIMIT']]);
    expect(await phases(graph, '{ x: a y: b }')).toEqual(['limit', ['ALIAS_LIMIT']]);
    expect(await phases(graph, '{ a b a b }')).toEqual(['limit', ['ROOT_FIELD_LIMIT']]);
    expect(await phases(graph, '{ __schema { types { name } } }')).toEqual(['limit', ['DEPTH_LIMIT']]);
    expect(await phases(graph, '{ a @skip(if: true) b @skip(if: true) }')).toEqual(['limit', ['DIRECTIVE_LIMIT']]);
    expect(await phases(graph, '{ ...F } fragment F on Query { ...F a }')).toEqual(['validate', ['GRAPHQL_VALIDATION_FAILED']]);
    await graph.close();
  });

  it('gives the same object for the same text, and one text for one meaning', async () => {
    const graph = await testGraph(one);
    const [first, again] = await Promise.all(
      [1, 2].map(() => graph.generation.prepare({ query: 'query A { a } query B { b }', operationName: 'B' })),
    );
    expect(first).toBe(again);
    expect(await phases(graph, '#comment\nquery B{b,} fragment Other on Query{a} query A{...Other}', 'B')).toBe('query B {\n  b\n}');
    await graph.close();
  });

  it('suggests names only where allowed', async () => {
    const [open, shut] = await Promise.all([
      testGraph({ a: { sdl: federated('type Query { secretName: Int }'), resolvers: {} } }),
      testGraph({ a: { sdl: federated('type Query { secretName: Int }'), resolvers: {} } }, { suggestions: false }),
    ]);
    expect(JSON.stringify(await open.query('{ secretNam }'))).toContain('Did you mean');
    expect(JSON.stringify(await shut.query('{ secretNam }'))).not.toContain('secretName');
    await Promise.all([open.close(), shut.close()]);
  });

  it('holds fragments that spread each other twice, which would double with every level', async () => {
    const graph = await testGraph(one);
    const fragments = Array.from({ length: 40 }, (_, i) => `fragment F${i} on Query { ...F${i + 1} ...F${i + 1} }`).join('\n');
    expect(await graph.query(`{ __typename ...F0 } ${fragments} fragment F40 on Query { a }`)).toEqual({
      data: { __typename: 'Query', a: 1 },
    });
    await graph.close();
  });
});

describe('identical queries under way', () => {
  it('share one execution under one view, never across views, never mutations; one that leaves does not take the others along', async () => {
    const graph = await testGraph(
      { a: { sdl: federated('type Query { a(x: Int): Int } type Mutation { m: Int }'), resolvers: {} } },
      { shareQueries: true },
    );
    const answers: (() => void)[] = [];
    graph.client.intercept = () => new Promise((resolve) => answers.push(() => resolve({ data: { a: 1, m: 1 } })));
    const control = new AbortController();
    const same = [
      graph.query('query($x: Int) { a(x: $x) }', { x: 1 }, { signal: control.signal }),
      graph.query('query($x: Int) { a(x: $x) }', { x: 1 }),
      graph.query('query($x: Int) { a(x: $x) }', { x: 1 }),
    ] as const;
    const others = [
      graph.query('query($x: Int) { a(x: $x) }', { x: 2 }),
      graph.query('query($x: Int) { a(x: $x) }', { x: 1 }, { view: 'tenant-2' }),
      graph.query('mutation { m }'),
      graph.query('mutation { m }'),
    ];
    await expect.poll(() => answers.length).toBe(5);
    control.abort();
    expect(await same[0]).toMatchObject({ errors: [{ extensions: { code: 'REQUEST_CANCELLED' } }] });
    for (const answer of answers) answer();
    expect(await Promise.all([same[1], same[2]])).toEqual([{ data: { a: 1 } }, { data: { a: 1 } }]);
    expect((await Promise.all(others)).length).toBe(4);
    await graph.close();
  });
});
