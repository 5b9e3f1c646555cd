import { ApolloClient, InMemoryCache, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { Client as UrqlClient, subscriptionExchange } from '@urql/core';
import { EventSource } from 'eventsource';
import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Inbox, type Millrace, devToken, pushSchema, startMillrace, temporaryFolder, wsClient } from '../harness.ts';
import { DEALS_SDL, publishDeal, subscriptionsAre } from '../deals.ts';

/** Each client library that the README names, the real one, against the running program: one subscription, one event, its cursor. */

const SUBSCRIPTION =
  'subscription Deals($stage: ID!) { dealEvent(filter: {stageId: {eq: $stage}}) { cursor action id deal { id title value } } }';
type DealEvent = {
  readonly cursor: string;
  readonly action: string;
  readonly id: string;
  readonly deal: { readonly title: string; readonly value: number };
};
type Result = { readonly data?: { readonly dealEvent?: DealEvent } | null | undefined };

describe('standard clients', () => {
  const folder = temporaryFolder();
  let millrace: Millrace;
  let token: string;
  const cleanups: (() => void | Promise<void>)[] = [];

  beforeAll(async () => {
    millrace = await startMillrace({ data: folder.path });
    token = await devToken('acme', 'anna');
    const pushed = await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: DEALS_SDL });
    expect(pushed.status, await pushed.clone().text()).toBe(200);
  });

  afterAll(async () => {
    for (const cleanup of cleanups) await cleanup();
    await millrace?.stop();
    folder.remove();
  });

  /** Publishes one deal that the subscription wants and one that it does not, and checks what came. */
  async function expectOneDelivery(inbox: Inbox<Result>, name: string): Promise<void> {
    await publishDeal(millrace, token, { id: `${name}-other`, stage_id: 'not wanted', title: 'hidden' });
    await publishDeal(millrace, token, { id: name, stage_id: name, title: `for ${name}`, value: 42.5 });
    await inbox.until((items) => items.length > 0);
    expect(inbox.items).toHaveLength(1);
    expect(inbox.items[0]?.data?.dealEvent).toMatchObject({ action: 'CHANGED', id: name, deal: { title: `for ${name}`, value: 42.5 } });
    expect(inbox.items[0]?.data?.dealEvent?.cursor).toEqual(expect.any(String));
  }

  test('graphql-ws', async () => {
    const client = wsClient(millrace.addresses, token);
    cleanups.push(() => client.dispose());
    const inbox = new Inbox<Result>();
    await subscriptionsAre(millrace, 1, () => {
      client.subscribe<{ dealEvent: DealEvent }>(
        { query: SUBSCRIPTION, variables: { stage: 'graphql-ws' } },
        { next: (r) => inbox.push(r), error: (e) => inbox.push({ data: e as never }), complete: () => {} },
      );
    });
    await expectOneDelivery(inbox, 'graphql-ws');
  });

  test('Apollo Client', async () => {
    const ws = wsClient(millrace.addresses, token);
    const client = new ApolloClient({ link: new GraphQLWsLink(ws), cache: new InMemoryCache() });
    cleanups.push(() => ws.dispose());
    const inbox = new Inbox<Result>();
    await subscriptionsAre(millrace, 1, () => {
      client
        .subscribe<{ dealEvent: DealEvent }>({ query: gql(SUBSCRIPTION), variables: { stage: 'apollo' } })
        .subscribe((r) => inbox.push(r));
    });
    await expectOneDelivery(inbox, 'apollo');
  });

  test('urql', async () => {
    const ws = wsClient(millrace.addresses, token);
    cleanups.push(() => ws.dispose());
    const client = new UrqlClient({
      url: millrace.addresses.graphql,
      preferGetMethod: false,
      exchanges: [
        subscriptionExchange({
          forwardSubscription: (request) => ({
            subscribe: (sink) => ({
              unsubscribe: ws.subscribe({ query: request.query ?? '', variables: request.variables ?? {} }, sink as never),
            }),
          }),
        }),
      ],
    });
    const inbox = new Inbox<Result>();
    await subscriptionsAre(millrace, 1, () => {
      const { unsubscribe } = client
        .subscription<{ dealEvent: DealEvent }>(SUBSCRIPTION, { stage: 'urql' })
        .subscribe((r) => inbox.push(r));
      cleanups.push(unsubscribe);
    });
    await expectOneDelivery(inbox, 'urql');
  });

  test.each([false, true])('graphql-sse, single connection: %s', async (singleConnection) => {
    const name = `sse-${singleConnection}`;
    const client = createSseClient({
      url: millrace.addresses.sse,
      singleConnection,
      headers: { authorization: `Bearer ${token}` },
      retryAttempts: 0,
    });
    cleanups.push(() => client.dispose());
    const inbox = new Inbox<Result>();
    await subscriptionsAre(millrace, 1, () => {
      client.subscribe<{ dealEvent: DealEvent }>(
        { query: SUBSCRIPTION, variables: { stage: name } },
        { next: (r) => inbox.push(r), error: (e) => inbox.push({ data: e as never }), complete: () => {} },
      );
    });
    await expectOneDelivery(inbox, name);
  });

  test('a bare EventSource with a cookie, which resumes by Last-Event-ID', async () => {
    const url = new URL(millrace.addresses.sse);
    url.searchParams.set('query', SUBSCRIPTION);
    url.searchParams.set('variables', JSON.stringify({ stage: 'eventsource' }));
    const origin = url.origin;
    const open = (lastEventId?: string): { source: EventSource; inbox: Inbox<Result>; ids: string[] } => {
      const source = new EventSource(url.href, {
        fetch: (input, init) =>
          fetch(input, {
            ...init,
            headers: {
              ...(init.headers as Record<string, string>),
              cookie: `millrace_token=${token}`,
              origin,
              ...(lastEventId ? { 'last-event-id': lastEventId } : {}),
            },
          }),
      });
      const inbox = new Inbox<Result>();
      const ids: string[] = [];
      source.addEventListener('next', (event) => {
        ids.push(event.lastEventId);
        inbox.push(JSON.parse(event.data as string) as Result);
      });
      cleanups.push(() => source.close());
      return { source, inbox, ids };
    };
    let first!: ReturnType<typeof open>;
    await subscriptionsAre(millrace, 1, () => void (first = open()));
    await expectOneDelivery(first.inbox, 'eventsource');
    expect(first.ids[0]).toBe(first.inbox.items[0]?.data?.dealEvent?.cursor);
    await subscriptionsAre(millrace, -1, () => first.source.close());
    await publishDeal(millrace, token, { id: 'missed', stage_id: 'eventsource', title: 'while away' });
    const second = open(first.ids[0]);
    await second.inbox.until((items) => items.length > 0);
    expect(second.inbox.items[0]?.data?.dealEvent).toMatchObject({ id: 'missed' });
  });

  test('a cookie from a foreign page is not taken', async () => {
    const url = new URL(millrace.addresses.sse);
    url.searchParams.set('query', SUBSCRIPTION);
    url.searchParams.set('variables', JSON.stringify({ stage: 'x' }));
    const response = await fetch(url, {
      headers: { accept: 'text/event-stream', cookie: `millrace_token=${token}`, origin: 'https://evil.example' },
    });
    expect([401, 403]).toContain(response.status);
    await response.body?.cancel();
  });
});
