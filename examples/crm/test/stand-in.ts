import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema, GraphQLError, type GraphQLSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

type Event = { readonly event_id: string; readonly company_id: string; readonly id: string; readonly action: string; readonly at: string };
type Caller = { readonly tenant: string };

/**
 * Stands in for Millrace where the board alone is under test: it takes the monolith's events and tells the tenant's subscribers,
 * resumes after a cursor, and answers queries by asking the subgraphs, without any of what makes Millrace worth having.
 */
export async function startStandIn() {
  const log: Event[] = [];
  const listeners = new Set<() => void>();
  let subgraph: (tenant: string, query: string, variables: unknown) => Promise<Record<string, unknown>> = () => Promise.reject(new Error('no subgraph'));
  let boardQueries = 0;
  let gap: number | null = null;
  let failure: string | null = null;

  const http = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const events = JSON.parse(text) as Event[];
    log.push(...events);
    for (const listener of listeners) listener();
    response.writeHead(202, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ events: events.map((event) => ({ id: event.event_id, status: 'accepted' })) }));
  });
  const sockets = new WebSocketServer({ server: http, path: '/graphql' });
  const ask = (field: string, selection: string, keys: Readonly<Record<string, string>>) => async (args: Record<string, unknown>, { tenant }: Caller) => {
    if (failure !== null && /^(move|create)/.test(field)) throw new GraphQLError(failure);
    if (field === 'deals') boardQueries += 1;
    const given = Object.keys(args).filter((name) => keys[name]);
    const heads = given.map((name) => `$${name}: ${keys[name]}`).join(', ');
    const passes = given.map((name) => `${name}: $${name}`).join(', ');
    const kind = /^(move|create|close)/.test(field) ? 'mutation' : 'query';
    return (await subgraph(tenant, `${kind} ${heads && `(${heads})`} { ${field} ${passes && `(${passes})`} ${selection} }`, args))[field];
  };
  const named = async (deal: unknown, caller: Caller): Promise<unknown> => {
    if (Array.isArray(deal)) return Promise.all(deal.map((one) => named(one, caller)));
    const { stages, users } = { stages: await root.stages({}, caller), users: await root.users({}, caller) } as Record<string, readonly { id: string }[]>;
    const { stageId, ownerId } = deal as { stageId: string; ownerId: string | null };
    return { ...(deal as object), stage: stages?.find(({ id }) => id === stageId), owner: users?.find(({ id }) => id === ownerId) ?? null };
  };
  const deal = '{ id title account value currency stageId ownerId rev updatedAt stage { id } owner { id } }';
  const dealNow = async (id: string, caller: Caller): Promise<unknown> => {
    const found = await ask('deal', deal, { id: 'ID!' })({ id }, caller);
    return found ? named(found, caller) : null;
  };
  const root = {
    deals: async (args: Record<string, unknown>, caller: Caller) => named(await ask('deals', deal, {})(args, caller), caller),
    stages: ask('stages', '{ id name position probability kind }', {}),
    users: ask('users', '{ id name jobTitle }', {}),
    moveDeal: async (args: Record<string, unknown>, caller: Caller) => named(await ask('moveDeal', deal, { id: 'ID!', stageId: 'ID!' })(args, caller), caller),
    createDeal: async (args: Record<string, unknown>, caller: Caller) =>
      named(await ask('createDeal', deal, { title: 'String!', account: 'String!', value: 'Float!', ownerId: 'ID' })(args, caller), caller),
    async *dealEvent({ after }: { after?: string }, { tenant }: Caller) {
      let next = after === undefined || after === null ? log.length : Number(after) + 1;
      for (;;) {
        for (; next < log.length; next++) {
          const event = log[next];
          if (event?.company_id === tenant) yield { dealEvent: eventOf(event, next, () => dealNow(event.id, { tenant })) };
        }
        const known = gap;
        await new Promise<void>((resolve) => {
          const listener = (): void => {
            listeners.delete(listener);
            resolve();
          };
          listeners.add(listener);
        });
        if (gap !== known) yield { dealEvent: { cursor: String(log.length - 1), action: 'GAP', id: null, at: new Date().toISOString(), missed: gap } };
      }
    },
  };
  const disposable = useServer(
    {
      schema: standInSchema(),
      roots: { query: root, mutation: root, subscription: root },
      context: ({ connectionParams }): Caller => ({ tenant: tenantOf(String(connectionParams?.['authorization'])) }),
    },
    sockets,
  );
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const { port } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/graphql`,
    eventsUrl: `http://127.0.0.1:${port}/events`,
    log,
    /** The token of the stand-in is its tenant's name. */
    issueToken: ({ tenant }: Caller) => Promise.resolve(tenant),
    connect(next: typeof subgraph) {
      subgraph = next;
    },
    /** How often a whole board was asked for. */
    boardQueries: () => boardQueries,
    /** Every subscriber is told that so many events are missing. */
    tellGap(missed: number) {
      gap = missed;
      for (const listener of listeners) listener();
    },
    failMutations(reason: string | null) {
      failure = reason;
    },
    /** The first event that was or will be taken for which `test` holds. */
    async received(test: (event: Event) => boolean): Promise<Event> {
      for (;;) {
        const found = log.find(test);
        if (found) return found;
        await new Promise<void>((resolve) => {
          const listener = (): void => {
            listeners.delete(listener);
            resolve();
          };
          listeners.add(listener);
        });
      }
    },
    /** Cuts every browser's connection, as a deploy or a tunnel would. */
    cut(code = 1012, reason = 'Service restart') {
      for (const client of sockets.clients) client.close(code, reason);
    },
    async stop() {
      await disposable.dispose();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

function eventOf(event: Event, index: number, deal: () => unknown) {
  return { cursor: String(index), action: event.action.toUpperCase(), id: event.id, at: event.at, raw: event, delta: null, missed: null, deal };
}

function tenantOf(authorization: string): string {
  if (!authorization.startsWith('Bearer ')) throw new GraphQLError('no token');
  return authorization.slice(7);
}

function standInSchema(): GraphQLSchema {
  return buildSchema(`
    scalar JSON
    scalar Cursor
    type Query { deals: [Deal!]!  stages: [Stage!]!  users: [User!]! }
    type Mutation {
      moveDeal(id: ID!, stageId: ID!): Deal!
      createDeal(title: String!, account: String!, value: Float!, ownerId: ID): Deal!
    }
    type Subscription { dealEvent(after: Cursor): DealEvent! }
    enum LiveAction { SNAPSHOT ADDED CHANGED DELETED ENTERED LEFT GAP }
    type DealEvent { cursor: Cursor! action: LiveAction! id: ID at: String! raw: JSON delta: JSON missed: Int deal: Deal }
    type Deal {
      id: ID! title: String! account: String! value: Float currency: String! stageId: ID! ownerId: ID rev: Int! updatedAt: String!
      stage: Stage! owner: User
    }
    type Stage { id: ID! name: String position: Int probability: Float kind: String }
    type User { id: ID! name: String jobTitle: String }
  `);
}
