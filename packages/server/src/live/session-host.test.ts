import { describe, expect, it } from 'vitest';
import type { Identity } from '../access/identity.ts';
import { ManualClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { seededRandom } from '../kit/random.ts';
import { liveErrors } from './errors.ts';
import { createLiveEngine } from './live-engine.ts';
import type { OperationContext, OperationOutcome, OperationPipeline } from './operations.ts';
import type { SessionLimits } from './options.ts';
import type { GraphqlRequest, Refusal } from './session.ts';
import { createSessionHost } from './session-host.ts';
import { FakeGenerations, fakeOperation, FakeTransport, liveEvent, SimChannels, testCursors, until, userIdentity } from './testing.ts';

type Run = (request: GraphqlRequest, context: OperationContext) => Promise<OperationOutcome>;

function setUp({ run, limits = {}, identity }: { run?: Run; limits?: Partial<SessionLimits>; identity?: Identity } = {}) {
  const channels = new SimChannels();
  const generations = new FakeGenerations();
  const clock = new ManualClock();
  const operation = fakeOperation();
  const live = createLiveEngine({
    channels,
    generations,
    cursors: testCursors,
    clock,
    metrics: new Metrics(),
    log: silentLogger,
    limits: { outboxBytes: 500 },
  });
  const subscribing: Run = async (request) => ({
    kind: 'live',
    operation,
    plan: operation.subscription,
    variables: request.variables,
    lease: generations.lease(),
  });
  const pipeline: OperationPipeline = { run: run ?? subscribing };
  const host = createSessionHost({
    authenticator: { authenticate: async () => identity ?? userIdentity('acme', 'ann') },
    pipeline,
    live,
    clock,
    metrics: new Metrics(),
    log: silentLogger,
    limits,
    random: seededRandom(1),
  });
  const open = async (address = '::1') => {
    const transport = new FakeTransport();
    const session = await host.open({ authorization: undefined, clientName: null, clientVersion: null, address }, transport);
    return { transport, session };
  };
  return { channels, generations, clock, live, host, open };
}

const request = (over: Partial<GraphqlRequest> = {}): GraphqlRequest => ({
  query: '{ a }',
  operationName: null,
  variables: {},
  extensions: {},
  lastCursor: null,
  ...over,
});

async function code(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
  return 'none';
}

function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  return Promise.withResolvers<T>();
}

describe('operations of a session', () => {
  it('a query or mutation is one next and one complete', async () => {
    const { open } = setUp({ run: async () => ({ kind: 'result', text: '{"data":{"a":1}}' }) });
    const { transport, session } = await open();
    const { promise, resolve } = deferred<void>();
    session.start('q', request(), resolve);
    expect(session.operations).toBe(1);
    await promise;
    expect(transport.messages()).toEqual([
      { id: 'q', next: { data: { a: 1 } } },
      { id: 'q', complete: true },
    ]);
    expect(session.operations).toBe(0);
  });

  it('a refusal is an error frame, or goes to a transport that answers by itself', async () => {
    const { open } = setUp({ run: async () => ({ kind: 'refused', errors: '[{"message":"no"}]', status: 400, retryAfter: null }) });
    const { transport, session } = await open();
    const ended = deferred<void>();
    session.start('a', request(), ended.resolve);
    await ended.promise;
    expect(transport.messages()).toEqual([{ id: 'a', errors: [{ message: 'no' }] }]);
    const refused = deferred<Refusal | null>();
    session.start('b', request(), () => {}, refused.resolve);
    expect(await refused.promise).toEqual({ errors: '[{"message":"no"}]', status: 400 });
    expect(transport.messages('b')).toEqual([]);
  });

  it('a pipeline that rejects against its contract is INTERNAL and says nothing more', async () => {
    const { open } = setUp({ run: () => Promise.reject(new Error('secret')) });
    const { transport, session } = await open();
    const ended = deferred<void>();
    session.start('a', request(), ended.resolve);
    await ended.promise;
    expect(transport.frames.map(String)).toEqual([
      '{"id":"a","errors":[{"message":"internal error","extensions":{"code":"INTERNAL","retryable":true}}]}',
    ]);
  });

  it('a live subscription starts, delivers, and is refused with its code', async () => {
    const { channels, generations, open, live } = setUp();
    const { transport, session } = await open();
    const started = deferred<Refusal | null>();
    session.start('s', request(), () => {}, started.resolve);
    expect(await started.promise).toBe(null);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent({ key: 'k' }));
    expect(transport.delivered('s').map(({ id }) => id)).toEqual(['k']);
    const ended = deferred<void>();
    session.start('bad', request({ variables: { after: 'forged' } }), ended.resolve);
    await ended.promise;
    expect(transport.messages('bad')[0]?.errors?.[0]?.extensions.code).toBe('CURSOR_INVALID');
    session.stop('s');
    expect([session.operations, live.figures.subscriptions, generations.leases]).toEqual([0, 0, 0]);
  });

  it('stop while the pipeline works: aborted, silent, and what comes late is given back', async () => {
    const gate = deferred<void>();
    const signals: AbortSignal[] = [];
    const generations = new FakeGenerations();
    const operation = fakeOperation();
    let returned = 0;
    const results = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>(() => {}),
        return: async () => ((returned += 1), { done: true as const, value: undefined }),
      }),
    };
    const { open } = setUp({
      run: async (asked, { signal }) => {
        signals.push(signal);
        await gate.promise;
        if (asked.query === 'stream') return { kind: 'stream', results };
        return { kind: 'live', operation, plan: operation.subscription, variables: {}, lease: generations.lease() };
      },
    });
    const { transport, session } = await open();
    session.start('a', request(), () => expect.unreachable('the client stopped it'));
    session.start('b', request({ query: 'stream' }), () => expect.unreachable('the client stopped it'));
    session.stop('a');
    session.stop('b');
    gate.resolve();
    await until(() => returned === 1);
    expect(signals.map((signal) => signal.aborted)).toEqual([true, true]);
    expect([generations.leases, transport.frames.length, session.operations]).toEqual([0, 0, 0]);
  });

  it('`__proto__` and `constructor` are ordinary operation ids', async () => {
    const { open } = setUp({ run: async () => ({ kind: 'result', text: '{}' }) });
    const { transport, session } = await open();
    for (const id of ['__proto__', 'constructor']) {
      const ended = deferred<void>();
      session.stop(id);
      session.start(id, request(), ended.resolve);
      await ended.promise;
      expect(transport.messages(id).length).toBe(2);
    }
  });
});

