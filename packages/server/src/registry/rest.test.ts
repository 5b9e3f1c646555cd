import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { forge, hmac } from '../access/test-tokens.ts';
import { DEV_ISSUER } from '../access/dev-tokens.ts';
import { decodeRelease } from './release-json.ts';
import { SDL, startTestRegistry, type TestRegistry } from './test-registry.ts';

// Vite resolves graphql to its ES build and Node to its CommonJS build; graphql refuses schemas of the other one. This is what Node does.
vi.mock('graphql', () => ({ ...(createRequire(import.meta.url)('graphql') as object) }));

let it_: TestRegistry;
beforeEach(async () => {
  it_ = await startTestRegistry();
});
afterEach(() => it_.close());

const users = { name: 'users', version: 'v1', type_defs: SDL.users, url: 'http://users.test/graphql' };
const deals = { name: 'deals', version: 'v1', type_defs: SDL.deals, url: '' };
const call: TestRegistry['call'] = (...args) => it_.call(...args);
const failure = (message: unknown, code: string, details: unknown = expect.anything()) => ({ success: false, message, code, details });

describe('before anything is pushed', () => {
  it('all lists are empty', async () => {
    expect(await call('GET', '/schema/latest')).toMatchObject({ status: 200, json: { success: true, data: [] } });
    expect(await call('POST', '/schema/compose')).toMatchObject({ status: 200, json: { success: true, data: [] } });
    expect(await call('GET', '/schema/supergraph')).toMatchObject({ status: 200, text: '' });
    expect(await call('GET', '/release')).toMatchObject({ status: 200, json: { success: true, data: null } });
    expect(await call('GET', '/subscriptions/latest')).toMatchObject({
      status: 200,
      json: { success: true, data: { sources: [], definitions: [] } },
    });
    expect(await call('GET', '/schema/history')).toMatchObject({ status: 200, json: { success: true, data: [] } });
  });

  it('health and the front page need no token, everything else does', async () => {
    const bare = { authorization: '' };
    const plain = async (method: string, path: string) => (await fetch(it_.url + path, { method })).status;
    expect(await plain('GET', '/health')).toBe(200);
    expect(await plain('HEAD', '/health')).toBe(200);
    expect(await plain('GET', '/')).toBe(200);
    for (const [method, path] of [
      ['GET', '/schema/latest'],
      ['POST', '/schema/compose'],
      ['POST', '/schema/push'],
      ['POST', '/schema/push-all'],
      ['POST', '/schema/validate'],
      ['POST', '/schema/diff'],
      ['GET', '/schema/supergraph'],
      ['GET', '/schema/history'],
      ['DELETE', '/schema/1'],
      ['DELETE', '/service/x'],
      ['GET', '/persisted_query?key=x'],
      ['POST', '/persisted_query'],
      ['POST', '/subscriptions/push'],
      ['GET', '/subscriptions/latest'],
      ['GET', '/release'],
      ['GET', '/release/watch'],
    ] as const) {
      expect([path, await plain(method, path)]).toEqual([path, 401]);
      expect((await call(method, path, undefined, bare)).status).toBe(401);
    }
  });

  it('a forged token is refused, and a refusal is not cached', async () => {
    const forged = forge(
      { alg: 'HS256' },
      { iss: DEV_ISSUER, sub: 'x', tenant: 't', exp: 9_999_999_999 },
      hmac('another-secret-of-thirty-two-bytes'),
    );
    const answer = await call('GET', '/schema/latest', undefined, { authorization: `Bearer ${forged}` });
    expect(answer).toMatchObject({ status: 401, json: failure(expect.any(String), 'TOKEN_INVALID', null) });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it.each([
    ['GET', '/nowhere'],
    ['POST', '/schema/latest'],
    ['GET', '/schema/push'],
    ['PUT', '/schema/1'],
    ['DELETE', '/schema/'],
    ['DELETE', '/schema/:'],
    ['DELETE', '/service/%ff'],
    ['GET', '//host/schema/latest'],
    ['GET', '/__proto__'],
  ])('%s %s is not found', async (method, path) => {
    expect(await call(method, path)).toMatchObject({ status: 404, text: 'Not found' });
  });
});

describe('push', () => {
  it('answers with the row, and the service is in latest and in the supergraph', async () => {
    const answer = await call('POST', '/schema/push', users);
    const row = {
      service_id: expect.any(Number),
      version: 'v1',
      added_time: '2026-11-18T11:06:40.000Z',
      name: 'users',
      url: 'http://users.test/graphql',
      is_active: 1,
      type_defs: SDL.users,
    };
    const { data } = answer.json as { data: { schema_id: number; service_id: number } };
    expect(answer).toMatchObject({ status: 200 });
    expect(answer.json).toEqual({ success: true, data: { ...row, id: expect.any(Number), schema_id: expect.any(Number) } });
    expect((await call('GET', '/schema/latest')).json).toEqual({
      success: true,
      data: [{ ...row, id: data.schema_id, service_id: data.service_id }],
    });
    const supergraph = await call('GET', '/schema/supergraph');
    expect(supergraph.headers.get('content-type')).toContain('text/plain');
    expect(supergraph.text).toContain('@join__graph(name: "users", url: "http://users.test/graphql")');
  });

  it('is the same again for the same SDL, whatever its white space and comments', async () => {
    const first = await call('POST', '/schema/push', users);
    const again = await call('POST', '/schema/push', { ...users, type_defs: `# a comment\n${SDL.users.replaceAll('\n', '\n\n  ')}` });
    expect(again).toMatchObject({ status: 200, json: first.json });
  });

  it('refuses other SDL under the same version in these words', async () => {
    await call('POST', '/schema/push', users);
    expect(await call('POST', '/schema/push', { ...users, type_defs: SDL.usersWithMail })).toMatchObject({
      status: 400,
      json: failure(
        'Schema [users] and version [v1] already exist in registry. You should not register different type_defs with same version.',
        'VERSION_TAKEN',
      ),
    });
  });

  it('re-points latest', async () => {
    await call('POST', '/schema/push', { ...users, version: 'latest' });
    expect(await call('POST', '/schema/push', { ...users, version: 'latest', type_defs: SDL.usersWithMail })).toMatchObject({
      status: 200,
    });
    expect((await call('GET', '/schema/supergraph')).text).toContain('mail');
  });

  it('reports SDL that does not parse with line and column', async () => {
    expect(await call('POST', '/schema/push', { ...users, type_defs: SDL.broken })).toMatchObject({
      status: 400,
      json: failure(expect.stringContaining('service "users"'), 'SDL_INVALID', [
        expect.objectContaining({ service: 'users', line: 3, column: 1 }),
      ]),
    });
  });

  it('reports what does not compose by service, type and field', async () => {
    await call('POST', '/schema/push', users);
    expect(await call('POST', '/schema/push', { name: 'other', version: 'v1', type_defs: SDL.clashing })).toMatchObject({
      status: 400,
      json: failure(
        expect.stringContaining('me'),
        'COMPOSITION_FAILED',
        expect.arrayContaining([expect.objectContaining({ code: 'COMPOSITION_FAILED', service: 'other', type: 'Query', field: 'me' })]),
      ),
    });
    expect(await call('POST', '/schema/push', { name: 'deals', version: 'v1', type_defs: SDL.dealsWithoutTenant })).toMatchObject({
      status: 400,
      json: failure(expect.stringContaining('type Deal'), 'LIVE_TENANT_MISSING', [
        expect.objectContaining({ service: 'deals', type: 'Deal' }),
      ]),
    });
  });

  const ok = { name: 'abc', version: 'v1', type_defs: SDL.plain };
  it.each<[string, unknown, string]>([
    ['no name', { version: 'v1', type_defs: 'x' }, '"name" is required'],
    ['name a number', { ...ok, name: 7 }, '"name" must be a string'],
    ['name null', { ...ok, name: null }, '"name" must be a string'],
    ['name empty', { ...ok, name: '' }, '"name" is not allowed to be empty'],
    ['name short', { ...ok, name: 'ab' }, '"name" length must be at least 3 characters long'],
    ['name long', { ...ok, name: 'a'.repeat(201) }, '"name" length must be less than or equal to 200 characters long'],
    ['name with a line break', { ...ok, name: 'a\nbc' }, '"name" must not contain control characters'],
    ['no version', { name: 'abc', type_defs: 'x' }, '"version" is required'],
    ['version long', { ...ok, version: 'v'.repeat(101) }, '"version" length must be less than or equal to 100 characters long'],
    ['no SDL', { name: 'abc', version: 'v1' }, '"type_defs" is required'],
    ['SDL a list', { ...ok, type_defs: [] }, '"type_defs" must be a string'],
    ['SDL with U+0000', { ...ok, type_defs: '"""\0""" type Query { a: Int }' }, '"type_defs" must not contain U+0000 or lone surrogates'],
    ['SDL with half a character', { ...ok, type_defs: '# \ud800' }, '"type_defs" must not contain U+0000 or lone surrogates'],
    ['url long', { ...ok, url: `http://${'a'.repeat(255)}` }, '"url" length must be less than or equal to 255 characters long'],
    ['url relative', { ...ok, url: 'users/graphql' }, '"url" must be a valid http or https address'],
    ['url a file', { ...ok, url: 'file:///etc/passwd' }, '"url" must be a valid http or https address'],
    ['url a script', { ...ok, url: 'javascript:alert(1)' }, '"url" must be a valid http or https address'],
    ['unknown key', { ...ok, extra: 1 }, '"extra" is not allowed'],
    ['__proto__', '{"name":"abc","version":"v1","type_defs":"type Query{a:Int}","__proto__":{}}', '"__proto__" is not allowed'],
  ])('refuses %s', async (_, body, message) => {
    for (const path of ['/schema/push', '/schema/validate']) {
      expect(await call('POST', path, body)).toMatchObject({
        status: 400,
        json: failure(message, 'REQUEST_INVALID', [expect.objectContaining({ message })]),
      });
    }
    expect((await call('GET', '/schema/latest')).json).toEqual({ success: true, data: [] });
  });

  it.each(['', 'null', '[]', '7', '"x"', '{', '{"name":', '<xml/>'])('refuses the body %j', async (body) => {
    const { status, json } = await call('POST', '/schema/push', body);
    expect(status).toBe(400);
    expect(json).toMatchObject({ success: false, code: body === '' ? 'REQUEST_INVALID' : 'BODY_NOT_JSON' });
  });

  it('refuses bytes that are not UTF-8, and compressed ones', async () => {
    const bytes = Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    const send = (body: Buffer, headers: Record<string, string>) =>
      fetch(`${it_.url}/schema/push`, {
        method: 'POST',
        body: new Uint8Array(body),
        headers: { authorization: `Bearer ${it_.token}`, ...headers },
      });
    expect(await (await send(bytes, {})).json()).toMatchObject({ code: 'BODY_NOT_JSON' });
    expect(await (await send(Buffer.from('{}'), { 'content-encoding': 'gzip' })).json()).toMatchObject({ code: 'BODY_NOT_JSON' });
  });

  it('names every fault at once', async () => {
    const { json } = await call('POST', '/schema/push', { name: 'ab', version: 1, extra: true });
    expect(json).toMatchObject({ details: [{ path: 'name' }, { path: 'version' }, { path: 'type_defs' }, { path: 'extra' }] });
  });

  it('takes a body of 16 MiB and refuses a larger one with 413, announced or not', async () => {
    const fill = (size: number) => {
      const [head, tail] = ['{"name":"big","version":"v1","type_defs":"type Query { a: Int } #', '"}'];
      return head + 'x'.repeat(size - head.length - tail.length) + tail;
    };
    expect((await call('POST', '/schema/push', fill(16 * 1024 * 1024))).status).toBe(200);
    expect(await call('POST', '/schema/push', fill(16 * 1024 * 1024 + 1))).toMatchObject({
      status: 413,
      json: failure(expect.any(String), 'BODY_TOO_LARGE', null),
    });
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const req = request(
        `${it_.url}/schema/push`,
        { method: 'POST', headers: { authorization: `Bearer ${it_.token}`, 'transfer-encoding': 'chunked' } },
        (res) => {
          res.resume();
          resolve(res.statusCode);
        },
      );
      req.on('error', reject);
      req.end(fill(17 * 1024 * 1024));
    });
    expect(status).toBe(413);
  });
});

