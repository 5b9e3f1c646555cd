import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSchema, GraphQLError } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

type Event = { readonly event_id: string; readonly company_id: string; readonly id: string; readonly action: string; readonly at: string };
type Caller = { readonly tenant: string };
type Arguments = Readonly<Record<string, unknown>>;
type Ask = (tenant: string, query: string, variables: unknown) => Promise<Record<string, unknown>>;
type Deal = { readonly stageId: string; readonly ownerId: string | null };

const SCHEMA = `
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
`;

const DEAL = '{ id title account value currency stageId ownerId rev updatedAt }';

/**
 * Stands in for Millrace where the board alone is under test: it takes the monolith's events and tells the tenant's subscribers,
 * resumes after a cursor, and answers queries by asking the subgraphs, without any of what makes Millrace worth having.
 */
export async function startStandIn(): Promise<StandIn> {
  const standIn = new StandIn();
  await standIn.listen();
  return standIn;
}

class StandIn {
  readonly #log: Event[] = [];
  readonly #wakes = new Set<() => void>();
  readonly #http: Server = createServer((request, response) => void this.#takeEvents(request, response));
  readonly #sockets = new WebSocketServer({ server: this.#http, path: '/graphql' });
  #ask: Ask = () => Promise.reject(new Error('no subgraph is connected'));
  #boardQueries = 0;
  #gap: number | null = null;
  #failure: string | null = null;
  #dispose: () => Promise<void> | void = () => {};

  async listen(): Promise<void> {
    const query = {
      deals: (_: Arguments, caller: Caller) => this.#board(caller),
      stages: (_: Arguments, { tenant }: Caller) => this.#field(tenant, 'stages', '{ stages { id name position probability kind } }'),
      users: (_: Arguments, { tenant }: Caller) => this.#field(tenant, 'users', '{ users { id name jobTitle } }'),
    };
    const mutation = {
      moveDeal: (args: Arguments, caller: Caller) =>
        this.#change(caller, 'moveDeal', `mutation ($id: ID!, $stageId: ID!) { moveDeal(id: $id, stageId: $stageId) ${DEAL} }`, args),
    };
    const subscription = {
      dealEvent: (args: { after?: string | null }, caller: Caller) => this.#events(args.after ?? null, caller.tenant),
    };
    const server = useServer(
      {
        schema: buildSchema(SCHEMA),
        roots: { query, mutation, subscription },
        context: ({ connectionParams }): Caller => ({ tenant: tenantOf(connectionParams?.['authorization']) }),
      },
      this.#sockets,
    );
    this.#dispose = () => server.dispose();
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/graphql`;
  }

  get eventsUrl(): string {
    return new URL('/events', this.url).href;
  }

  /** How often a whole board was asked for. */
  get boardQueries(): number {
    return this.#boardQueries;
  }

  /** The token of the stand-in is its tenant's name. */
  issueToken({ tenant }: Caller): Promise<string> {
    return Promise.resolve(tenant);
  }

  /** Where queries and mutations are answered. */
  connect(ask: Ask): void {
    this.#ask = ask;
  }

  /** The first event that was or will be taken for which `test` holds. */
  async received(test: (event: Event) => boolean): Promise<Event> {
    for (;;) {
      const found = this.#log.find(test);
      if (found) return found;
      await this.#next();
    }
  }

  /** Every subscriber is told that so many events are missing. */
  tellGap(missed: number): void {
    this.#gap = missed;
    this.#wakeAll();
  }

  failMutations(reason: string | null): void {
    this.#failure = reason;
  }

  /** Cuts every browser's connection, as a deploy or a tunnel would. */
  cut(code = 1012, reason = 'Service restart'): void {
    for (const client of this.#sockets.clients) client.close(code, reason);
  }

  async stop(): Promise<void> {
    await this.#dispose();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  async #takeEvents(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const events = JSON.parse(text) as Event[];
    this.#log.push(...events);
    this.#wakeAll();
    response.writeHead(202, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ events: events.map((event) => ({ id: event.event_id, status: 'accepted' })) }));
  }

  async *#events(after: string | null, tenant: string): AsyncGenerator {
    let next = after === null ? this.#log.length : Number(after) + 1;
    for (;;) {
      for (; next < this.#log.length; next++) {
        const event = this.#log[next];
        if (event?.company_id === tenant) yield { dealEvent: await this.#eventOf(event, String(next)) };
      }
      const known = this.#gap;
      await this.#next();
      if (this.#gap === known) continue;
      yield {
        dealEvent: { cursor: String(this.#log.length - 1), action: 'GAP', id: null, at: new Date().toISOString(), missed: this.#gap },
      };
    }
  }

  async #eventOf(event: Event, cursor: string): Promise<unknown> {
    const { deal } = await this.#ask(event.company_id, `query ($id: ID!) { deal(id: $id) ${DEAL} }`, { id: event.id });
    const named = deal ? await this.#named(deal as Deal, event.company_id) : null;
    return { cursor, action: event.action.toUpperCase(), id: event.id, at: event.at, raw: event, delta: null, missed: null, deal: named };
  }

  async #board({ tenant }: Caller): Promise<unknown> {
    this.#boardQueries += 1;
    const deals = (await this.#field(tenant, 'deals', `{ deals ${DEAL} }`)) as readonly Deal[];
    return Promise.all(deals.map((deal) => this.#named(deal, tenant)));
  }

  async #change({ tenant }: Caller, field: string, mutation: string, variables: Arguments): Promise<unknown> {
    if (this.#failure !== null) throw new GraphQLError(this.#failure);
    return this.#named((await this.#ask(tenant, mutation, variables))[field] as Deal, tenant);
  }

  async #named(deal: Deal, tenant: string): Promise<unknown> {
    const stages = (await this.#field(tenant, 'stages', '{ stages { id name } }')) as readonly { readonly id: string }[];
    const users = (await this.#field(tenant, 'users', '{ users { id name } }')) as readonly { readonly id: string }[];
    return { ...deal, stage: stages.find(({ id }) => id === deal.stageId), owner: users.find(({ id }) => id === deal.ownerId) ?? null };
  }

  async #field(tenant: string, field: string, query: string): Promise<unknown> {
    return (await this.#ask(tenant, query, {}))[field];
  }

  #next(): Promise<void> {
    return new Promise((resolve) => this.#wakes.add(resolve));
  }

  #wakeAll(): void {
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
  }
}

function tenantOf(authorization: unknown): string {
  if (typeof authorization !== 'string' || !authorization.startsWith('Bearer ')) throw new GraphQLError('no token');
  return authorization.slice(7);
}
