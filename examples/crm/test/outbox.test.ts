import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DealStore, type NewDeal } from '../server/deal-store.ts';
import { OutboxPublisher } from '../server/outbox-publisher.ts';

const DEAL: NewDeal = {
  company_id: 'nordwind',
  title: 'Cold-chain pilot',
  account: 'Elbe Pharma',
  value: 10_000,
  currency: 'EUR',
  stage_id: 'proposal',
  owner_id: 'ines',
};

type Sent = { readonly event_id: string; readonly action: string; readonly id: string; readonly rev: number };
type Reply = { readonly status: number; readonly body?: unknown; readonly headers?: Record<string, string> };

let folder: string;
let store: DealStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crm-outbox-'));
  store = new DealStore(join(folder, 'deals.sqlite'));
});

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the publisher against `answer` until the outbox is empty. */
async function publishAll(
  answer: (batch: readonly Sent[], call: number) => Reply | Error,
): Promise<{ readonly batches: readonly (readonly Sent[])[]; readonly log: readonly string[] }> {
  const batches: Sent[][] = [];
  const log: string[] = [];
  const publisher = new OutboxPublisher({
    store,
    eventsUrl: 'http://millrace.test/events',
    token: 'secret',
    log: (line) => log.push(line),
    async fetch(_url, init) {
      const batch = JSON.parse(init?.body as string) as Sent[];
      batches.push(batch);
      const reply = answer(batch, batches.length);
      if (reply instanceof Error) throw reply;
      return new Response(JSON.stringify(reply.body ?? {}), { status: reply.status, headers: reply.headers ?? {} });
    },
  });
  const running = publisher.run();
  while (store.pendingCount() > 0) await new Promise((resolve) => setImmediate(resolve));
  publisher.stop();
  await running;
  return { batches, log };
}

const accepted = (batch: readonly Sent[]): Reply => ({
  status: 202,
  body: { events: batch.map(({ event_id }) => ({ id: event_id, status: 'accepted' })) },
});

test('a change and its event are one transaction, and the event tells what was before', () => {
  const deal = store.create(DEAL, 'ines');
  store.change('nordwind', deal.id, { stage_id: 'won' }, 'jonas');
  store.delete('nordwind', deal.id, 'jonas');
  const events = store.pending(10).map((row) => JSON.parse(row.body) as Record<string, unknown>);
  expect(events).toMatchObject([
    { action: 'added', company_id: 'nordwind', rev: 1, stage_id: 'proposal', before: null },
    { action: 'changed', rev: 2, stage_id: 'won', changed_by: 'jonas', before: { stage_id: 'proposal', rev: 1 } },
    { action: 'deleted', rev: 3, before: { stage_id: 'won', rev: 2 } },
  ]);
  expect(new Set(events.map((event) => event['event_id'])).size).toBe(3);
});

test('a deal of another company cannot be changed', () => {
  const deal = store.create(DEAL, 'ines', { silent: true });
  expect(store.change('harbor', deal.id, { value: 1 }, 'maya')).toBeNull();
  expect(store.delete('harbor', deal.id, 'maya')).toBeNull();
  expect(store.pendingCount()).toBe(0);
});

test('while Millrace is away events are kept, then sent in order, each once', async () => {
  const deal = store.create(DEAL, 'ines');
  for (let value = 1; value <= 3; value++) store.change('nordwind', deal.id, { value }, 'ines');
  const { batches, log } = await publishAll((batch, call) => {
    if (call === 1) return new TypeError('fetch failed');
    if (call === 2) return { status: 503, headers: { 'retry-after': '0' } };
    return accepted(batch);
  });
  expect(batches.at(-1)?.map(({ rev }) => rev)).toEqual([1, 2, 3, 4]);
  expect(store.pendingCount()).toBe(0);
  expect(log).toEqual([expect.stringContaining('keeping events'), 'Millrace is back']);
});

test('a topic that is not known yet holds the events back; nothing is lost', async () => {
  store.create(DEAL, 'ines');
  const { batches } = await publishAll((batch, call) =>
    call === 1
      ? {
          status: 422,
          body: { events: [{ id: batch[0]?.event_id, status: 'rejected', code: 'TOPIC_UNKNOWN', reason: 'known topics: none' }] },
        }
      : accepted(batch),
  );
  expect(batches.length).toBe(2);
  expect(batches[1]).toEqual(batches[0]);
});

test('an event that is refused is set aside and does not block those behind it', async () => {
  const [bad, good] = [store.create(DEAL, 'ines'), store.create(DEAL, 'ines')];
  const { batches, log } = await publishAll((batch) => ({
    status: 202,
    body: {
      events: batch.map(({ id }) =>
        id === bad.id ? { status: 'rejected', code: 'TENANT_MISSING', reason: 'no tenant' } : { status: 'accepted' },
      ),
    },
  }));
  expect(batches.length).toBe(1);
  expect(batches[0]?.map(({ id }) => id)).toEqual([bad.id, good.id]);
  expect(log).toEqual([expect.stringContaining('TENANT_MISSING')]);
});

test('a batch that is too large is halved', async () => {
  for (let i = 0; i < 8; i++) store.create(DEAL, 'ines');
  const { batches } = await publishAll((batch) => (batch.length > 3 ? { status: 413 } : accepted(batch)));
  expect(batches.map((batch) => batch.length)).toEqual([8, 4, 2, 6, 3, 3]);
});