describe('validate and diff', () => {
  it('validate says yes and stores nothing', async () => {
    expect(await call('POST', '/schema/validate', users)).toMatchObject({ status: 200, json: { success: true } });
    expect((await call('POST', '/schema/validate', users)).json).toEqual({ success: true });
    expect((await call('GET', '/schema/latest')).json).toEqual({ success: true, data: [] });
    expect(await call('POST', '/schema/validate', { ...users, type_defs: SDL.broken })).toMatchObject({
      status: 400,
      json: { code: 'SDL_INVALID' },
    });
  });

  it('diff tells what clients would see, by level', async () => {
    await call('POST', '/schema/push-all', { services: [users, deals] });
    const diff = async (typeDefs: string) => {
      const { status, json } = await call('POST', '/schema/diff', { name: 'users', version: 'v2', type_defs: typeDefs });
      expect(status).toBe(200);
      return (json as { data: { criticality: { level: string; reason?: string }; type: string; message: string; path: string }[] }).data;
    };
    expect(await diff(SDL.users)).toEqual([]);
    expect(await diff(SDL.usersWithMail)).toEqual([
      { criticality: { level: 'NON_BREAKING' }, type: 'FIELD_ADDED', message: expect.stringContaining('mail'), path: 'User.mail' },
    ]);
    expect(await diff(SDL.usersWithoutName)).toEqual([
      {
        criticality: { level: 'BREAKING', reason: expect.any(String) },
        type: 'FIELD_REMOVED',
        message: expect.stringContaining('name'),
        path: 'User.name',
      },
    ]);
    expect((await call('GET', '/schema/latest')).json).toMatchObject({ data: [{ version: 'v1' }, { version: 'v1' }] });
  });

  it('diff sees what a mapping gives to clients, and a first push as additions', async () => {
    const first = await call('POST', '/schema/diff', { name: 'users', version: 'v1', type_defs: SDL.users });
    expect(first).toMatchObject({ status: 200, json: { data: expect.arrayContaining([expect.objectContaining({ type: 'TYPE_ADDED' })]) } });
    await call('POST', '/schema/push-all', { services: [users, deals] });
    const { json } = await call('POST', '/schema/diff', {
      name: 'deals',
      version: 'v2',
      type_defs: SDL.deals.replace('@live(topic: "crm.deals", tenant: "company_id")', '').replace(' @carried owner', ' owner'),
    });
    expect(json).toMatchObject({
      data: expect.arrayContaining([
        expect.objectContaining({ criticality: expect.objectContaining({ level: 'BREAKING' }), path: 'DealEvent' }),
      ]),
    });
  });

  it('diff takes no url', async () => {
    expect(await call('POST', '/schema/diff', users)).toMatchObject({
      status: 400,
      json: failure('"url" is not allowed', 'REQUEST_INVALID'),
    });
  });
});

