import { describe, expect, test } from 'vitest';
import { type Millrace, devToken, pushSchema, startMillrace, temporaryFolder } from '../harness.ts';
import { DEALS_SDL, subscriptionsAre } from '../deals.ts';
import { ResumingClient } from '../resuming-client.ts';

/**
 * Fault: the process dies by kill -9 at any point between the answer to `POST /events` and the delivery.
 * Mechanism that prevents loss: the answer follows the fsync of the log; a record counts as settled only after its event is journalled in
 * its channel; a restart delivers unsettled records again, and the channel's duplicate check absorbs those that were journalled already.
 * Oracle: every accepted event reaches a client that resumes by cursor exactly once, in order per deal, across several deaths.
 */

/** Mulberry32, for repeatable moments of death. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Posts until it is told to stop; an event without an answer is posted again with its id after the restart. */
async function publishUntil(
  millrace: Millrace,
  token: string,
  state: { n: number; accepted: Set<string> },
  stopped: () => boolean,
): Promise<void> {
  while (!stopped()) {
    const batch = Array.from({ length: 1 + (state.n % 4) }, (_, i) => ({
      event_id: `e${state.n + i}`,
      n: state.n + i,
      company_id: 'acme',
      id: `deal-${(state.n + i) % 5}`,
      title: 't',
    }));
    try {
      const response = await fetch(`${millrace.addresses.events}?topic=crm.deals`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        body: JSON.stringify(batch),
        signal: AbortSignal.timeout(10_000),
      });
      if (response.status !== 202) throw new Error(`answered ${response.status}`);
      await response.json();
    } catch {
      return; // unanswered: the same batch is posted again to the next process
    }
    for (const event of batch) state.accepted.add(event.event_id);
    state.n += batch.length;
  }
}

async function run(seed: number, deaths: number): Promise<void> {
  const folder = temporaryFolder();
  const chance = random(seed);
  const token = await devToken('acme', 'anna');
  const client = new ResumingClient();
  const state = { n: 0, accepted: new Set<string>() };
  let millrace = await startMillrace({ data: folder.path });
  try {
    expect((await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: DEALS_SDL })).status).toBe(200);
    await subscriptionsAre(millrace, 1, () => client.connect(millrace, token));
    // A cursor comes with the first event.
    let primed = false;
    const prime = publishUntil(millrace, token, state, () => primed);
    await client.until(() => client.events.length > 0, 'first event');
    primed = true;
    await prime;
    for (let death = 0; death < deaths; death += 1) {
      let stop = false;
      const publishing = publishUntil(millrace, token, state, () => stop);
      const target = state.accepted.size + Math.floor(chance() * 40);
      while (state.accepted.size < target) await new Promise((resolve) => setImmediate(resolve));
      await millrace.kill();
      stop = true;
      await publishing;
      client.disconnect();
      millrace = await startMillrace({ data: folder.path });
      if (chance() < 0.5) client.connect(millrace, token);
      let again = false;
      const before = state.accepted.size;
      const more = publishUntil(millrace, token, state, () => again);
      while (state.accepted.size <= before + 5) await new Promise((resolve) => setImmediate(resolve));
      again = true;
      await more;
      client.disconnect();
      client.connect(millrace, token);
    }
    const wanted = state.accepted;
    await client.until(
      () => new Set(client.events.map((e) => e.raw?.event_id)).size >= wanted.size,
      `seed ${seed}: ${wanted.size} accepted events`,
    );
    verify(client, wanted, seed);
  } finally {
    client.disconnect();
    await millrace.kill();
    folder.remove();
  }
}

function verify(client: ResumingClient, accepted: ReadonlySet<string>, seed: number): void {
  expect(client.errors, `seed ${seed}`).toEqual([]);
  expect(
    client.events.filter((e) => e.action === 'GAP'),
    `seed ${seed}: no gap, the history was long enough`,
  ).toEqual([]);
  const ids = client.events.map((e) => e.raw.event_id);
  // Events whose answer was cut off by the death may have become durable as well; they were posted again under their id.
  expect(
    [...accepted].filter((id) => !ids.includes(id)),
    `seed ${seed}: lost`,
  ).toEqual([]);
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  expect(
    [...counts].filter(([, n]) => n > 1),
    `seed ${seed}: delivered more than once`,
  ).toEqual([]);
  for (const [deal, events] of Object.entries(Object.groupBy(client.events, (e) => e.id))) {
    const order = (events ?? []).map((e) => e.raw.n);
    expect(order, `seed ${seed}: order of ${deal}`).toEqual([...order].sort((a, b) => a - b));
  }
}

describe('kill -9 between the answer and the delivery', () => {
  const seeds = (process.env['KILL_SEEDS'] ?? '1,2,3,4,5,6').split(',').map(Number);
  test.each(seeds)('seed %i: every accepted event arrives exactly once', (seed) => run(seed, 3), 120_000);
});
