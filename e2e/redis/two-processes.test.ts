import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { available, service } from '../../tools/services/shared.ts';
import { DEALS_SDL, metric, publishDeal } from '../deals.ts';
import { devToken, Inbox, type Millrace, pushSchema, startMillrace, temporaryFolder, wsClient } from '../harness.ts';

/** Two whole programs with an embedded log each and one Redis between them: what is posted to one is heard at the other. */

const QUERY = 'subscription($after: Cursor) { dealEvent(after: $after) { cursor action id missed raw } }';
type Deal = { readonly cursor: string; readonly action: string; readonly raw: { readonly n: number } };

const cleanUp: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

type Site = {
  readonly token: string;
  start(data: string): Promise<Millrace>;
  readonly one: Millrace;
  readonly two: Millrace;
  readonly folders: readonly string[];
};

async function site(): Promise<Site> {
  const { url } = await service('redis');
  const token = await devToken('acme', 'anna');
  const env = {
    MILLRACE_CHANNELS_KIND: 'redis',
    MILLRACE_CHANNELS_REDIS_URLS: url,
    MILLRACE_CHANNELS_REDIS_KEY_PREFIX: `e2e-${randomBytes(6).toString('hex')}`,
    MILLRACE_CURSOR_KEY: randomBytes(32).toString('hex'),
  };
  const start = async (data: string): Promise<Millrace> => {
    const millrace = await startMillrace({ data, env });
    cleanUp.push(() => millrace.kill());
    return millrace;
  };
  const folders = [temporaryFolder(), temporaryFolder()];
  for (const folder of folders) cleanUp.push(() => folder.remove());
  const [one, two] = await Promise.all([start(folders[0]!.path), start(folders[1]!.path)]);
  for (const { addresses } of [one, two])
    expect((await pushSchema(addresses.registry, token, { name: 'deals', sdl: DEALS_SDL })).status).toBe(200);
  return { token, start, one, two, folders: folders.map(({ path }) => path) };
}

/** Subscribes after the cursor and waits until the channel is attached: what is posted from then on is promised. */
async function listen(millrace: Millrace, token: string, after: string | null = null): Promise<Inbox<Deal>> {
  const inbox = new Inbox<Deal>();
  const client = wsClient(millrace.addresses, token);
  cleanUp.push(() => void Promise.resolve(client.dispose()).catch(() => undefined));
  const sink = {
    next: ({ data, errors }: { readonly data?: { readonly dealEvent: Deal } | null | undefined; readonly errors?: unknown }) => {
      expect(errors).toBeUndefined();
      if (data) inbox.push(data.dealEvent);
    },
    // The socket dies with its server.
    error: () => undefined,
    complete: () => undefined,
  };
  const before = await metric(millrace, 'millrace_channels_listeners');
  client.subscribe<{ dealEvent: Deal }>({ query: QUERY, variables: { after } }, sink);
  const end = Date.now() + 20_000;
  while ((await metric(millrace, 'millrace_channels_listeners')) === before) expect(Date.now()).toBeLessThan(end);
  return inbox;
}

const numbers = (inbox: Inbox<Deal>): number[] => inbox.items.map(({ raw }) => raw.n);
const upTo = (last: number, first = 1): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

async function postDeals(millrace: Millrace, token: string, list: readonly number[]): Promise<void> {
  for (const n of list) await publishDeal(millrace, token, { id: `deal-${n % 3}`, title: 't', n });
}

describe.skipIf(!available('redis'))('two processes on one Redis', () => {
  test('an event posted to one reaches the subscribers of both, once and in order per deal', async () => {
    const { token, one, two } = await site();
    const [here, there] = [await listen(one, token), await listen(two, token)];
    await postDeals(one, token, upTo(10));
    await there.until((items) => items.length >= 10);
    await postDeals(two, token, upTo(20, 11));
    for (const inbox of [here, there]) {
      await inbox.until((items) => items.length >= 20);
      for (const rest of [0, 1, 2]) expect(numbers(inbox).filter((n) => n % 3 === rest)).toEqual(upTo(20).filter((n) => n % 3 === rest));
    }
    expect(numbers(here)).toEqual(numbers(there));
  });

  test('a client whose edge is killed goes on at the other by its cursor, with nothing lost', async () => {
    const { token, one, two } = await site();
    const before = await listen(two, token);
    await postDeals(one, token, upTo(5));
    await before.until((items) => items.length >= 5);
    await two.kill();
    await postDeals(one, token, upTo(12, 6));
    const heard = numbers(before);
    const after = await listen(one, token, before.items.at(-1)!.cursor);
    await after.until((items) => items.length >= 12 - heard.length);
    await postDeals(one, token, [13]);
    await after.until((items) => items.length >= 13 - heard.length);
    expect([...heard, ...numbers(after)].toSorted((a, b) => a - b)).toEqual(upTo(13));
    expect(after.items.map(({ action }) => action)).not.toContain('GAP');
  });

  test('events that were accepted by a process that is killed at once are delivered by the other when it comes back', async () => {
    const { token, start, one, two, folders } = await site();
    const inbox = await listen(one, token);
    await postDeals(two, token, upTo(10));
    await two.kill();
    const again = await start(folders[1]!);
    await inbox.until((items) => items.length >= 10);
    await postDeals(again, token, [11]);
    await inbox.until((items) => items.length >= 11);
    expect(numbers(inbox).toSorted((a, b) => a - b)).toEqual(upTo(11));
    expect(inbox.items.map(({ action }) => action)).not.toContain('GAP');
  });

  test('events that nobody listens to anywhere cost no command', async () => {
    const { token, one, two } = await site();
    await listen(two, await devToken('globex', 'greta'));
    await postDeals(one, token, upTo(20));
    const processed = async (): Promise<boolean> =>
      (await (await fetch(new URL('/metrics', one.addresses.admin))).text()).match(/outcome="no-interest"[^\n]* 20\n/) !== null;
    const end = Date.now() + 20_000;
    while (!(await processed())) expect(Date.now()).toBeLessThan(end);
    expect(await metric(one, 'millrace_channels_redis_calls_total{script="publish"}').catch(() => 0)).toBe(0);
  });
});