describe('compose', () => {
  it('is the versions named and the current ones of the others', async () => {
    await call('POST', '/schema/push-all', { services: [users, deals] });
    await call('POST', '/schema/push', { ...users, version: 'v2', type_defs: SDL.usersWithMail });
    const { status, json } = await call('POST', '/schema/compose', {
      services: [{ name: 'users', version: 'v1', url: 'dropped' }],
      more: 'dropped',
    });
    const { data } = json as { data: Record<string, unknown>[] };
    expect(status).toBe(200);
    expect(data.map((row) => [row['name'], row['version'], 'schema_id' in row])).toEqual([
      ['users', 'v1', true],
      ['deals', 'v1', false],
    ]);
    expect(data[0]?.['schema_id']).toBe(data[0]?.['id']);
    expect((await call('POST', '/schema/compose', {})).json).toEqual((await call('GET', '/schema/latest')).json);
  });

  it.each<[unknown, string, string]>([
    [{ services: [{ name: 'users', version: 'v9' }] }, 'VERSION_UNKNOWN', 'Service [users] and version [v9] is not registered.'],
    [{ services: [{ name: 'nobody', version: 'v1' }] }, 'VERSION_UNKNOWN', 'Service [nobody] and version [v1] is not registered.'],
    [{ services: {} }, 'REQUEST_INVALID', '"services" must be an array'],
    [{ services: [7] }, 'REQUEST_INVALID', '"services[0]" must be of type object'],
    [{ services: [{ name: 'users', version: 7 }] }, 'REQUEST_INVALID', '"services[0].version" must be a string'],
    [{ services: [{ name: 'users' }] }, 'REQUEST_INVALID', '"services[0].version" is required'],
    [
      {
        services: [
          { name: 'users', version: 'v1' },
          { name: 'users', version: 'v2' },
        ],
      },
      'REQUEST_INVALID',
      '"services[1]" contains a duplicate value',
    ],
  ])('refuses %j', async (body, code, message) => {
    await call('POST', '/schema/push', users);
    expect(await call('POST', '/schema/compose', body)).toMatchObject({ status: 400, json: failure(message, code) });
  });

  it('refuses versions that do not compose with the others', async () => {
    await call('POST', '/schema/push', { name: 'first', version: 'v1', type_defs: 'type Query { a: Int } type T { x: Int }' });
    await call('POST', '/schema/push', { name: 'first', version: 'v2', type_defs: 'type Query { a: Int }' });
    await call('POST', '/schema/push', { name: 'second', version: 'v1', type_defs: 'type Query { b: Int } enum T { X }' });
    expect(await call('POST', '/schema/compose', { services: [{ name: 'first', version: 'v1' }] })).toMatchObject({
      status: 400,
      json: { code: 'COMPOSITION_FAILED' },
    });
  });
});

