import { GraphQLError } from 'graphql';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import type { Json } from '../kit/json.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import type { PreparedOperation } from '../supergraph/generation.ts';
import { createLiveEngine, type LiveEngineOptions } from './live-engine.ts';
import type { LivePlan } from './group.ts';
import { LIVE_LIMITS } from './options.ts';
import { Outbox } from './outbox.ts';
import {
  DOCUMENT,
  dealType,
  FakeGenerations,
  fakeOperation,
  FakeTransport,
  liveEvent,
  SimChannels,
  testCursors,
  until,
  userIdentity,
} from './testing.ts';

type Operation = PreparedOperation & { readonly subscription: LivePlan };

function setUp(operations: readonly Operation[] = [fakeOperation()], over: Partial<LiveEngineOptions> = {}) {
  const channels = new SimChannels();
  const generations = new FakeGenerations(operations);
  const clock = new ManualClock();
  const metrics = new Metrics();
  const engine = createLiveEngine({ channels, generations, cursors: testCursors, clock, metrics, log: silentLogger, ...over });
  const bound = { ...LIVE_LIMITS, ...over.limits }.outboxBytes;
  const connect = () => {
    const transport = new FakeTransport();
    return { transport, outbox: new Outbox(transport, bound) };
  };
  const subscribe = (
    to: { outbox: Outbox },
    {
      identity = userIdentity('acme', 'ann'),
      variables = {},
      id = '1',
      operation = operations[0],
      lastCursor = null as string | null,
      onEnd = () => {},
    } = {},
  ) => {
    if (!operation) throw new Error('no operation');
    return engine.subscribe({
      operation,
      plan: operation.subscription,
      variables,
      rawVariables: variables,
      lease: generations.lease(),
      identity,
      outbox: to.outbox,
      operationId: id,
      lastCursor,
      owner: { subscriptionEnded: onEnd },
    });
  };
  return { channels, generations, clock, metrics, engine, connect, subscribe };
}

const ids = (transport: FakeTransport, id?: string): (string | null)[] => transport.delivered(id).map((one) => one.id);

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof MillraceError) return error.code;
    throw error;
  }
  return 'none';
}

