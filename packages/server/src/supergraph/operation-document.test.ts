import { describe, expect, it } from 'vitest';
import { BoundedCache } from './bounded-cache.ts';
import { federated, testGraph } from './fixture.ts';
import { OPERATION_LIMITS, checkLimits, parseOperations, selectOperation } from './operation-document.ts';

const tree = { a: { sdl: federated('type Query { root: Node } type Node { id: ID next: Node }'), resolvers: {} } };

/** `levels` fragments, each with two fields that spread the next one: 2^levels fields in a document of some hundred bytes. */
function doubling(levels: number): string {
  const fragments = Array.from(
    { length: levels },
    (_, i) => `fragment F${i} on Node { a: next { ...F${i + 1} } b: next { ...F${i + 1} } }`,
  );
  return `{ root { ...F0 } } ${fragments.join(' ')} fragment F${levels} on Node { id }`;
}

function codeOf(query: string, limits = OPERATION_LIMITS): unknown {
  const parsed = parseOperations(query, limits);
  if (parsed.kind === 'invalid') return parsed.errors[0]?.extensions['code'];
  const selected = selectOperation(parsed.document, null);
  return (selected && checkLimits(selected, limits)?.errors[0]?.extensions['code']) ?? 'within limits';
}

describe('limits of documents', () => {
  it('count fields with fragments written out: 15 fragments that double kept the planner busy for a minute, 20 took gigabytes', () => {
    expect(codeOf(doubling(8))).toBe('within limits');
    expect(codeOf(doubling(15))).toBe('FIELD_LIMIT');
    // 2^25 fields: only a count that is linear in the document comes back at all.
    expect(codeOf(doubling(25))).toBe('FIELD_LIMIT');
  });

  it('count spreads of the same fragment at one place by different ways too: they double in the planner although they add no field to the answer', () => {
    const fragments = Array.from({ length: 25 }, (_, i) => `fragment F${i} on Node { ...F${i + 1} ... on Node { ...F${i + 1} } }`);
    expect(codeOf(`{ root { ...F0 } } ${fragments.join(' ')} fragment F25 on Node { id }`)).toBe('FIELD_LIMIT');
  });

  it('say DEPTH_LIMIT where brackets by the thousand end the stack of the parser: it is no fault of ours and no line of the log', () => {
    expect(codeOf(`{ root(x: ${'['.repeat(4_900)}1${']'.repeat(4_900)}) { id } }`)).toBe('DEPTH_LIMIT');
  });

  it('leave cycles of fragments to validation', () => {
    expect(codeOf('{ root { ...A } } fragment A on Node { ...B } fragment B on Node { ...A }')).toBe('within limits');
  });
});

describe('prepared operations that are kept', () => {
  it('are not kept under a long operation name: two thousand names of a megabyte each were two gigabytes', async () => {
    const graph = await testGraph(tree);
    const name = (length: number) => ({ query: '{ root { id } }', operationName: 'x'.repeat(length) });
    expect(graph.generation.prepare(name(10))).toBe(graph.generation.prepare(name(10)));
    expect(graph.generation.prepare(name(1_000_000))).not.toBe(graph.generation.prepare(name(1_000_000)));
    await graph.close();
  });

  it('are bounded by what they weigh: 500 bytes of fragments compile to megabytes', async () => {
    const graph = await testGraph(tree, { preparedBytesMax: 700_000 });
    const heavy = (n: number) => ({ query: `# ${n}\n${doubling(8)}`, operationName: null });
    const first = graph.generation.prepare(heavy(1));
    await first;
    expect(graph.generation.prepare(heavy(1))).toBe(first);
    await graph.generation.prepare(heavy(2));
    expect(graph.generation.prepare(heavy(1))).not.toBe(first);
    await graph.close();
  });

  it('leave in the order of their last use, and a weight that grows later counts', () => {
    const cache = new BoundedCache<string, number>(10, 100);
    cache.set('a', 1, 10);
    cache.set('b', 2, 10);
    cache.get('a');
    cache.set('c', 3, 10);
    cache.reweigh('c', 85);
    expect([cache.get('a'), cache.get('b'), cache.get('c'), cache.weight]).toEqual([1, undefined, 3, 95]);
    cache.set('huge', 4, 1_000);
    expect([cache.size, cache.weight]).toEqual([0, 0]);
  });
});
