import type { ExecutionResult } from 'graphql';
import { GraphQLError } from 'graphql';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import type { OperationContext, OperationOutcome } from '../live/operations.ts';
import { supergraphErrors } from '../supergraph/errors.ts';
import { createGatewayMetrics } from './metrics.ts';
import { createPipeline, type PipelineOptions } from './pipeline.ts';
import { FakeGenerations } from './testing/fake-generation.ts';
import { userIdentity } from './testing/gateway-server.ts';

function setUp(options: Partial<PipelineOptions> = {}) {
  const generations = new FakeGenerations();
  const metrics = new Metrics();
  const clock = new ManualClock();
  const pipeline = createPipeline({ generations, clock, metrics: createGatewayMetrics(metrics), log: silentLogger }, options);
  const abort = new AbortController();
  const run = (query: string, context: Partial<OperationContext> = {}, variables = {}, extensions = {}): Promise<OperationOutcome> =>
    pipeline.run(
      { query, operationName: null, variables, extensions, lastCursor: null },
      {
        identity: userIdentity('ann'),
        transport: 'ws',
        clientName: null,
        clientVersion: null,
        requestId: 'r1',
        signal: abort.signal,
        ...context,
      },
    );
  return { generations, metrics, clock, abort, run };
}

function errorsOf(outcome: OperationOutcome): { message: string; path?: unknown; extensions: Record<string, unknown> }[] {
  if (outcome.kind === 'refused') return JSON.parse(outcome.errors) as never;
  if (outcome.kind === 'result') return (JSON.parse(outcome.text) as { errors: never }).errors;
  throw new Error(`no errors in an outcome of kind ${outcome.kind}`);
}

async function* yields(...results: ExecutionResult[]): AsyncIterable<ExecutionResult> {
  yield* results;
}

const anonymous = { kind: 'anonymous', tenant: null } as const;

describe('pipeline: outcomes', () => {
  it('runs queries and mutations to the text of their result', async () => {
    const { run } = setUp();
    expect(await run('query($n: String) { hello(name: $n) }', {}, { n: 'you' })).toEqual({
      kind: 'result',
      text: '{"data":{"hello":"hello you"}}',
    });
    expect(await run('mutation { say(word: "hi") }', { transport: 'http', identity: anonymous })).toMatchObject({
      text: '{"data":{"say":"hi"}}',
    });
  });

  it.each([
    ['{', 'GRAPHQL_PARSE_FAILED', 400],
    ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED', 400],
    ['{ alias29: hello }', 'ALIAS_LIMIT', 400],
    ['query($n: String!) { hello(name: $n) }', 'BAD_USER_INPUT', 400],
  ])('refuses %s with %s', async (query, code, status) => {
    const { run } = setUp();
    const outcome = await run(query);
    expect(outcome).toMatchObject({ kind: 'refused', status });
    expect(errorsOf(outcome)[0]!.extensions['code']).toBe(code);
  });

  it('refuses live data to whoever has no tenant, and any subscription over plain HTTP', async () => {
    const { run } = setUp();
    const unsigned = await run('subscription { dealEvent }', { identity: anonymous });
    expect([unsigned, errorsOf(unsigned)[0]!.extensions['code']]).toMatchObject([{ kind: 'refused', status: 401 }, 'UNAUTHENTICATED']);
    expect((await run('subscription { dealEvent }', { identity: { kind: 'anonymous', tenant: 't1' } })).kind).toBe('live');
    for (const query of ['subscription { dealEvent }', 'subscription { ticks }']) {
      const outcome = await run(query, { transport: 'http' });
      expect([outcome, errorsOf(outcome)[0]!.extensions['code']]).toMatchObject([{ status: 406 }, 'SUBSCRIPTION_NEEDS_STREAM']);
    }
  });

  it('answers without any schema, saying what to do', async () => {
    const { run, generations } = setUp();
    generations.lease = () => null as never;
    const outcome = await run('{ _empty }');
    expect(outcome).toMatchObject({ kind: 'result', text: expect.stringContaining('millrace schema push') });
  });

  it('counts by transport, type and outcome', async () => {
    const { run, metrics } = setUp();
    await run('{ hello }');
    await run('{ nothing }');
    await run('subscription { dealEvent }', { transport: 'sse' });
    const text = await metrics.text();
    expect(text).toContain('millrace_gateway_operations_total{transport="ws",type="query",outcome="ok"} 1');
    expect(text).toContain('millrace_gateway_operations_total{transport="ws",type="unknown",outcome="refused"} 1');
    expect(text).toContain('millrace_gateway_operations_total{transport="sse",type="subscription",outcome="live"} 1');
    expect(text).toContain('millrace_gateway_operations_running 0');
  });
});