describe('a subscription', () => {
  it('gets what is published after it was attached, in the turn of the publication', async () => {
    const { channels, connect, subscribe } = setUp();
    channels.emit(liveEvent({ key: 'before' }));
    const a = connect();
    subscribe(a);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent({ key: 'd2' }));
    expect(ids(a.transport)).toEqual(['d2']);
    expect(a.transport.messages()[0]?.next?.extensions.cursor).toBe(a.transport.delivered()[0]?.cursor);
  });

  it('gets what is published between the attachment and the start of its members', async () => {
    const { channels, connect, subscribe, engine } = setUp();
    const a = connect();
    subscribe(a);
    // The store has attached the listener and answers in the next microtask; the event comes before.
    channels.hold = () => Promise.resolve();
    while (channels.attached === 0) await Promise.resolve();
    channels.emit(liveEvent({ key: 'early' }));
    await until(() => engine.figures.behind === 0 && a.transport.frames.length > 0);
    expect(ids(a.transport)).toEqual(['early']);
  });

  it('D4: takes the channel of its identity and no other', async () => {
    const { channels, connect, subscribe } = setUp();
    const [a, b] = [connect(), connect()];
    subscribe(a, { identity: userIdentity('acme', 'ann'), variables: { tenant: 'other' } });
    subscribe(b, { identity: userIdentity('other', 'ann') });
    await until(() => channels.attached === 2);
    channels.emit(liveEvent({ tenant: 'other', key: 'x' }));
    expect(ids(a.transport)).toEqual([]);
    expect(ids(b.transport)).toEqual(['x']);
  });

  it('refuses who has no tenant, and anonymous sessions where the type is not public', () => {
    const { connect, subscribe, generations } = setUp();
    const a = connect();
    expect(refusal(() => subscribe(a, { identity: { kind: 'anonymous', tenant: null } }))).toBe('UNAUTHENTICATED');
    expect(refusal(() => subscribe(a, { identity: { kind: 'anonymous', tenant: 'acme' } }))).toBe('UNAUTHENTICATED');
    expect(generations.leases).toBe(0);
  });

  it('D5: an anonymous session of a public type gets public events only, beside signed-in members of the same document', async () => {
    const { channels, connect, subscribe } = setUp([fakeOperation({ type: dealType({ visibility: 'PUBLIC' }) })]);
    const [anonymous, user] = [connect(), connect()];
    subscribe(anonymous, { identity: { kind: 'anonymous', tenant: 'acme' } });
    subscribe(user);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent({ key: 'p', audience: { kind: 'public' } }));
    channels.emit(liveEvent({ key: 't', audience: { kind: 'tenant' } }));
    channels.emit(liveEvent({ key: 'm', audience: { kind: 'members', users: ['ann'], groups: ['g'] } }));
    expect(ids(anonymous.transport)).toEqual(['p']);
    expect(ids(user.transport)).toEqual(['p', 't', 'm']);
  });

  it('D5: members-only events reach named users and groups, and nobody where both are empty', async () => {
    const { channels, connect, subscribe } = setUp();
    const [ann, bob] = [connect(), connect()];
    subscribe(ann);
    subscribe(bob, { identity: userIdentity('acme', 'bob', { groups: ['sales'] }) });
    await until(() => channels.attached === 1);
    await Promise.resolve();
    const only = (key: string, users: string[], groups: string[]) =>
      channels.emit(liveEvent({ key, audience: { kind: 'members', users, groups } }));
    only('a', ['ann', 'ann'], []);
    only('b', [], ['sales', 'x']);
    only('none', [], []);
    only('both', ['ann', 'bob'], ['sales']);
    only('strange', ['__proto__', 'constructor'], []);
    expect(ids(ann.transport)).toEqual(['a', 'both']);
    expect(ids(bob.transport)).toEqual(['b', 'both']);
  });

  it('ends with CHANNEL_UNAVAILABLE where the channel cannot be attached to', async () => {
    const { channels, connect, subscribe, engine, generations } = setUp();
    channels.failSubscribe = new Error('away');
    const a = connect();
    let ended = 0;
    subscribe(a, { onEnd: () => (ended += 1) });
    await until(() => ended === 1);
    expect(a.transport.messages()[0]?.errors?.[0]?.extensions.code).toBe('CHANNEL_UNAVAILABLE');
    expect(engine.figures).toEqual({ subscriptions: 0, groups: 0, feeds: 0, behind: 0 });
    expect(generations.leases).toBe(0);
  });

  it('S1, S5: is silent after stop, and calls onEnd for nobody who stopped it', async () => {
    const { channels, connect, subscribe, engine, generations } = setUp();
    const a = connect();
    let ended = 0;
    const subscription = subscribe(a, { onEnd: () => (ended += 1) });
    await until(() => channels.attached === 1);
    subscription.stop();
    subscription.stop();
    channels.emit(liveEvent());
    expect(a.transport.frames).toEqual([]);
    expect(ended).toBe(0);
    expect(channels.attached).toBe(0);
    expect(engine.figures).toEqual({ subscriptions: 0, groups: 0, feeds: 0, behind: 0 });
    expect(generations.leases).toBe(0);
  });
});