describe('push-all', () => {
  it('is one change', async () => {
    const { status, json } = await call('POST', '/schema/push-all', { services: [deals, users] });
    expect(status).toBe(200);
    expect((json as { data: { name: string }[] }).data.map((row) => row.name)).toEqual(['deals', 'users']);
    const bad = await call('POST', '/schema/push-all', {
      services: [
        { ...users, version: 'v2', type_defs: SDL.usersWithMail },
        { ...deals, version: 'v2', type_defs: SDL.dealsWithoutTenant },
      ],
    });
    expect(bad).toMatchObject({ status: 400, json: { code: 'LIVE_TENANT_MISSING' } });
    expect((await call('GET', '/schema/latest')).json).toMatchObject({ data: [{ version: 'v1' }, { version: 'v1' }] });
  });

  it('takes a subscription address and a mapping, and gives them back', async () => {
    const service = {
      ...users,
      subscription_url: 'wss://users.test/ws',
      mapping_defs: 'extend schema @link(url: "https://specs.millrace.dev/live/v1.0", import: ["@live"])',
    };
    expect(await call('POST', '/schema/push-all', { services: [service] })).toMatchObject({ status: 200, json: { data: [service] } });
    expect((await call('GET', '/release')).json).toMatchObject({
      data: { subgraphs: [{ name: 'users', subscriptionUrl: 'wss://users.test/ws' }] },
    });
  });

  it.each<[unknown, string]>([
    [{}, '"services" is required'],
    [{ services: [] }, '"services" must contain at least 1 items'],
    [{ services: Array.from({ length: 1001 }, () => ({})) }, '"services" must contain less than or equal to 1000 items'],
    [{ services: [{ ...users, name: '' }] }, '"services[0].name" is not allowed to be empty'],
    [{ services: [users, users] }, '"services[1]" contains a duplicate value'],
    [{ services: [users], extra: 1 }, '"extra" is not allowed'],
  ])('refuses a wrong shape', async (body, message) => {
    expect(await call('POST', '/schema/push-all', body)).toMatchObject({
      status: 400,
      json: { code: 'REQUEST_INVALID', details: expect.arrayContaining([expect.objectContaining({ message })]) },
    });
  });
});

