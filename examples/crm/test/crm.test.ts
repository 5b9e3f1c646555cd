import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMPANIES } from '../server/companies.ts';
import { ANY_PORTS, type Crm, startCrm } from '../server/start.ts';
import { startStandIn } from './stand-in.ts';

let standIn: Awaited<ReturnType<typeof startStandIn>>;
let crm: Crm;

beforeAll(async () => {
  standIn = await startStandIn();
  crm = await startCrm({
    eventsUrl: standIn.eventsUrl,
    graphqlUrl: standIn.url,
    ports: ANY_PORTS,
    everyMs: 0,
    issueToken: async ({ tenant, user }) => `${tenant}/${user}`,
  });
});

afterAll(async () => {
  await crm.stop();
  await standIn.stop();
});

type Answer = { data?: Record<string, never> | null; errors?: { message: string; extensions?: { code?: string } }[] };

async function ask(subgraph: string, query: string, tenant?: string): Promise<Answer> {
  const url = crm.subgraphs.find(({ name }) => name === subgraph)?.url ?? '';
  const headers = { 'content-type': 'application/json', ...(tenant === undefined ? {} : { 'millrace-tenant': tenant }) };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return (await response.json()) as Answer;
}

test.each(['deals', 'users', 'pipelines'])('%s gives nothing without a tenant that exists, and its SDL to anybody', async (name) => {
  const query = { deals: '{ deals { id } }', users: '{ users { id } }', pipelines: '{ stages { id } }' }[name] ?? '';
  for (const tenant of [undefined, '', 'constructor', 'nobody']) {
    const { data, errors } = await ask(name, query, tenant);
    expect(data).toBeNull();
    expect(errors?.[0]?.extensions?.code).toBe('UNAUTHENTICATED');
  }
  expect((await ask(name, '{ _service { sdl } }')).data?.['_service']).toEqual({
    sdl: crm.subgraphs.find((subgraph) => subgraph.name === name)?.sdl,
  });
});

test('every company has a board of its own size and none of another', async () => {
  const seen = new Map<string, string>();
  for (const { id } of COMPANIES) {
    const { data } = await ask('deals', '{ deals { id stage { id } owner { id } rev value } }', id);
    const deals = data?.['deals'] as unknown as { id: string; value: number }[];
    expect(deals.length).toBe(20);
    expect(deals.map(({ value }) => value)).toEqual(deals.map(({ value }) => value).toSorted((a, b) => b - a));
    for (const deal of deals) {
      expect(seen.has(deal.id)).toBe(false);
      seen.set(deal.id, id);
    }
  }
});

test('entities of another company are not found', async () => {
  const users =
    '{ _entities(representations: [{ __typename: "User", id: "ines" }, { __typename: "User", id: "maya" }]) { ... on User { name } } }';
  expect((await ask('users', users, 'nordwind')).data).toEqual({ _entities: [{ name: 'Ines Albrecht' }, null] });
  const unknown = '{ _entities(representations: [{ __typename: "constructor", id: "1" }]) { __typename } }';
  expect((await ask('users', unknown, 'nordwind')).errors?.[0]?.message).toContain('no entity type');
});

test('a move goes to the monolith, and the monolith tells Millrace', async () => {
  const { data } = await ask('deals', '{ deals(stageId: "proposal", first: 1) { id rev } }', 'kestrel');
  const deal = (data?.['deals'] as unknown as { id: string; rev: number }[] | undefined)?.[0] ?? { id: '', rev: 0 };
  const moved = await ask('deals', `mutation { moveDeal(id: "${deal.id}", stageId: "won") { stageId rev } }`, 'kestrel');
  expect(moved.data).toEqual({ moveDeal: { stageId: 'won', rev: deal.rev + 1 } });
  const event = await standIn.received((one) => one.id === deal.id);
  expect(event).toMatchObject({ action: 'changed', company_id: 'kestrel', stage_id: 'won', before: { stage_id: 'proposal' } });
});

test.each([
  ['moveDeal(id: "nothing", stageId: "won")', 'NOT_FOUND'],
  ['moveDeal(id: "KE-1001", stageId: "limbo")', 'BAD_USER_INPUT'],
  ['createDeal(title: " ", account: "", value: 1)', 'BAD_USER_INPUT'],
])('%s is %s', async (field, code) => {
  expect((await ask('deals', `mutation { ${field} { id } }`, 'kestrel')).errors?.[0]?.extensions?.code).toBe(code);
});

test('the sign-in hands out tokens by JSON only, and only for people who exist', async () => {
  const post = (body: string, type = 'application/json') =>
    fetch(`${crm.boardUrl}token`, { method: 'POST', headers: { 'content-type': type }, body });
  expect(await (await post('{"user":"maya"}')).json()).toEqual({ token: 'harbor/maya' });
  expect((await post('{"user":"maya"}', 'text/plain')).status).toBe(415);
  expect((await post('{"user":"constructor"}')).status).toBe(404);
  expect((await post('[')).status).toBe(400);
});

test.each(['/../package.json', '/%2e%2e/package.json', '/..%2fpackage.json', '/assets/../../server/main.ts'])(
  '%s stays closed',
  async (path) => {
    expect(await statusOf(path)).toBe(404);
  },
);

test('the board answers to this machine only', async () => {
  expect(await statusOf('/config.json', 'evil.example')).toBe(403);
  expect(await statusOf('/config.json', 'localhost:4010')).toBe(200);
});

test('it ends as a whole: the monolith too', async () => {
  const other = await startCrm({
    eventsUrl: standIn.eventsUrl,
    graphqlUrl: standIn.url,
    ports: ANY_PORTS,
    everyMs: 1,
    issueToken: async () => '',
  });
  await other.stop();
  await other.stop();
  expect(() => process.kill(other.monolith.pid, 0)).toThrow(/ESRCH/);
  await expect(fetch(other.boardUrl)).rejects.toThrow();
});

/** Without the tidying of paths that `fetch` does. */
function statusOf(path: string, host?: string): Promise<number> {
  const { hostname, port } = new URL(crm.boardUrl);
  return new Promise((resolve, reject) => {
    const call = request({ hostname, port, path, ...(host === undefined ? {} : { headers: { host } }) }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on('error', reject);
    call.end();
  });
}