describe('sharing', () => {
  it('one group, one execution and the same bytes for all that want the same', async () => {
    const operation = fakeOperation();
    let completions = 0;
    const plan = {
      ...operation.subscription,
      complete: (...args: Parameters<LivePlan['complete']>) => ((completions += 1), operation.subscription.complete(...args)),
    };
    const { channels, connect, subscribe, engine } = setUp([{ ...operation, subscription: plan }]);
    const connections = Array.from({ length: 50 }, connect);
    for (const [index, one] of connections.entries())
      subscribe(one, { identity: userIdentity('acme', `u${index}`), variables: { after: null, filter: null } });
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent());
    expect(engine.figures).toMatchObject({ subscriptions: 50, groups: 1, feeds: 1 });
    expect(completions).toBe(1);
    expect(new Set(connections.map(({ transport }) => transport.frames[0])).size).toBe(1);
  });

  it('cursors do not part groups, other variables and views do', async () => {
    const { connect, subscribe, engine, channels } = setUp();
    const position = channels.emit(liveEvent());
    const cursor = testCursors.sign({ tenant: 'acme', type: 'Deal' }, position);
    const a = connect();
    subscribe(a, { id: '1', variables: { after: cursor } });
    subscribe(a, { id: '2', variables: {} });
    expect(engine.figures.groups).toBe(1);
    subscribe(a, { id: '3', variables: { ids: ['d1'] } });
    expect(engine.figures.groups).toBe(2);
  });

  it('D15: enrichment of two users is never shared unless the configuration says tenant', async () => {
    const operation = fakeOperation({ enrich: async (_source, call) => call.headers['authorization'] ?? 'nobody' });
    for (const [mode, groups] of [
      ['user', 2],
      ['roles', 1],
      ['tenant', 1],
    ] as const) {
      const { channels, connect, subscribe, engine } = setUp([operation], { enrichmentIdentity: mode });
      const [ann, bob] = [connect(), connect()];
      subscribe(ann);
      subscribe(bob, { identity: userIdentity('acme', 'bob') });
      await until(() => channels.attached === 1);
      await Promise.resolve();
      expect(engine.figures.groups).toBe(groups);
      channels.emit(liveEvent());
      await until(() => ann.transport.frames.length === 1 && bob.transport.frames.length === 1);
      const seen = [ann, bob].map(({ transport }) => transport.delivered()[0]?.enriched);
      expect(seen).toEqual(mode === 'user' ? ['Bearer token-ann', 'Bearer token-bob'] : ['nobody', 'nobody']);
    }
  });

  it('D14: nothing is executed for an event that no member may see', async () => {
    let asked = 0;
    const { channels, connect, subscribe } = setUp([fakeOperation({ enrich: async () => `${(asked += 1)}` })]);
    const a = connect();
    subscribe(a);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent({ audience: { kind: 'members', users: ['bob'], groups: [] } }));
    channels.emit(liveEvent({ audience: { kind: 'members', users: [], groups: ['g'] } }));
    channels.emit(liveEvent({ key: 'mine', audience: { kind: 'members', users: ['ann'], groups: [] } }));
    await until(() => a.transport.frames.length === 1);
    expect(asked).toBe(1);
    expect(ids(a.transport)).toEqual(['mine']);
  });
});

describe('enrichment', () => {
  function withGates(limits: Partial<typeof LIVE_LIMITS> = {}) {
    const gates = new Map<string, (text: string) => void>();
    const operation = fakeOperation({ enrich: (source) => new Promise((resolve) => gates.set(source.id ?? '', resolve)) });
    return { gates, ...setUp([operation], { limits }) };
  }

  it('D6: keeps the order however the answers come', async () => {
    const { gates, channels, connect, subscribe } = withGates();
    const a = connect();
    subscribe(a);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    for (const key of ['a', 'b', 'c']) channels.emit(liveEvent({ key }));
    for (const key of ['c', 'b', 'a']) gates.get(key)?.(key);
    await until(() => a.transport.frames.length === 3);
    expect(ids(a.transport)).toEqual(['a', 'b', 'c']);
  });

  it('a full queue sends the members behind, and they get everything once and in order', async () => {
    const { gates, channels, connect, subscribe, engine, metrics } = withGates({ enrichmentInFlight: 2 });
    const a = connect();
    subscribe(a);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    const keys = ['a', 'b', 'c', 'd', 'e'];
    for (const key of keys) channels.emit(liveEvent({ key }));
    expect(gates.size).toBe(2);
    for (const key of keys) {
      await until(() => gates.has(key), `the request for ${key}`);
      gates.get(key)?.(key);
    }
    await until(() => a.transport.frames.length === 5 && engine.figures.behind === 0);
    expect(ids(a.transport)).toEqual(keys);
    expect(await metrics.text()).toContain('millrace_live_enrichment_overflows_total 1\n');
  });

  it('D6: one that rejects against its contract still delivers, with an error', async () => {
    const operation = fakeOperation({ enrich: () => Promise.reject(new Error('fault')) });
    const { channels, connect, subscribe } = setUp([operation]);
    const a = connect();
    subscribe(a);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent());
    await until(() => a.transport.frames.length === 1);
    expect(a.transport.messages()[0]?.next).toMatchObject({
      data: { dealEvent: { id: 'd1', enriched: null } },
      errors: [{ extensions: { code: 'INTERNAL' } }],
    });
  });

  it('is aborted when the last member leaves', async () => {
    const signals: (AbortSignal | null)[] = [];
    const operation = fakeOperation({ enrich: (_source, call) => (signals.push(call.signal), new Promise(() => {})) });
    const { channels, connect, subscribe, generations } = setUp([operation]);
    const a = connect();
    const subscription = subscribe(a);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent());
    subscription.stop();
    expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
    expect(generations.leases).toBe(0);
  });
});