describe('delete', () => {
  it('deactivates a schema and falls back; refuses where nothing is left; unknown ids are null', async () => {
    await call('POST', '/schema/push', users);
    const { json } = await call('POST', '/schema/push', { ...users, version: 'v2', type_defs: SDL.usersWithMail });
    const id = (json as { data: { schema_id: number } }).data.schema_id;
    expect(await call('DELETE', `/schema/${id}`)).toMatchObject({
      status: 200,
      json: { success: true, data: { id, version: 'v2', is_active: 0 } },
    });
    const { json: latest } = await call('GET', '/schema/latest');
    const [row] = (latest as { data: { id: number; version: string }[] }).data;
    expect(row?.version).toBe('v1');
    expect(await call('DELETE', `/schema/${row?.id}`)).toMatchObject({ status: 400, json: { code: 'COMPOSITION_FAILED' } });
    expect((await call('GET', '/schema/latest')).json).toEqual(latest);
    for (const unknown of ['99', '99999999999', '0', '-1', 'abc', '1e3', '%00']) {
      expect(await call('DELETE', `/schema/${unknown}`)).toMatchObject({ status: 200, json: { success: true, data: null } });
    }
  });

  it('forgets a service, unless the rest would not compose; force does it all the same', async () => {
    await call('POST', '/schema/push-all', { services: [users, { name: 'plain', version: 'v1', type_defs: SDL.plain }] });
    expect(await call('DELETE', '/service/plain')).toMatchObject({
      status: 200,
      json: { data: { id: expect.any(Number), name: 'plain' } },
    });
    expect((await call('GET', '/schema/supergraph')).text).not.toContain('hello');
    expect(await call('DELETE', '/service/plain')).toMatchObject({ status: 200, json: { data: null } });
    expect(await call('DELETE', '/service/users')).toMatchObject({ status: 400, json: { code: 'COMPOSITION_FAILED' } });
    const before = (await call('GET', '/schema/supergraph')).text;
    expect(await call('DELETE', '/service/users?force=true')).toMatchObject({ status: 200, json: { data: { name: 'users' } } });
    expect((await call('GET', '/schema/supergraph')).text).toBe(before);
    expect((await call('GET', '/schema/latest')).json).toEqual({ success: true, data: [] });
  });
});

