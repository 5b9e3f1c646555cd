import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAuthenticator } from '../access/authenticator.ts';
import { issueDevToken } from '../access/dev-tokens.ts';
import { type Clock, ManualClock } from '../kit/clock.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { composeRelease } from '../supergraph/compose.ts';
import type { Compose } from './composer.ts';
import { openRegistry, type Registry } from './registry.ts';
import { createRegistryHandler, type RegistryHandler } from './rest.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { RegistryStore } from './store.ts';

/** A registry on a real socket with the real composition, for tests. */
export type TestRegistry = {
  readonly registry: Registry;
  readonly store: RegistryStore;
  readonly handler: RegistryHandler;
  readonly server: Server;
  readonly url: string;
  readonly token: string;
  readonly clock: Clock;
  /** Sends with the token; the body as JSON unless it is text already. */
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; json: unknown; text: string; headers: Headers }>;
  close(): Promise<void>;
};

export const realCompose: Compose = async (services) => composeRelease(services);

export async function startTestRegistry(options: { compose?: Compose; clock?: Clock } = {}): Promise<TestRegistry> {
  const clock = options.clock ?? new ManualClock(1_795_000_000_000);
  const store = await openSqliteStore(':memory:');
  const registry = await openRegistry({
    store,
    compose: options.compose ?? realCompose,
    clock,
    log: silentLogger,
    metrics: new Metrics(),
    pollInterval: null,
  });
  const handler = createRegistryHandler({ registry, authenticator: createAuthenticator({ mode: 'dev', issuers: [], clock }) });
  const server = createServer(handler.handle.bind(handler));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const token = await issueDevToken({ tenant: 'acme', user: 'ann' }, clock);
  return {
    registry,
    store,
    handler,
    server,
    url,
    token,
    clock,
    async call(method, path, body, headers = {}) {
      const init = { method, headers: { authorization: `Bearer ${token}`, ...headers } };
      const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
      const response = await fetch(url + path, text === undefined ? init : { ...init, body: text });
      const answer = await response.text();
      return { status: response.status, json: parsed(answer), text: answer, headers: response.headers };
    },
    async close() {
      handler.drain();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await registry.close();
      await store.close();
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const LINK =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable", "@inaccessible"]) @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live", "@carried", "@filterable"])';

export const SDL = {
  users: 'type Query { me: User }\ntype User @key(fields: "id") { id: ID! name: String! }\n'.replace(/^/, `${LINK}\n`),
  usersWithMail: `${LINK}\ntype Query { me: User }\ntype User @key(fields: "id") { id: ID! name: String! mail: String }`,
  usersWithoutName: `${LINK}\ntype Query { me: User }\ntype User @key(fields: "id") { id: ID! }`,
  deals: `${LINK}\ntype Query { deals: [Deal!]! }
    type Deal @key(fields: "id") @live(topic: "crm.deals", tenant: "company_id") { id: ID! title: String! @carried owner: User }
    type User @key(fields: "id") { id: ID! }`,
  dealsWithoutTenant: `${LINK}\ntype Query { deals: [Deal!]! }
    type Deal @key(fields: "id") @live(topic: "crm.deals") { id: ID! title: String! @carried }`,
  clashing: 'type Query { me: Int }',
  plain: 'type Query { hello: String }',
  broken: 'type Query {\n  hello: \n}',
};