describe('cursors and gaps', () => {
  const channel = { tenant: 'acme', type: 'Deal' };

  it('D2, D3: resumes after the cursor, by argument and by Last-Event-ID', async () => {
    const { channels, connect, subscribe, engine } = setUp();
    const positions = ['a', 'b', 'c'].map((key) => channels.emit(liveEvent({ key })));
    const first = positions[0];
    if (!first) throw new Error('nothing was published');
    const cursor = testCursors.sign(channel, first);
    const [a, b] = [connect(), connect()];
    subscribe(a, { variables: { after: cursor } });
    subscribe(b, { lastCursor: cursor });
    await until(() => a.transport.frames.length === 2 && b.transport.frames.length === 2 && engine.figures.behind === 0);
    channels.emit(liveEvent({ key: 'd' }));
    expect(ids(a.transport)).toEqual(['b', 'c', 'd']);
    expect(ids(b.transport)).toEqual(['b', 'c', 'd']);
  });

  it('D7, D8: refuses a forged and a foreign cursor on the operation', () => {
    const { connect, subscribe, engine, generations } = setUp();
    const a = connect();
    const foreign = testCursors.sign({ tenant: 'other', type: 'Deal' }, { epoch: 'e', offset: 1 });
    expect(refusal(() => subscribe(a, { variables: { after: 'forged' } }))).toBe('CURSOR_INVALID');
    expect(refusal(() => subscribe(a, { variables: { after: foreign } }))).toBe('CURSOR_FOREIGN');
    expect(refusal(() => subscribe(a, { variables: { filter: { nothing: { eq: 1 } } } }))).toBe('FILTER_INVALID');
    expect(engine.figures).toEqual({ subscriptions: 0, groups: 0, feeds: 0, behind: 0 });
    expect(generations.leases).toBe(0);
  });

  it('D10: tells what history has lost once, then what is left, then live', async () => {
    const { channels, connect, subscribe, engine } = setUp();
    const first = channels.emit(liveEvent({ key: 'a' }));
    for (const key of ['b', 'c', 'd']) channels.emit(liveEvent({ key }));
    channels.evict(channel, 1);
    const a = connect();
    subscribe(a, { variables: { after: testCursors.sign(channel, first), ids: ['d', 'e'] } });
    await until(() => a.transport.frames.length === 2 && engine.figures.behind === 0);
    channels.emit(liveEvent({ key: 'e' }));
    expect(a.transport.delivered().map(({ action, id, missed }) => [action, id, missed])).toEqual([
      ['GAP', null, 2],
      ['CHANGED', 'd', null],
      ['CHANGED', 'e', null],
    ]);
    const resumed = testCursors.verify(a.transport.delivered()[0]?.cursor ?? '', channel);
    expect(resumed.offset).toBe(3);
  });

  it('D11: a change of epoch is one GAP to who is live and to who comes with an old cursor', async () => {
    const { channels, connect, subscribe } = setUp();
    const old = channels.emit(liveEvent({ key: 'a' }));
    const [a, b] = [connect(), connect()];
    subscribe(a);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent({ key: 'b' }));
    channels.newEpoch(channel, 'epoch-2');
    channels.emit(liveEvent({ key: 'c' }));
    subscribe(b, { variables: { after: testCursors.sign(channel, old) } });
    await until(() => b.transport.frames.length === 2);
    expect(a.transport.delivered().map(({ action, id }) => [action, id])).toEqual([
      ['CHANGED', 'b'],
      ['GAP', null],
      ['CHANGED', 'c'],
    ]);
    expect(b.transport.delivered().map(({ action, id }) => [action, id])).toEqual([
      ['GAP', null],
      ['CHANGED', 'c'],
    ]);
  });

  it('reads on when the store comes back', async () => {
    const { channels, connect, subscribe, clock, metrics } = setUp();
    const first = channels.emit(liveEvent({ key: 'a' }));
    channels.emit(liveEvent({ key: 'b' }));
    channels.failHistory = 1;
    const a = connect();
    subscribe(a, { variables: { after: testCursors.sign(channel, first) } });
    await until(() => channels.failHistory === 0);
    await until(() => metrics.registry.getSingleMetric('millrace_live_catch_up_retries_total') !== undefined);
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(LIVE_LIMITS.catchUpRetryMs);
    await until(() => a.transport.frames.length === 1);
    expect(ids(a.transport)).toEqual(['b']);
  });
});