describe('pipeline: errors', () => {
  it('masks what nobody foresaw, keeps codes, messages and paths of what was', async () => {
    const { run, generations } = setUp();
    generations.failures.set('bug', new TypeError("cannot read 'secret' of undefined"));
    generations.failures.set(
      'coded',
      new GraphQLError('no such deal', { extensions: { code: 'DEAL_GONE', stacktrace: ['at x'], exception: {}, hint: 1 } }),
    );
    generations.failures.set(
      'down',
      new MillraceError(supergraphErrors.SUBGRAPH_UNREACHABLE, 'deals cannot be reached', { subgraph: 'deals' }),
    );
    generations.failures.set('plain', new GraphQLError('a message without a code'));
    const outcome = await run('{ a: fail(how: "bug") b: fail(how: "coded") c: fail(how: "down") d: fail(how: "plain") hello }');
    expect(errorsOf(outcome)).toMatchObject([
      { message: 'internal error', path: ['a'], extensions: { code: 'INTERNAL', requestId: 'r1' } },
      { message: 'no such deal', path: ['b'], extensions: { code: 'DEAL_GONE', hint: 1 } },
      { message: 'deals cannot be reached', path: ['c'], extensions: { code: 'SUBGRAPH_UNREACHABLE', subgraph: 'deals' } },
      { message: 'a message without a code', path: ['d'], extensions: { code: 'SUBGRAPH_ERROR' } },
    ]);
    const text = (outcome as { text: string }).text;
    expect(text).not.toMatch(/secret|stack|exception/);
    expect(JSON.parse(text)).toMatchObject({ data: { a: null, hello: 'hello world' } });
  });

  it('turns a fault of a step into INTERNAL, and a coded error into its own status', async () => {
    const { run, generations } = setUp();
    generations.broken = new Error('the planner fell over at /home/x');
    const fault = await run('{ hello }');
    expect(fault).toMatchObject({ kind: 'refused', status: 500 });
    expect(errorsOf(fault)).toEqual([{ message: 'internal error', extensions: { code: 'INTERNAL', requestId: 'r1' } }]);
    generations.broken = new MillraceError(supergraphErrors.PLANNER_UNAVAILABLE, 'the planner restarts');
    const restarting = await run('{ hello }');
    expect([restarting, errorsOf(restarting)[0]!.extensions['code']]).toMatchObject([
      { status: 503, retryAfter: 1 },
      'PLANNER_UNAVAILABLE',
    ]);
    generations.broken = new MillraceError(supergraphErrors.SUBGRAPH_TIMEOUT, 'too late');
    expect(await run('{ hello }')).toMatchObject({ status: 504, retryAfter: 1 });
  });
});

