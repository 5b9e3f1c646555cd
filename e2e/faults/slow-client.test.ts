import { type Socket, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { DEALS_SDL, metric, post, subscriptionsAre } from '../deals.ts';
import { Inbox, type Millrace, devToken, pushSchema, startMillrace, temporaryFolder, wsClient } from '../harness.ts';

/**
 * Fault: a client that stops reading (a tab in the background, a phone in a tunnel) while events go on.
 * What must hold: the server's memory for it is bounded, others are not held up, and when it reads again it gets every event once and in
 * order, from the channel's history; where the history is gone it gets an explicit GAP and what is left.
 */

type Event = { readonly action: string; readonly missed: number | null; readonly raw: { readonly n: number } | null };

describe('a client that stops reading', () => {
  const folder = temporaryFolder();
  let millrace: Millrace;
  let token: string;
  let published = 0;
  const quick = new Inbox<Event>();

  beforeAll(async () => {
    millrace = await startMillrace({
      data: folder.path,
      env: { MILLRACE_CHANNELS_HISTORY_COUNT: '6000', MILLRACE_CHANNELS_HISTORY_BYTES: '64MiB', MILLRACE_LIVE_MAX_BUFFERED_BYTES: '64KiB' },
    });
    token = await devToken('acme', 'anna');
    expect((await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: DEALS_SDL })).status).toBe(200);
    const client = wsClient(millrace.addresses, token);
    await subscriptionsAre(millrace, 1, () => {
      client.subscribe<{ dealEvent: Event }>(
        { query: 'subscription { dealEvent { action missed raw } }' },
        { next: (r) => quick.push(r.data!.dealEvent), error: () => {}, complete: () => {} },
      );
    });
  });

  afterAll(async () => {
    await millrace?.stop();
    folder.remove();
  });

  /** A client whose socket is in the test's hands. */
  async function slowClient(): Promise<{ socket: Socket; inbox: Inbox<Event>; end(): void }> {
    const { hostname, port } = new URL(millrace.addresses.ws);
    const inbox = new Inbox<Event>();
    let socket!: Socket;
    const ws = new WebSocket(millrace.addresses.ws, 'graphql-transport-ws', {
      createConnection: () => (socket = connect(Number(port), hostname)),
    });
    ws.on('open', () => ws.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })));
    ws.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; payload: { data: { dealEvent: Event } } };
      if (message.type === 'connection_ack')
        ws.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: 'subscription { dealEvent { action missed raw } }' } }));
      if (message.type === 'next') inbox.push(message.payload.data.dealEvent);
    });
    await subscriptionsAre(millrace, 1, () => undefined);
    return { socket, inbox, end: () => ws.terminate() };
  }

  async function publish(count: number, padding: number): Promise<void> {
    for (let sent = 0; sent < count; sent += 100) {
      const batch = Array.from({ length: Math.min(100, count - sent) }, () => {
        published += 1;
        return { event_id: `n${published}`, n: published, id: 'deal', company_id: 'acme', title: 't', padding: 'x'.repeat(padding) };
      });
      expect((await post(millrace, token, 'crm.deals', batch)).status).toBe(202);
    }
    await quick.until((items) => items.length === published);
  }

  const numbers = (events: readonly Event[]): readonly (number | undefined)[] => events.map((e) => e.raw?.n);

  test('catches up from history when it reads again: every event, once, in order; nobody else waits', async () => {
    const slow = await slowClient();
    await publish(10, 10);
    await slow.inbox.until((items) => items.length === 10);
    slow.socket.pause();
    await publish(5_000, 1_000);
    expect(await metric(millrace, 'millrace_live_behind')).toBe(1);
    slow.socket.resume();
    await slow.inbox.until((items) => items.at(-1)?.raw?.n === published, 30_000);
    expect(slow.inbox.items.filter((e) => e.action === 'GAP')).toEqual([]);
    expect(numbers(slow.inbox.items)).toEqual(Array.from({ length: 5_010 }, (_, i) => i + 1));
    expect(await metric(millrace, 'millrace_live_gaps_total')).toBe(0);
    await subscriptionsAre(millrace, -1, () => slow.end());
  }, 90_000);

  test('gets an explicit gap with the number of what is lost where it slept longer than the history is', async () => {
    const before = published;
    const slow = await slowClient();
    await publish(5, 10);
    await slow.inbox.until((items) => items.length === 5);
    slow.socket.pause();
    await publish(9_000, 1_500);
    slow.socket.resume();
    await slow.inbox.until((items) => items.at(-1)?.raw?.n === published, 30_000);
    const gaps = slow.inbox.items.filter((e) => e.action === 'GAP');
    expect(gaps.length).toBe(1);
    const missed = gaps[0]!.missed!;
    expect(missed).toBeGreaterThan(0);
    const received = numbers(slow.inbox.items.filter((e) => e.action !== 'GAP')) as number[];
    const all = Array.from({ length: published - before }, (_, i) => before + 1 + i);
    const lost = all.filter((n) => !received.includes(n));
    expect(received, 'in order, each once').toEqual(all.filter((n) => !lost.includes(n)));
    expect(lost.length, 'exactly as many as the gap says').toBe(missed);
    await subscriptionsAre(millrace, -1, () => slow.end());
  }, 90_000);
});