describe('feeds', () => {
  it('one attachment for all groups of a channel, closed by the last to leave, opened again by the next', async () => {
    const { channels, connect, subscribe } = setUp();
    const a = connect();
    const first = subscribe(a, { id: '1' });
    const second = subscribe(a, { id: '2', variables: { ids: ['x'] } });
    await until(() => channels.attached === 1);
    first.stop();
    expect(channels.attached).toBe(1);
    second.stop();
    expect(channels.attached).toBe(0);
    subscribe(a, { id: '3' });
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent({ key: 'z' }));
    expect(ids(a.transport)).toEqual(['z']);
  });

  it('leaving while the channel is being attached closes it; somebody who joined meanwhile keeps it', async () => {
    const { channels, connect, subscribe } = setUp();
    const releases: (() => void)[] = [];
    channels.hold = () => new Promise((resolve) => releases.push(resolve));
    const a = connect();
    subscribe(a, { id: '1' }).stop();
    releases.splice(0).forEach((release) => release());
    await until(() => channels.listeners.size > 0);
    await Promise.resolve();
    expect(channels.attached).toBe(0);

    subscribe(a, { id: '2' }).stop();
    subscribe(a, { id: '3' });
    releases.splice(0).forEach((release) => release());
    await until(() => channels.attached > 0);
    await Promise.resolve();
    channels.emit(liveEvent({ key: 'kept' }));
    expect(ids(a.transport, '3')).toEqual(['kept']);
    expect(ids(a.transport, '2')).toEqual([]);
    expect([...channels.listeners.values()].map((set) => set.size)).toEqual([1]);
  });

  it('a member that ends while an event is being written to it disturbs nobody', async () => {
    const { channels, connect, subscribe, engine } = setUp();
    const connections = Array.from({ length: 5 }, connect);
    const subscriptions = connections.map((one) => subscribe(one));
    await until(() => channels.attached === 1);
    await Promise.resolve();
    const [first, , third] = connections;
    if (!first || !third) throw new Error('unreachable');
    first.transport.onWrite = () => [0, 3].forEach((at) => subscriptions[at]?.stop());
    third.transport.onWrite = () => [1, 2].forEach((at) => subscriptions[at]?.stop());
    channels.emit(liveEvent({ key: 'a' }));
    expect(connections.map(({ transport }) => transport.frames.length)).toEqual([1, 1, 1, 0, 1]);
    channels.emit(liveEvent({ key: 'b' }));
    expect(connections.map(({ transport }) => transport.frames.length)).toEqual([1, 1, 1, 0, 2]);
    expect(engine.figures.subscriptions).toBe(1);
  });
});

