import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { EntityBatcher } from './entity-batcher.ts';
import type { SubgraphOperation } from './fetch-task.ts';
import type { OperationCall, SubgraphAnswer, SubgraphClient, SubgraphRequest } from './generation.ts';

type Sent = { readonly request: SubgraphRequest; readonly representations: { id: string }[]; resolve(answer: SubgraphAnswer): void };

function setup(options: { representationsMax?: number } = {}) {
  const clock = new ManualClock();
  const sent: Sent[] = [];
  const client: SubgraphClient = {
    execute: (request) =>
      new Promise((resolve) => {
        const { representations } = JSON.parse(request.variables) as { representations: { id: string }[] };
        sent.push({ request, representations, resolve });
      }),
    async *subscribe() {},
    async close() {},
  };
  const batcher = new EntityBatcher({ client, clock, windowMs: 1, ...options });
  const call = (part: Partial<OperationCall> = {}): OperationCall => ({
    variables: {},
    headers: {},
    view: 'v',
    signal: null,
    deadline: clock.monotonic() + 1000,
    ...part,
  });
  const operation = (query = 'q', subgraph = 'users'): SubgraphOperation => ({
    subgraph,
    query,
    operationName: null,
    type: 'query',
    bodyPrefix: '',
  });
  const echo = (at: Sent): void => at.resolve({ data: { _entities: at.representations.map(({ id }) => ({ name: `name ${id}` })) } });
  return { clock, sent, batcher, call, operation, echo };
}

const rep = (id: string): string => `{"__typename":"User","id":"${id}"}`;
const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => (error instanceof MillraceError ? error.code : error),
  );

describe('entity fetches of several executions', () => {
  it('become one request with each entity once, and each gets its own in its order', async () => {
    const { batcher, call, operation, sent, echo, clock } = setup();
    const a = batcher.entities(operation(), [rep('1'), rep('2')], '', call());
    const b = batcher.entities(operation(), [rep('3'), rep('1')], '', call());
    clock.advance(1);
    expect(sent.map((one) => one.representations.map(({ id }) => id))).toEqual([['1', '2', '3']]);
    echo(sent[0] as Sent);
    expect((await a).entities).toEqual([{ name: 'name 1' }, { name: 'name 2' }]);
    expect((await b).entities).toEqual([{ name: 'name 3' }, { name: 'name 1' }]);
    expect((await a).entities[0]).not.toBe((await b).entities[1]);
  });

  it('stay apart where the view, the operation, the subgraph or another variable differs', async () => {
    const { batcher, call, operation, sent, clock } = setup();
    for (const [op, others, part] of [
      [operation(), '', {}],
      [operation(), '', { view: 'w' }],
      [operation('p'), '', {}],
      [operation('q', 'deals'), '', {}],
      [operation(), '"x":1', {}],
    ] as const)
      void batcher.entities(op, [rep('1')], others, call(part));
    clock.advance(1);
    expect(sent.length).toBe(5);
  });

  it('are bounded in one request', () => {
    const { batcher, call, operation, sent, clock } = setup({ representationsMax: 2 });
    for (const id of ['1', '2', '3', '4', '5']) void batcher.entities(operation(), [rep(id)], '', call());
    clock.advance(1);
    expect(sent.map((one) => one.representations.length)).toEqual([2, 2, 1]);
  });

  it('hold: one that is cancelled or late leaves the others alone', async () => {
    const { batcher, call, operation, sent, echo, clock } = setup();
    const control = new AbortController();
    const cancelled = codeOf(batcher.entities(operation(), [rep('1')], '', call({ signal: control.signal })));
    const late = codeOf(batcher.entities(operation(), [rep('2')], '', call({ deadline: clock.monotonic() + 10 })));
    const patient = batcher.entities(operation(), [rep('3')], '', call());
    clock.advance(1);
    control.abort();
    clock.advance(10);
    expect(await cancelled).toBe('REQUEST_CANCELLED');
    expect(await late).toBe('SUBGRAPH_TIMEOUT');
    expect(sent[0]?.request.signal?.aborted).toBe(false);
    echo(sent[0] as Sent);
    expect((await patient).entities).toEqual([{ name: 'name 3' }]);
  });

  it('abort the request when nobody waits any more, and send nothing for those who left before', async () => {
    const { batcher, call, operation, sent, clock } = setup();
    const control = new AbortController();
    const first = codeOf(batcher.entities(operation(), [rep('1')], '', call({ signal: control.signal })));
    clock.advance(1);
    control.abort();
    expect(await first).toBe('REQUEST_CANCELLED');
    expect(sent[0]?.request.signal?.aborted).toBe(true);
    const second = new AbortController();
    const gone = codeOf(batcher.entities(operation(), [rep('1')], '', call({ signal: second.signal })));
    second.abort();
    clock.advance(1);
    expect(await gone).toBe('REQUEST_CANCELLED');
    expect(sent.length).toBe(1);
  });

  it('get the errors of their own entities, at their own index', async () => {
    const { batcher, call, operation, sent, clock } = setup();
    const a = batcher.entities(operation(), [rep('1')], '', call());
    const b = batcher.entities(operation(), [rep('2'), rep('3')], '', call());
    clock.advance(1);
    sent[0]?.resolve({
      data: { _entities: [{}, {}, null] },
      errors: [{ message: 'no 3', path: ['_entities', 2, 'name'] }, { message: 'all' }],
    });
    expect((await a).errors).toEqual([{ message: 'all' }]);
    expect((await b).errors).toEqual([{ message: 'no 3', path: ['_entities', 1, 'name'] }, { message: 'all' }]);
  });

  it('fail together on rubbish', async () => {
    const { batcher, call, operation, sent, clock } = setup();
    const a = codeOf(batcher.entities(operation(), [rep('1')], '', call()));
    const b = codeOf(batcher.entities(operation(), [rep('2')], '', call()));
    clock.advance(1);
    sent[0]?.resolve({ data: { _entities: 'none' } });
    expect(await Promise.all([a, b])).toEqual(['SUBGRAPH_BAD_ANSWER', 'SUBGRAPH_BAD_ANSWER']);
  });
});
