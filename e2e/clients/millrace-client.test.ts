import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createLiveClient, type LiveClient } from '../../packages/client/src/index.ts';
import { DEALS_SDL, publishDeal, subscriptionsAre } from '../deals.ts';
import { devToken, Inbox, type Millrace, pushSchema, startMillrace, temporaryFolder } from '../harness.ts';

type Data = { readonly dealEvent: { readonly action: string; readonly id: string | null } };

const QUERY = 'subscription Deals($after: Cursor) { dealEvent(after: $after) { action id missed } }';
const WITHOUT_CURSOR = 'subscription { dealEvent { action id missed } }';

const data = temporaryFolder();
let millrace: Millrace;
let token: string;

beforeAll(async () => {
  millrace = await startMillrace({ data: data.path });
  token = await devToken('acme', 'ada');
  const pushed = await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: DEALS_SDL });
  expect(pushed.status, await pushed.clone().text()).toBe(200);
});

afterAll(async () => {
  await millrace?.stop();
  data.remove();
});

/** A client whose sockets a test can tear, as a lost network does. */
function tearable(): { readonly client: LiveClient; tear(): void } {
  const sockets: WebSocket[] = [];
  class Captured extends WebSocket {
    constructor(url: string, protocols: string) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const client = createLiveClient({
    url: millrace.addresses.ws,
    token: () => token,
    webSocket: Captured,
    backOff: { firstMs: 5, mostMs: 50 },
    lingerMs: 0,
  });
  return { client, tear: () => sockets.at(-1)?.terminate() };
}

test('the iterator reads through a small buffer, whatever the pace', async () => {
  const { client } = tearable();
  const events = client.iterate<Data>({ query: QUERY, buffer: 3 });
  const read: Awaited<ReturnType<typeof events.next>>[] = [];
  await subscriptionsAre(millrace, 1, () => void events.next().then((first) => read.push(first)));
  const ids = Array.from({ length: 20 }, (_, i) => `i${i}`);
  for (const id of ids) await publishDeal(millrace, token, { id, action: 'added', title: id });
  while (read.length < ids.length) read.push(await events.next());
  expect(read.map(({ value }) => (value?.kind === 'event' ? value.data.dealEvent.id : value?.kind))).toEqual(ids);
  await subscriptionsAre(millrace, -1, () => client.close());
});

test('events arrive, and after a torn connection those that came meanwhile: none missing, none twice', async () => {
  const { client, tear } = tearable();
  const inbox = new Inbox<string>();
  await subscriptionsAre(millrace, 1, () =>
    client.subscribe<Data>({
      query: QUERY,
      onEvent: ({ data: { dealEvent } }) => inbox.push(`${dealEvent.action} ${dealEvent.id}`),
      onGap: (gap) => inbox.push(`gap: ${gap.reason}`),
      onError: (error) => inbox.push(error.message),
    }),
  );
  await publishDeal(millrace, token, { id: '1', action: 'added', title: 'One' });
  await inbox.until((items) => items.length === 1);
  tear();
  await publishDeal(millrace, token, { id: '1', action: 'changed', title: 'Uno' });
  await publishDeal(millrace, token, { id: '2', action: 'added', title: 'Two' });
  await inbox.until((items) => items.length === 3);
  expect(inbox.items).toEqual(['ADDED 1', 'CHANGED 1', 'ADDED 2']);
  await subscriptionsAre(millrace, -1, () => client.close());
});

test('what cannot be continued is a gap, not a silence', async () => {
  const { client, tear } = tearable();
  const inbox = new Inbox<string>();
  await subscriptionsAre(millrace, 1, () =>
    client.subscribe<Data>({ query: WITHOUT_CURSOR, onEvent: () => inbox.push('event'), onGap: ({ reason }) => inbox.push(reason) }),
  );
  tear();
  await inbox.until((items) => items.length === 1);
  expect(inbox.items).toEqual(['not-resumable']);
  client.close();
});

test('a foreign cursor is refused, and the subscription starts anew with a gap', async () => {
  const { client } = tearable();
  const inbox = new Inbox<string>();
  client.subscribe<Data>({
    query: QUERY,
    after: 'bm90LW9uZS1vZi1vdXJz',
    onEvent: ({ data: { dealEvent } }) => inbox.push(String(dealEvent.id)),
    onGap: ({ reason }) => inbox.push(reason),
    onError: (error) => inbox.push(error.message),
  });
  await inbox.until((items) => items.length === 1);
  expect(inbox.items).toEqual(['cursor-refused']);
  client.close();
});

test('a bad token is refused for good', async () => {
  const inbox = new Inbox<unknown>();
  const client = createLiveClient({ url: millrace.addresses.ws, token: () => 'forged' });
  client.subscribe({ query: QUERY, onEvent: () => {}, onError: ({ code, closeCode }) => inbox.push({ code, closeCode }) });
  await inbox.until((items) => items.length === 1);
  expect(inbox.items).toEqual([{ code: 'CONNECTION_REFUSED', closeCode: 4403 }]);
  expect(client.state.kind).toBe('closed');
});
