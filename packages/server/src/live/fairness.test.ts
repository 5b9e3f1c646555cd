import { expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { createLiveEngine } from './live-engine.ts';
import { Outbox } from './outbox.ts';
import { FakeGenerations, fakeOperation, FakeTransport, liveEvent, SimChannels, testCursors, until, userIdentity } from './testing.ts';

function setUp(limits: Record<string, number>) {
  const channels = new SimChannels();
  const generations = new FakeGenerations();
  const metrics = new Metrics();
  const turns: (() => void)[] = [];
  const engine = createLiveEngine({
    channels,
    generations,
    cursors: testCursors,
    clock: new ManualClock(),
    metrics,
    log: silentLogger,
    limits,
    defer: (run) => turns.push(run),
  });
  const operation = fakeOperation();
  const resume = (tenant: string, user: string) => {
    const transport = new FakeTransport();
    const variables = { after: testCursors.sign({ tenant, type: 'Deal' }, { epoch: 'epoch-1', offset: 0 }) };
    engine.subscribe({
      operation,
      plan: operation.subscription,
      variables,
      rawVariables: variables,
      lease: generations.lease(),
      identity: userIdentity(tenant, user),
      outbox: new Outbox(transport, 1_000_000),
      operationId: '1',
      lastCursor: null,
      owner: { subscriptionEnded: () => {} },
    });
    return transport;
  };
  const turn = async (): Promise<void> => {
    for (const run of turns.splice(0)) run();
    // What one turn has started is done when the promises of the store have settled.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { channels, engine, metrics, resume, turn };
}

it('D13: a tenant with many behind delays another by one page, not by its backlog', async () => {
  const { channels, engine, resume, turn } = setUp({ catchUpPage: 1, catchUpBudget: 2, catchUpConcurrency: 2 });
  for (let at = 0; at < 10; at += 1) channels.emit(liveEvent({ tenant: 'big' }));
  for (let at = 0; at < 4; at += 1) channels.emit(liveEvent({ tenant: 'small' }));
  const big = Array.from({ length: 20 }, (_, at) => resume('big', `u${at}`));
  await until(() => engine.figures.behind === 20);
  const small = resume('small', 'ann');
  await until(() => engine.figures.behind === 21);
  const received = (): number => big.reduce((sum, transport) => sum + transport.frames.length, 0);
  for (let at = 1; at <= 4; at += 1) {
    await turn();
    expect(small.frames.length).toBe(at);
    expect(received()).toBe(at);
  }
});

it('shares the work of members that catch up side by side', async () => {
  const { channels, engine, metrics, resume, turn } = setUp({});
  for (let at = 0; at < 10; at += 1) channels.emit(liveEvent());
  const transports = Array.from({ length: 50 }, (_, at) => resume('acme', `u${at}`));
  await until(() => engine.figures.behind === 50);
  for (let at = 0; engine.figures.behind > 0 && at < 100; at += 1) await turn();
  expect(transports.map((transport) => transport.frames.length)).toEqual(transports.map(() => 10));
  const text = await metrics.text();
  expect(text).toContain('millrace_live_executions_total 10');
  expect(text).toContain('millrace_live_delivered_total 500');
  expect(text).toContain('millrace_live_caught_up_total 50');
  expect(text).toContain('millrace_live_sharing_factor 50');
  expect(text).toContain('millrace_live_behind 0');
});

it('counts what was sent, and what sending everything to everybody would have cost', async () => {
  const { channels, engine, metrics, resume } = setUp({});
  for (let at = 0; at < 100; at += 1) engine.sessions.add('acme');
  const transport = resume('acme', 'ann');
  await until(() => channels.attached === 1);
  await Promise.resolve();
  channels.emit(liveEvent({ bytes: 1_000 }));
  expect(transport.frames.length).toBe(1);
  const sent = transport.frames[0]?.length ?? 0;
  const text = await metrics.text();
  expect(text).toContain(`millrace_live_bytes_sent_total ${sent}`);
  expect(text).toContain(`millrace_live_bytes_saved ${100_000 - sent}`);
  expect(text).toContain('millrace_live_publish_to_delivery_seconds_count 1');
});
