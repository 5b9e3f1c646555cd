import { expect, test } from 'vitest';
import { createLiveClient, type Gap, type LiveClientOptions, type LiveError, type LiveEvent } from './index.ts';
import { type StandInServer, startStandInServer } from '../test/stand-in-server.ts';

type Data = { readonly dealEvent: { readonly action: string; readonly id: string | null } };
type Server = StandInServer;

const QUERY = 'subscription Deals($after: Cursor) { dealEvent(after: $after) { action id missed cursor } }';
const WITHOUT_CURSOR = 'subscription { dealEvent { action id missed cursor } }';

/** Everything that a subscription tells, and a way to wait for it. */
function listen(server: Server, options: Partial<LiveClientOptions> = {}, query = QUERY) {
  const ids: string[] = [];
  const gaps: Gap[] = [];
  const errors: LiveError[] = [];
  const states: string[] = [];
  const wakes = new Set<() => void>();
  const note = <T>(list: T[], value: T): void => {
    list.push(value);
    for (const wake of wakes) wake();
  };
  const client = createLiveClient({ url: server.url, backOff: { firstMs: 1, mostMs: 2 }, lingerMs: 0, ...options });
  const stopStates = client.onState((state) => note(states, state.kind));
  const subscription = client.subscribe<Data>({
    query,
    onEvent: ({ data }: LiveEvent<Data>) => note(ids, data.dealEvent.id ?? data.dealEvent.action),
    onGap: (gap) => note(gaps, gap),
    onError: (error) => note(errors, error),
    onState: (state) => note(states, `subscription ${state}`),
  });
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) {
      await new Promise<void>((resolve) => wakes.add(resolve));
      wakes.clear();
    }
  };
  /** The server has started it: an event sent after that arrives. */
  const live = (times: number): Promise<void> => until(() => states.filter((state) => state === 'subscription live').length >= times);
  return { client, subscription, ids, gaps, errors, states, until, live, [Symbol.dispose]: () => (stopStates(), client.close()) };
}

/** Publishes once the server has taken the subscription: what the client has sent is not what the server has read. */
async function publishWhenTaken(server: Server, count: number, ...ids: readonly number[]): Promise<void> {
  while (server.taken < count) await new Promise((resolve) => setImmediate(resolve));
  server.publish(...ids);
}

test('events arrive with data and cursor', async () => {
  await using server = await startStandInServer();
  using board = listen(server);
  await publishWhenTaken(server, 1, 7, 8);
  await board.until(() => board.ids.length === 2);
  expect(board.ids).toEqual(['7', '8']);
  expect(board.subscription.cursor).toBe('1');
  expect(board.gaps).toEqual([]);
});

test.each([
  ['a lost network', (server: Server) => server.tear()],
  ['a restart', (server: Server) => server.cut(1012, 'Service restart')],
  ['a drain', (server: Server) => server.cut(1001, 'Going away, retry in 3 ms')],
  ['an expired token', (server: Server) => server.cut(4403, 'Token expired')],
])('after %s it continues behind the last event: none missing, none twice', async (_name, fault) => {
  await using server = await startStandInServer();
  using board = listen(server);
  await publishWhenTaken(server, 1, 1, 2);
  await board.until(() => board.ids.length === 2);
  fault(server);
  server.publish(3, 4);
  await board.until(() => board.ids.length === 4);
  expect(board.ids).toEqual(['1', '2', '3', '4']);
  expect(board.gaps).toEqual([]);
  expect(server.seen.map(({ variables }) => variables)).toEqual([{}, { after: '1' }]);
});

test('an operation without a variable for the cursor owns up to a gap after a reconnect', async () => {
  await using server = await startStandInServer();
  using board = listen(server, {}, WITHOUT_CURSOR);
  await publishWhenTaken(server, 1, 1);
  await board.until(() => board.ids.length === 1);
  server.tear();
  await board.until(() => board.gaps.length === 1);
  expect(board.gaps).toEqual([{ reason: 'not-resumable', missed: null, cursor: null }]);
});

test('so does one that has not received anything to continue from', async () => {
  await using server = await startStandInServer();
  using board = listen(server);
  await board.live(1);
  server.tear();
  await board.live(2);
  expect(board.gaps).toEqual([{ reason: 'not-resumable', missed: null, cursor: null }]);
});

test('a GAP of the server goes to onGap with what is missing, not to onEvent', async () => {
  await using server = await startStandInServer();
  using board = listen(server);
  await publishWhenTaken(server, 1, 1, 2);
  await board.until(() => board.ids.length === 2);
  server.faults.gapMissed = 40;
  server.tear();
  await board.until(() => board.gaps.length === 1);
  expect(board.gaps).toEqual([{ reason: 'server', missed: 40, cursor: '1' }]);
  await publishWhenTaken(server, 2, 3);
  await board.until(() => board.ids.length === 3);
  expect(board.ids).toEqual(['1', '2', '3']);
});

