import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DEALS_SDL, post, subscriptionsAre } from '../deals.ts';
import { Inbox, type Millrace, devToken, pushSchema, startMillrace, temporaryFolder, wsClient } from '../harness.ts';

/**
 * Schema pushes while events flow: open subscriptions move to each new generation without missing or repeating an event; only those that a
 * push breaks end, with a code that says so.
 */

type Event = { readonly raw: { readonly n: number } };

describe('pushing schemas under traffic', () => {
  const folder = temporaryFolder();
  let millrace: Millrace;
  let token: string;
  let n = 0;
  const steady = new Inbox<number | string>();
  const doomed = new Inbox<number | string>();

  beforeAll(async () => {
    millrace = await startMillrace({ data: folder.path });
    token = await devToken('acme', 'anna');
    await push('deals', DEALS_SDL);
    const client = wsClient(millrace.addresses, token);
    const listen = (query: string, inbox: Inbox<number | string>): void => {
      client.subscribe<{ dealEvent: Event }>(
        { query },
        {
          next: (r) => inbox.push(r.data!.dealEvent.raw.n),
          error: (e) => inbox.push(JSON.stringify(e)),
          complete: () => inbox.push('complete'),
        },
      );
    };
    await subscriptionsAre(millrace, 2, () => {
      listen('subscription { dealEvent { raw deal { title } } }', steady);
      listen('subscription { dealEvent { raw deal { title value } } }', doomed);
    });
  });

  afterAll(async () => {
    await millrace?.stop();
    folder.remove();
  });

  async function push(name: string, sdl: string): Promise<void> {
    const response = await pushSchema(millrace.addresses.registry, token, { name, sdl, version: 'latest' });
    expect(response.status, await response.clone().text()).toBe(200);
  }

  async function publishWhile(work: () => Promise<void>): Promise<void> {
    let done = false;
    const working = work().finally(() => (done = true));
    while (!done) {
      n += 1;
      expect(
        (await post(millrace, token, 'crm.deals', { event_id: `${n}`, n, id: `d${n % 7}`, company_id: 'acme', title: 't', value: n }))
          .status,
      ).toBe(202);
    }
    await working;
  }

  const upTo = (last: number): readonly number[] => Array.from({ length: last }, (_, i) => i + 1);

  test('ten generations: every event once, for both', async () => {
    await publishWhile(async () => {
      for (let i = 0; i < 10; i += 1) await push('other', `type Query { other${i}: String }`);
    });
    await steady.until((items) => items.includes(n));
    await doomed.until((items) => items.includes(n));
    expect([...steady.items].sort((a, b) => Number(a) - Number(b))).toEqual(upTo(n));
    expect([...doomed.items].sort((a, b) => Number(a) - Number(b))).toEqual(upTo(n));
  }, 60_000);

  test('a push that takes a field away ends only who asked for it, with a reason', async () => {
    const before = doomed.items.length;
    await publishWhile(() => push('deals', DEALS_SDL.replace(/^.*value: Float.*$/m, '')));
    await doomed.until((items) => typeof items.at(-1) === 'string');
    expect(doomed.items.at(-1)).toContain('SUBSCRIPTION_BROKEN_BY_SCHEMA');
    expect(doomed.items.slice(before, -1).every((item) => typeof item === 'number')).toBe(true);
    await steady.until((items) => items.includes(n));
    expect([...steady.items].sort((a, b) => Number(a) - Number(b))).toEqual(upTo(n));
  }, 60_000);
});