describe('pipeline: what subgraphs are told', () => {
  it('forwards who asks, the request id and a valid traceparent; deadlines follow the clock', async () => {
    const { run, generations, clock } = setUp({ timeoutMs: 5_000 });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await run('{ hello }', { identity: userIdentity('ann, 100% ü', ['admin', 'a,b']), traceparent });
    expect(generations.calls[0]).toMatchObject({
      headers: {
        authorization: 'Bearer token-of-ann, 100% ü',
        'x-request-id': 'r1',
        traceparent,
        'millrace-tenant': 't1',
        'millrace-user': 'ann%2C%20100%25%20%C3%BC',
        'millrace-roles': 'admin,a%2Cb',
      },
      deadline: clock.monotonic() + 5_000,
    });
    await run('{ hello }', {}, {}, { traceparent });
    expect(generations.calls[1]!.headers['traceparent']).toBe(traceparent);
    for (const bad of ['x', `${traceparent}\r\nevil: 1`, traceparent.replace(/b7ad\w+/, '0'.repeat(16)), 7])
      await run('{ hello }', {}, {}, { traceparent: bad });
    expect(generations.calls.slice(2).map((call) => call.headers['traceparent'])).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('keeps the token to itself where forwarding is off', async () => {
    const { run, generations } = setUp({ forwardAuthorization: false });
    await run('{ hello }');
    expect(Object.keys(generations.calls[0]!.headers).toSorted()).toEqual([
      'millrace-roles',
      'millrace-tenant',
      'millrace-user',
      'x-request-id',
    ]);
  });

  it('gives equal views to equal callers only', async () => {
    const { run, generations } = setUp();
    const ann = userIdentity('ann', ['a', 'b']);
    const identities = [
      ann,
      { ...ann, roles: ['b', 'a'] },
      { ...ann, roles: ['a'] },
      { ...ann, tenant: 't2' },
      { ...ann, issuer: 'x' },
      { ...ann, scopes: ['s'] },
      { ...ann, groups: ['g'] },
      { ...ann, token: 'other' },
      { ...ann, user: 'bob' },
      anonymous,
      { kind: 'anonymous', tenant: 't1' } as const,
    ];
    for (const identity of identities) await run('{ hello }', { identity });
    const views = generations.calls.map((call) => call.view);
    expect(views[0]).toBe(views[1]);
    expect(new Set(views).size).toBe(identities.length - 1);
    expect(views.join()).not.toContain('token-of');
  });
});

describe('pipeline: leases', () => {
  it('are released on every path but live, exactly once', async () => {
    const { run, generations } = setUp();
    for (const query of ['{ hello }', '{', '{ nothing }', 'query($n: String!) { hello(name: $n) }', '{ fail(how: "x") }']) {
      await run(query);
      expect([query, generations.held]).toEqual([query, 0]);
    }
    await run('subscription { dealEvent }', { identity: anonymous });
    await run('subscription { dealEvent }', { transport: 'http' });
    generations.broken = new Error('x');
    await run('{ hello }');
    expect(generations.held).toBe(0);
    generations.broken = null;
    const live = await run('subscription { dealEvent }');
    expect(generations.held).toBe(1);
    if (live.kind === 'live') live.lease.release();
    expect(generations.held).toBe(0);
  });

  async function stream(run: ReturnType<typeof setUp>['run']): Promise<AsyncIterator<string>> {
    const outcome = await run('subscription { ticks }');
    if (outcome.kind !== 'stream') throw new Error(outcome.kind);
    return outcome.results[Symbol.asyncIterator]();
  }

  it('stay with a stream until it ends', async () => {
    const { run, generations } = setUp();
    generations.ticks = yields({ data: { ticks: 1 } }, { errors: [new GraphQLError('x', { originalError: new Error('secret') })] });
    const results = await stream(run);
    expect(await results.next()).toEqual({ done: false, value: '{"data":{"ticks":1}}' });
    expect((await results.next()).value).toBe(
      '{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL","requestId":"r1"}}]}',
    );
    expect(generations.held).toBe(1);
    expect((await results.next()).done).toBe(true);
    expect(generations.held).toBe(0);
    expect((await results.next()).done).toBe(true);
  });

  it('end at once with a stream that waits for its upstream when it is returned', async () => {
    const { run, generations } = setUp();
    const ended = Promise.withResolvers<void>();
    generations.ticks = (async function* (): AsyncGenerator<ExecutionResult> {
      const signal = generations.calls.at(-1)!.signal!;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      ended.resolve();
      yield* [];
    })();
    const waiting = await stream(run);
    const next = waiting.next();
    await waiting.return?.();
    await ended.promise;
    expect([generations.held, (await next).done]).toEqual([0, true]);
  });

  it('end with a stream that fails, that is returned before or after its first result, or whose client leaves', async () => {
    const { run, generations, abort } = setUp();
    generations.ticks = (async function* () {
      yield* [];
      throw new Error('upstream fell over');
    })();
    const failing = await stream(run);
    await expect(failing.next()).rejects.toThrow('upstream fell over');
    expect(generations.held).toBe(0);

    generations.ticks = yields({ data: { ticks: 1 } });
    await (await stream(run)).return?.();
    expect(generations.held).toBe(0);

    generations.ticks = yields({ data: { ticks: 1 } }, { data: { ticks: 2 } });
    const started = await stream(run);
    await started.next();
    await started.return?.();
    await started.return?.();
    expect(generations.held).toBe(0);

    generations.ticks = yields({ data: { ticks: 1 } });
    await stream(run);
    expect(generations.held).toBe(1);
    abort.abort();
    expect(generations.held).toBe(0);
    generations.ticks = yields({ data: { ticks: 1 } });
    const late = await stream(run);
    expect([generations.held, (await late.next()).done]).toEqual([0, true]);
  });
});