test('a refused cursor starts anew, with a gap', async () => {
  await using server = await startStandInServer();
  using board = listen(server);
  await publishWhenTaken(server, 1, 1);
  await board.until(() => board.ids.length === 1);
  server.faults.cursor = 'CURSOR_INVALID';
  server.tear();
  await board.until(() => board.gaps.length === 1);
  expect(board.gaps).toEqual([{ reason: 'cursor-refused', missed: null, cursor: null }]);
  await publishWhenTaken(server, 2, 2);
  await board.until(() => board.ids.length === 2);
  expect(board.errors).toEqual([]);
});

test.each([4400, 4401, 4406, 4409, 4429, 1008])('never comes back after %i', async (code) => {
  await using server = await startStandInServer();
  using board = listen(server);
  await board.live(1);
  server.cut(code, 'No');
  await board.until(() => board.errors.length === 1);
  expect(board.errors[0]).toMatchObject({ code: 'CONNECTION_REFUSED', closeCode: code });
  expect(board.client.state.kind).toBe('closed');
  expect(server.connections).toBe(1);
  expect(() => board.client.subscribe({ query: QUERY, onEvent: () => {} })).toThrow(/closed/);
});

test('a token that has expired is fetched anew, once, and the source is told', async () => {
  await using server = await startStandInServer();
  server.faults.refuse = 'Forbidden: TOKEN_EXPIRED';
  const asked: (string | null)[] = [];
  using board = listen(server, { token: ({ refused }) => (asked.push(refused), refused ? 'fresh' : 'stale') });
  await board.live(1);
  await publishWhenTaken(server, 1, 1);
  await board.until(() => board.ids.length === 1);
  expect(asked).toEqual([null, 'TOKEN_EXPIRED']);
  expect(server.seen[0]?.authorization).toBe('Bearer fresh');
});

test('a token that cannot be fetched is asked for again', async () => {
  await using server = await startStandInServer();
  const failures: string[] = [];
  let calls = 0;
  const token = async (): Promise<string> => {
    calls += 1;
    if (calls === 1) throw new Error('identity provider is away');
    return 'Bearer later';
  };
  using board = listen(server, { token, onTokenError: (error) => failures.push(error.code) });
  await publishWhenTaken(server, 1, 1);
  await board.until(() => board.ids.length === 1);
  expect(failures).toEqual(['TOKEN_FAILED']);
  expect(server.seen[0]?.authorization).toBe('Bearer later');
});

test('a refused operation ends with its errors and leaves the connection alone', async () => {
  await using server = await startStandInServer();
  using board = listen(server, {}, 'subscription { noSuchField }');
  await board.until(() => board.errors.length === 1);
  expect(board.errors[0]).toMatchObject({ code: 'OPERATION_REFUSED', message: expect.stringContaining('noSuchField') as string });
  expect(server.connections).toBe(1);
});

test('the connection closes when the last subscription has ended, and opens again for the next', async () => {
  await using server = await startStandInServer();
  using board = listen(server);
  await board.live(1);
  board.subscription.unsubscribe();
  await board.until(() => board.states.at(-1) === 'idle');
  const again = board.client.subscribe({ query: QUERY, onEvent: () => {} });
  await board.until(() => board.states.filter((state) => state === 'open').length === 2);
  again.unsubscribe();
  expect(server.connections).toBe(2);
});

test('the iterator pauses when its buffer is full and loses nothing', async () => {
  await using server = await startStandInServer();
  const client = createLiveClient({ url: server.url, lingerMs: 0 });
  const events = client.iterate<Data>({ query: QUERY, buffer: 4 });
  const numbers = Array.from({ length: 50 }, (_, i) => i);
  await publishWhenTaken(server, 1, ...numbers);
  const got: number[] = [];
  for await (const item of events) {
    got.push(item.kind === 'event' ? Number(item.data.dealEvent.id) : -1);
    if (got.length === numbers.length) break;
  }
  expect(got).toEqual(numbers);
  expect(server.seen.length).toBeGreaterThan(1);
  client.close();
});

test('the iterator throws what ended its subscription', async () => {
  await using server = await startStandInServer();
  const client = createLiveClient({ url: server.url });
  await expect(client.iterate({ query: 'subscription { broken }' }).next()).rejects.toMatchObject({ code: 'OPERATION_REFUSED' });
  client.close();
});