describe('a new generation', () => {
  it('takes the groups over without loss, ends those that broke, and gives every lease back', async () => {
    const other = `${DOCUMENT} # other`.replace(' # other', '').replace('missed', 'missed at');
    const broken = fakeOperation({ document: other });
    const { channels, connect, subscribe, generations, engine } = setUp([fakeOperation(), broken]);
    const [a, b] = [connect(), connect()];
    let ended = 0;
    subscribe(a);
    subscribe(b, { operation: broken, onEnd: () => (ended += 1) });
    await until(() => channels.attached === 1);
    await Promise.resolve();
    channels.emit(liveEvent({ key: 'a' }));
    generations.swap([fakeOperation()]);
    channels.emit(liveEvent({ key: 'b' }));
    await until(() => ended === 1);
    channels.emit(liveEvent({ key: 'c' }));
    await until(() => engine.figures.behind === 0);
    expect(ids(a.transport)).toEqual(['a', 'b', 'c']);
    expect(b.transport.messages().at(-1)?.errors?.[0]?.extensions.code).toBe('SUBSCRIPTION_BROKEN_BY_SCHEMA');
    expect(engine.figures).toEqual({ subscriptions: 1, groups: 1, feeds: 1, behind: 0 });
    expect(generations.leases).toBe(1);
  });

  it('waits for a planner that is away: a crash during a push ended every subscription as broken by the schema, for ever', async () => {
    const { channels, connect, subscribe, generations, engine, clock } = setUp();
    const a = connect();
    let ended = 0;
    subscribe(a, { onEnd: () => (ended += 1) });
    await until(() => channels.attached === 1);
    await Promise.resolve();
    const away = new GraphQLError('the query planner is restarting', { extensions: { code: 'PLANNER_UNAVAILABLE' } });
    let asked = 0;
    generations.swap([fakeOperation()], (prepare) => (request) => {
      asked += 1;
      return asked === 1 ? Promise.resolve({ kind: 'invalid', phase: 'plan', errors: [away] }) : prepare(request);
    });
    await until(() => asked === 1);
    channels.emit(liveEvent({ key: 'a' }));
    await Promise.resolve();
    clock.advance(500);
    await until(() => asked === 2 && engine.figures.behind === 0);
    channels.emit(liveEvent({ key: 'b' }));
    await until(() => a.transport.frames.length === 2);
    expect([ids(a.transport), ended, generations.leases]).toEqual([['a', 'b'], 0, 1]);
  });

  it('parts users whose selection asks a subgraph now', async () => {
    const { channels, connect, subscribe, generations, engine } = setUp();
    const [ann, bob] = [connect(), connect()];
    subscribe(ann);
    subscribe(bob, { identity: userIdentity('acme', 'bob') });
    await until(() => channels.attached === 1);
    await Promise.resolve();
    expect(engine.figures.groups).toBe(1);
    generations.swap([fakeOperation({ enrich: async (_source, call) => call.headers['authorization'] ?? '' })]);
    await until(() => engine.figures.groups === 2);
    channels.emit(liveEvent());
    await until(() => ann.transport.frames.length + bob.transport.frames.length === 2);
    expect([ann, bob].map(({ transport }) => transport.delivered()[0]?.enriched)).toEqual(['Bearer token-ann', 'Bearer token-bob']);
  });

  it('loses nothing of what was being enriched', async () => {
    const gates: ((text: string) => void)[] = [];
    const slow = fakeOperation({ enrich: () => new Promise((resolve) => gates.push(resolve)) });
    const { channels, connect, subscribe, generations, engine } = setUp([slow]);
    const a = connect();
    subscribe(a);
    await until(() => channels.attached === 1);
    await Promise.resolve();
    for (const key of ['a', 'b', 'c']) channels.emit(liveEvent({ key }));
    gates[0]?.('old');
    await until(() => a.transport.frames.length === 1);
    generations.swap([fakeOperation({ enrich: async () => 'new' })]);
    await until(() => a.transport.frames.length === 3 && engine.figures.behind === 0);
    gates.forEach((open) => open('late'));
    channels.emit(liveEvent({ key: 'd' }));
    await until(() => a.transport.frames.length === 4);
    expect(a.transport.delivered().map(({ id, enriched }) => [id, enriched] as Json)).toEqual([
      ['a', 'old'],
      ['b', 'new'],
      ['c', 'new'],
      ['d', 'new'],
    ]);
  });
});