describe('streams', () => {
  function streaming() {
    const asked: number[] = [];
    let closed = 0;
    const source = async function* () {
      try {
        for (let at = 0; ; at += 1) {
          asked.push(at);
          if (at === 100) return;
          yield `{"data":{"at":${at},"pad":"${'x'.repeat(180)}"}}`;
        }
      } finally {
        closed += 1;
      }
    };
    return { asked, closed: () => closed, ...setUp({ run: async () => ({ kind: 'stream', results: source() }) }) };
  }

  it('takes no more from upstream than the connection can hold, and goes on when it has drained', async () => {
    const { asked, open, closed } = streaming();
    const { transport, session } = await open();
    transport.slow = true;
    const ended = deferred<void>();
    session.start('s', request(), ended.resolve);
    await until(() => transport.bufferedBytes() > 500);
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(asked.length).toBeLessThan(5);
    transport.slow = false;
    transport.drain();
    await ended.promise;
    expect(transport.messages().length).toBe(101);
    expect(transport.messages().at(-1)).toEqual({ id: 's', complete: true });
    expect(closed()).toBe(1);
  });

  it('closes the upstream when the session ends, also while it waits for the connection', async () => {
    const { open, closed, live } = streaming();
    const { transport, session } = await open();
    transport.slow = true;
    session.start('s', request(), () => expect.unreachable('the session has ended'));
    await until(() => transport.bufferedBytes() > 500);
    session.end();
    await until(() => closed() === 1);
    expect(live.sessions.of('acme')).toBe(0);
  });
});

describe('limits', () => {
  it('refuse with a code and count nothing that has ended', async () => {
    const { host, open } = setUp({ limits: { sessions: 3, sessionsPerAddress: 2, sessionsPerTenant: 10 } });
    const { session } = await open('a');
    await open('a');
    expect(await code(() => open('a'))).toBe('ADDRESS_SESSIONS_EXHAUSTED');
    await open('b');
    expect(host.accepting()).toBe(false);
    expect(await code(() => open('c'))).toBe('SESSIONS_EXHAUSTED');
    session.end();
    session.end();
    expect(host.sessions).toBe(2);
    await open('a');
    const tenants = setUp({ limits: { sessionsPerTenant: 1 } });
    await tenants.open();
    expect(await code(() => tenants.open())).toBe('TENANT_SESSIONS_EXHAUSTED');
  });

  it('hold for a burst that authenticates at the same time', async () => {
    const { open, host } = setUp({ limits: { sessions: 2 } });
    const codes = await Promise.all(Array.from({ length: 5 }, () => code(() => open())));
    expect(codes.filter((one) => one === 'none').length).toBe(2);
    expect(host.sessions).toBe(2);
  });

  it('of operations and subscriptions end the operation and not the session', async () => {
    const { open, generations } = setUp({ limits: { operationsPerSession: 3, subscriptionsPerSession: 2 } });
    const { transport, session } = await open();
    session.start('1', request(), () => {});
    session.start('2', request(), () => {});
    await until(() => generations.leases === 1);
    session.start('3', request(), () => {});
    await until(() => transport.frames.length === 1);
    expect(transport.messages('3')[0]?.errors?.[0]?.extensions.code).toBe(liveErrors.SUBSCRIPTIONS_EXHAUSTED.code);
    session.start('4', request(), () => {});
    session.start('5', request(), () => {});
    expect(transport.messages('5')[0]?.errors?.[0]?.extensions.code).toBe('OPERATIONS_EXHAUSTED');
    await until(() => session.operations === 2);
  });
});