describe('documents and subscription sources', () => {
  const value = 'query A { me { id } }';
  const hash = createHash('sha256').update(value).digest('hex');

  it('keeps documents by their hash', async () => {
    expect((await call('GET', `/persisted_query?key=${hash}`)).json).toEqual({ success: true, data: null });
    expect((await call('POST', '/persisted_query', { key: `apq:${hash}`, value })).json).toEqual({ success: true });
    expect((await call('POST', '/persisted_query', { key: hash, value })).json).toEqual({ success: true });
    expect((await call('GET', `/persisted_query?key=${hash}`)).json).toEqual({ success: true, data: value });
    expect((await call('GET', `/persisted_query?key=apq:${hash}`)).json).toEqual({ success: true, data: value });
    expect((await call('GET', '/persisted_query')).json).toEqual({ success: true, data: null });
  });

  it.each<[string, object, string]>([
    ['another document under a hash', { key: hash, value: '{ evil }' }, 'PERSISTED_QUERY_HASH'],
    ['a key that is no hash', { key: 'mine', value }, 'PERSISTED_QUERY_HASH'],
    ['rubbish under its own hash', { key: createHash('sha256').update('{').digest('hex'), value: '{' }, 'PERSISTED_QUERY_INVALID'],
    ['a schema', { key: createHash('sha256').update(SDL.plain).digest('hex'), value: SDL.plain }, 'PERSISTED_QUERY_INVALID'],
    ['no value', { key: hash }, 'REQUEST_INVALID'],
  ])('refuses %s', async (_, body, code) => {
    expect(await call('POST', '/persisted_query', body)).toMatchObject({ status: 400, json: { success: false, code } });
    expect((await call('GET', `/persisted_query?key=${hash}`)).json).toEqual({ success: true, data: null });
  });

  it('keeps subscription sources', async () => {
    const source = {
      name: 'socket',
      version: 'v1',
      type_defs: 'type Subscription { a: Int } type A { b: Int }',
      ws_url: 'wss://socket.test',
    };
    expect((await call('POST', '/subscriptions/push', source)).json).toEqual({
      success: true,
      data: { id: expect.any(Number), name: 'socket', version: 'v1', ws_url: 'wss://socket.test', definitionsCount: 2 },
    });
    expect(await call('POST', '/subscriptions/push', { ...source, type_defs: 'type A { c: Int }' })).toMatchObject({
      status: 400,
      json: { code: 'VERSION_TAKEN' },
    });
    expect(await call('POST', '/subscriptions/push', { ...source, name: 'other', type_defs: 'type A {' })).toMatchObject({
      status: 400,
      json: { code: 'SDL_INVALID' },
    });
    expect(await call('POST', '/subscriptions/push', { ...source, ws_url: 'http://socket.test' })).toMatchObject({
      status: 400,
      json: { message: '"ws_url" must be a valid ws or wss address' },
    });
    await call('POST', '/subscriptions/push', { name: 'other', version: 'latest', type_defs: 'type A { b: Int }' });
    expect((await call('GET', '/subscriptions/latest')).json).toMatchObject({
      data: {
        sources: [
          { name: 'socket', version: 'v1', ws_url: 'wss://socket.test' },
          { name: 'other', version: 'latest', ws_url: null },
        ],
        definitions: ['type Subscription {\n  a: Int\n}', 'type A {\n  b: Int\n}'],
      },
    });
  });
});

describe('releases', () => {
  it('are given whole, with their digest as ETag', async () => {
    await call('POST', '/schema/push-all', { services: [users, deals] });
    const answer = await call('GET', '/release');
    const etag = answer.headers.get('etag');
    expect(etag).toBe(`"${it_.registry.release()?.digest}"`);
    expect(decodeRelease(JSON.stringify((answer.json as { data: unknown }).data))).toEqual(it_.registry.release());
    expect(await call('GET', '/release', undefined, { 'if-none-match': etag ?? '' })).toMatchObject({ status: 304, text: '' });
  });

  it('are followed as they come', async () => {
    await call('POST', '/schema/push', users);
    const abort = new AbortController();
    const response = await fetch(`${it_.url}/release/watch`, { headers: { authorization: `Bearer ${it_.token}` }, signal: abort.signal });
    const events = sse(response);
    expect((await events.next()).value).toMatchObject({ event: 'release', id: it_.registry.release()?.digest });
    const next = events.next();
    await call('POST', '/schema/push', { ...users, version: 'v2', type_defs: SDL.usersWithMail });
    const { value } = await next;
    expect(decodeRelease(value?.data ?? '')).toEqual(it_.registry.release());
    abort.abort();
  });

  it('are not repeated to whoever has the current one, and end on drain', async () => {
    await call('POST', '/schema/push', users);
    const headers = { authorization: `Bearer ${it_.token}`, 'last-event-id': it_.registry.release()?.digest ?? '' };
    const events = sse(await fetch(`${it_.url}/release/watch`, { headers }));
    const next = events.next();
    it_.handler.drain();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await call('GET', '/health')).toMatchObject({ status: 503, text: 'terminated' });
  });
});

type SseEvent = { event: string; id: string; data: string };

async function* sse(response: Response): AsyncGenerator<SseEvent, undefined> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const fields = new Map(
        text
          .slice(0, end)
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
      );
      text = text.slice(end + 2);
      if (fields.has('data')) yield { event: fields.get('event') ?? '', id: fields.get('id') ?? '', data: fields.get('data') ?? '' };
    }
  }
  return undefined;
}

describe('the history and the store', () => {
  it('tells who changed what, by pages', async () => {
    await call('POST', '/schema/push', users);
    await call('POST', '/schema/push', { ...users, version: 'v2' });
    const { json } = await call('GET', '/schema/history?limit=1');
    const [newest] = (json as { data: { id: number }[] }).data;
    expect(newest).toMatchObject({
      actor: 'acme/ann',
      kind: 'push',
      service: 'users',
      version: 'v2',
      release: it_.registry.release()?.digest,
      at: expect.any(String),
      revision: 2,
    });
    expect((await call('GET', `/schema/history?before=${newest?.id}`)).json).toMatchObject({ data: [{ version: 'v1' }] });
    for (const query of ['limit=0', 'limit=501', 'limit=x', 'before=-1', 'before=1e3'])
      expect((await call('GET', `/schema/history?${query}`)).status).toBe(400);
  });

  it('says when the database is away, tells nothing of it, and still serves the last good supergraph', async () => {
    await call('POST', '/schema/push', users);
    const release = it_.registry.release();
    await it_.store.close();
    expect(await call('GET', '/health')).toMatchObject({ status: 503, text: 'db not ready' });
    expect((await call('GET', '/schema/supergraph')).text).toBe(release?.supergraphSdl);
    const { status, json } = await call('POST', '/schema/push', { ...users, version: 'v2' });
    expect(status).toBeGreaterThanOrEqual(500);
    expect(JSON.stringify(json)).not.toMatch(/sqlite|database is not open|select/i);
  });
});