describe('endings', () => {
  it('an expired token closes with 4403, once, and nothing is held afterwards', async () => {
    const clock = new ManualClock();
    const {
      open,
      clock: time,
      host,
      live,
      generations,
    } = setUp({ identity: userIdentity('acme', 'ann', { expiresAt: clock.now() + 60_000 }) });
    const { transport, session } = await open();
    session.start('s', request(), () => {});
    await until(() => live.figures.subscriptions === 1);
    time.advance(59_000);
    expect(transport.closed).toEqual([]);
    time.advance(2_000);
    expect(transport.closed.map(({ code: close, label }) => [close, label])).toEqual([[4403, 'token_expired']]);
    session.end();
    expect([host.sessions, session.operations, live.figures.subscriptions, live.sessions.of('acme'), generations.leases]).toEqual([
      0, 0, 0, 0, 0,
    ]);
    expect(transport.closed.length).toBe(1);
  });

  it('idle sessions go, busy ones stay until their maximum age', async () => {
    const { open, clock, live } = setUp({ limits: { idleMs: 10_000, maxAgeMs: 60_000 } });
    const [idle, busy] = [await open(), await open()];
    busy.session.start('s', request(), () => {});
    await until(() => live.figures.subscriptions === 1);
    clock.advance(11_000);
    expect([idle.transport.closed[0]?.label, busy.transport.closed[0]?.label]).toEqual(['idle', undefined]);
    clock.advance(50_000);
    expect(busy.transport.closed[0]?.label).toBe('max_age');
  });

  it('a session that was busy is idle from the end of its last operation on', async () => {
    const { open, clock } = setUp({ limits: { idleMs: 10_000 }, run: async () => ({ kind: 'result', text: '{}' }) });
    const { transport, session } = await open();
    clock.advance(8_000);
    const ended = deferred<void>();
    session.start('q', request(), ended.resolve);
    await ended.promise;
    clock.advance(8_000);
    expect(transport.closed).toEqual([]);
    clock.advance(4_000);
    expect(transport.closed[0]?.label).toBe('idle');
  });

  it('closes a connection that keeps asking and reads no answer, long before it counts as stuck', async () => {
    const { open } = setUp({ limits: { stuckMs: 60_000 }, run: async () => ({ kind: 'result', text: `"${'x'.repeat(600)}"` }) });
    const { transport, session } = await open();
    transport.slow = true;
    for (let at = 0; at < 50; at += 1) session.start(`op${at}`, request(), () => undefined);
    await until(() => transport.closed.length > 0);
    expect(transport.closed[0]?.label).toBe('too_slow');
    // Eight bounds of 500 bytes, and one answer above them.
    expect(transport.bufferedBytes()).toBeLessThan(8 * 500 + 2 * 800);
  });

  it('a connection that takes nothing is closed, one that drains in time is not', async () => {
    const { open, clock } = setUp({ limits: { stuckMs: 5_000 }, run: async () => ({ kind: 'result', text: `"${'x'.repeat(600)}"` }) });
    const [stuck, slow] = [await open(), await open()];
    for (const { transport, session } of [stuck, slow]) {
      transport.slow = true;
      const ended = deferred<void>();
      session.start('q', request(), ended.resolve);
      await ended.promise;
    }
    clock.advance(3_000);
    slow.transport.slow = false;
    slow.transport.drain();
    clock.advance(3_000);
    expect([stuck.transport.closed[0]?.label, slow.transport.closed[0]?.label]).toEqual(['too_slow', undefined]);
  });

  it('revocation ends exactly the sessions that it names', async () => {
    let user = 0;
    const { host, open } = setUp();
    const first = await open();
    expect(host.revoke(() => ((user += 1), false))).toBe(0);
    expect(user).toBe(1);
    expect(host.revoke((identity) => identity.kind === 'user' && identity.user === 'ann')).toBe(1);
    expect(first.transport.closed.map(({ label }) => label)).toEqual(['revoked']);
  });

  it('a drain refuses new sessions and spreads the closings over its window, each with a hint', async () => {
    const { host, open, clock } = setUp();
    const sessions = await Promise.all(Array.from({ length: 20 }, () => open()));
    let drained = false;
    const done = host.drain(1_000).then(() => (drained = true));
    expect(host.accepting()).toBe(false);
    expect(await code(() => open())).toBe('SESSIONS_EXHAUSTED');
    const closed = () => sessions.filter(({ transport }) => transport.closed.length > 0).length;
    expect(closed()).toBe(2);
    clock.advance(400);
    expect(closed()).toBe(10);
    expect(drained).toBe(false);
    clock.advance(600);
    await done;
    expect(closed()).toBe(20);
    const reasons = sessions.map(({ transport }) => transport.closed[0]?.reason);
    expect(new Set(reasons).size).toBeGreaterThan(10);
    expect(reasons.every((reason) => /^Going away, retry in \d+ ms$/.test(reason ?? ''))).toBe(true);
    expect(host.sessions).toBe(0);
  });
});
