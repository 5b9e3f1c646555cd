import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { parse } from 'graphql';
import { parse as parseYaml } from 'yaml';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEV_ISSUER } from '../access/dev-tokens.ts';
import { MillraceError } from '../kit/errors.ts';
import { writeRuntimeFile } from '../server/runtime-file.ts';
import { commands } from './commands.ts';
import { makeBatches } from './commands/events-publish.ts';
import { traceLine } from './commands/events-tail.ts';
import { namePort } from './port-taken.ts';
import { fakeServer, runCli } from './testing/run-cli.ts';

let cwd: string;
beforeEach(() => void (cwd = mkdtempSync(join(tmpdir(), 'millrace-cli-'))));
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

describe('help', () => {
  it.each(commands.map((command) => [command.path.join(' '), command] as const))(
    '%s shows usage, flags, examples and exit codes',
    async (name, { path, examples }) => {
      const { code, stdout } = await runCli([...path, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain(`Usage: millrace ${name}`);
      expect(stdout).toMatch(/Flags:\n[^]*--help[^]*--json[^]*Examples:\n {2}\S[^]*Exit codes:\n {2}0 /);
      for (const example of examples) expect(example, 'an example runs what it belongs to').toContain(`millrace ${name}`);
    },
  );

  it('lists every command without arguments and with --help, and those of a group', async () => {
    for (const args of [[], ['--help'], ['help']]) {
      const { code, stdout } = await runCli(args);
      expect(code).toBe(0);
      for (const { path } of commands) expect(stdout).toContain(`  ${path.join(' ')}`);
    }
    expect((await runCli(['events'])).stdout).toMatch(/events publish[^]*events tail/);
  });

  it('shows the version', async () => {
    expect((await runCli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('a wrong command line', () => {
  it.each([
    [['shcema', 'push'], 'did you mean "schema'],
    [['schema', 'psuh'], 'did you mean "schema push"?'],
    [['token', '--tennant', 'x'], 'did you mean "--tenant"?'],
    [['token', '-x'], 'has no flag -x;'],
    [['token', '--tenant', 'x'], 'needs --tenant T and --user U'],
    [['token', '--tenant', 'x', '--user', 'y', '--expires', 'never'], '--expires: got "never"'],
    [['schema', 'push', 'deals'], 'needs FILE'],
    [['schema', 'push', 'deals', 'a', 'b'], 'does not take "b"'],
    [['schema', 'push', 'deals', 'gone.graphql', '--registry', 'http://127.0.0.1:9'], 'cannot read gone.graphql: there is no such file'],
    [['health', '--admin', 'nonsense'], '--admin: got "nonsense", takes an http or https URL'],
    [['dead-letters', 'redrive'], 'takes an ID, or --all'],
    [['dead-letters', 'list', '--limit', '0'], '--limit: got "0"'],
    [['events', 'publish', '{"a":1}\n{b'], 'line 2 cannot be parsed'],
  ])('%j is one line with a code, and exit code 2', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args, { cwd });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^error: [^\n]+ \(USAGE\)\n$/);
    expect(stderr).toContain(message);
  });
});

describe('finding the server', () => {
  const addresses = { graphql: '', ws: '', sse: '', events: '', registry: '', admin: '' };

  it('reads runtime.json of the data folder, and signs in with a development token there', async () => {
    await using server = await fakeServer((_, response) => response.end('ok'));
    writeRuntimeFile(join(cwd, '.millrace'), { pid: process.pid, mode: 'dev', addresses: { ...addresses, admin: `${server.url}/` } });
    expect(await runCli(['health'], { cwd })).toMatchObject({ code: 0, stdout: `ready: ${server.url}/\n` });
    expect(server.seen.map(({ url }) => url).toSorted()).toEqual(['/health', '/ready']);
    expect(decodeJwt(server.seen[0]!.headers.authorization!.slice(7)).iss).toBe(DEV_ISSUER);
  });

  it('says so where none runs, and takes the file of a killed one for none', async () => {
    expect(await runCli(['health'], { cwd })).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('no server is running on the data folder .millrace'),
    });
    writeRuntimeFile(join(cwd, '.millrace'), { pid: 2 ** 22 + 1, mode: 'dev', addresses });
    expect((await runCli(['health'], { cwd })).code).toBe(3);
  });

  it('takes flag over environment, and says which address does not answer', async () => {
    const gone = await fakeServer(() => {});
    await gone[Symbol.asyncDispose]();
    const environment = { MILLRACE_ADMIN: `${gone.url}/` };
    expect(await runCli(['health'], { cwd, environment })).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/127\.0\.0\.1:\d+\/: ECONNREFUSED \(SERVER_UNREACHABLE\)/),
    });
    await using server = await fakeServer((_, response) => response.end('ok'));
    expect((await runCli(['health', '--admin', server.url, '--token', 't'], { cwd, environment })).code).toBe(0);
    expect(server.seen[0]!.headers.authorization).toBe('Bearer t');
  });

  it('gives 3 for a server that is not ready, and 4 where the token is refused', async () => {
    await using server = await fakeServer(({ url }, response) => void response.writeHead(url === '/ready' ? 503 : 200).end('draining'));
    expect(await runCli(['health', '--admin', server.url])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('not ready: draining (SERVER_NOT_READY)'),
    });
    await using strict = await fakeServer(
      (_, response) => void response.writeHead(401).end('{"error":{"code":"TOKEN_EXPIRED","message":"the token has expired"}}'),
    );
    expect(await runCli(['schema', 'latest', '--registry', strict.url])).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('the token has expired [TOKEN_EXPIRED]'),
    });
  });
});

it('token prints a token of the development issuer', async () => {
  const { stdout } = await runCli([
    'token',
    '--tenant',
    'acme',
    '--user',
    'ann',
    '--role',
    'a',
    '--role',
    'b',
    '--scope',
    's',
    '--expires',
    '30m',
  ]);
  const claims = decodeJwt(stdout.trim());
  expect(claims).toMatchObject({ iss: DEV_ISSUER, sub: 'ann', tenant: 'acme', roles: ['a', 'b'], scope: 's' });
  expect(claims.exp! - claims.iat!).toBe(1800);
});

describe('schema', () => {
  it('pushes a file as the version latest, and shows what the registry says against it', async () => {
    writeFileSync(join(cwd, 's.graphql'), 'type Query { a: Int }');
    let status = 200;
    await using server = await fakeServer((_, response) => {
      response
        .writeHead(status)
        .end(
          status === 200
            ? '{"success":true,"data":{"name":"deals"}}'
            : '{"success":false,"message":"does not compose","details":[{"message":"Deal.x: unknown type"}]}',
        );
    });
    const args = ['schema', 'push', 'deals', 's.graphql', '--url', 'http://h/', '--registry', server.url];
    expect(await runCli(args, { cwd })).toMatchObject({ code: 0, stdout: 'pushed deals latest\n' });
    expect(server.seen[0]).toMatchObject({ method: 'POST', url: '/schema/push' });
    expect(JSON.parse(server.seen[0]!.body)).toEqual({
      name: 'deals',
      version: 'latest',
      type_defs: 'type Query { a: Int }',
      url: 'http://h/',
    });
    status = 400;
    expect(await runCli(args, { cwd })).toMatchObject({
      code: 1,
      stderr: 'error: does not compose\n  Deal.x: unknown type (SERVER_SAID_NO)\n',
    });
  });

  it('says a single reason once', async () => {
    writeFileSync(join(cwd, 's.graphql'), 'type Query { a: Int }');
    await using server = await fakeServer((_, response) => {
      response.writeHead(400).end('{"success":false,"message":"does not compose: no Q","details":[{"message":"no Q"}]}');
    });
    expect(await runCli(['schema', 'validate', 'deals', 's.graphql', '--registry', server.url], { cwd })).toMatchObject({
      stderr: 'error: does not compose: no Q (SERVER_SAID_NO)\n',
    });
  });

  it('shows breaking changes first', async () => {
    const data = ['NON_BREAKING', 'BREAKING', 'DANGEROUS'].map((level) => ({ criticality: { level }, message: level.toLowerCase() }));
    await using server = await fakeServer((_, response) => response.end(JSON.stringify({ success: true, data })));
    const { stdout } = await runCli(['schema', 'diff', 'deals', '-', '--registry', server.url], { stdin: 'type Query { a: Int }' });
    expect(stdout.split('\n').map((line) => line.split(' ')[0])).toEqual(['BREAKING', 'DANGEROUS', 'NON_BREAKING', '']);
  });

  it('prints directives that parse', async () => {
    const { stdout } = await runCli(['schema', 'directives']);
    expect(parse(stdout).definitions.length).toBeGreaterThan(3);
  });
});

describe('events publish', () => {
  const flags = (values: Record<string, string> = {}) => ({ text: (name: string) => values[name] ?? null });
  const cloudEvent = '{"specversion":"1.0","id":"1","source":"/s","type":"a.b"}';

  it.each([
    ['{"a":1}', 'application/json', 1],
    ['[{"a":1},{"a":2}]', 'application/json', 2],
    ['{"a":1}\n\n{"a":2}\n', 'application/x-ndjson', 2],
    [cloudEvent, 'application/cloudevents+json', 1],
    [`[${cloudEvent}]`, 'application/cloudevents-batch+json', 1],
    [`${cloudEvent}\n${cloudEvent}`, 'application/cloudevents-batch+json', 2],
    ['[]', 'application/json', 0],
  ])('recognises %j as %s', (text, contentType, count) => {
    expect(makeBatches(text, flags())).toMatchObject([{ contentType, count }]);
  });

  it('splits long NDJSON into batches without losing or reordering a line', () => {
    const lines = Array.from({ length: 1234 }, (_, index) => JSON.stringify({ index }));
    const batches = makeBatches(lines.join('\n'), flags());
    expect(batches.map(({ count }) => count)).toEqual([500, 500, 234]);
    expect(
      batches
        .map(({ body }) => body)
        .join('\n')
        .split('\n'),
    ).toEqual(lines);
  });

  it('wraps JSON as a CloudEvent on request', () => {
    const [batch] = makeBatches('{"a":1}', flags({ 'event-type': 'x.y.changed', 'event-id': 'e1' }));
    expect(JSON.parse(batch!.body)).toMatchObject({ specversion: '1.0', id: 'e1', source: '/cli', type: 'x.y.changed', data: { a: 1 } });
  });

  it('waits for a busy server, and says honestly what was rejected', async () => {
    let busy = 1;
    await using server = await fakeServer((_, response) => {
      if (busy-- > 0) return void response.writeHead(503, { 'retry-after': '0' }).end('{}');
      response
        .writeHead(202)
        .end('{"events":[{"id":"1","status":"accepted"},{"id":"2","status":"rejected","code":"TENANT_MISSING","reason":"no tenant"}]}');
    });
    const ran = await runCli(['events', 'publish', '--topic', 'a b', '--events', `${server.url}/events`, '-'], {
      stdin: '{"a":1}\n{"a":2}',
    });
    expect(ran).toEqual({ code: 1, stdout: 'accepted 1, duplicate 0, rejected 1\n', stderr: 'rejected 2: no tenant (TENANT_MISSING)\n' });
    expect(server.seen.map(({ url }) => url)).toEqual(['/events?topic=a+b', '/events?topic=a+b']);
  });
});

describe('events tail', () => {
  it('shows each event on a line until it is interrupted', async () => {
    const interruption = new AbortController();
    await using server = await fakeServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(
        ': hello\n\ndata: {"time":0,"topic":"crm.deals","outcome":"published","code":null,"channel":{"epoch":"e","offset":3}}\n\nevent: skipped\ndata: 7\n\n',
      );
      response.write('data: {"topic":"last"}\n\n');
    });
    const ran = await runCli(['events', 'tail', '--tenant', 'acme', '--admin', server.url], {
      interrupted: interruption.signal,
      onStdout: (soFar) => void (soFar.includes('last') && interruption.abort()),
    });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toBe('00:00:00.000  crm.deals  published  at offset 3\n-  last\n');
    expect(ran.stderr).toContain('(7 events skipped)');
    expect(server.seen[0]!.url).toBe('/events/tail?tenant=acme');
  });

  it('lets no foreign control characters reach the terminal', () => {
    expect(traceLine('{"topic":"\\u001b[2Jx","n":1}')).toBe('-   [2Jx');
    expect(traceLine('not json')).toBe('not json');
  });
});

describe('dead-letters show', () => {
  it('shows times as times, and bytes only where they are no text', async () => {
    let letter: object = { id: '1', at: 0, redrivenAt: null, text: '{}', base64: 'e30=' };
    await using server = await fakeServer((_, response) => response.end(JSON.stringify(letter)));
    const show = async (...flags: string[]) => (await runCli(['dead-letters', 'show', '1', '--admin', server.url, ...flags])).stdout;
    expect(await show()).toBe('id:          1\nat:          1970-01-01 00:00:00\nredrivenAt:  -\ntext:        {}\n');
    expect(JSON.parse(await show('--json'))).toEqual(letter);
    letter = { id: '1', text: null, base64: '/w==' };
    expect(await show()).toContain('base64:      /w==');
  });
});

describe('dead-letters redrive --all', () => {
  it('redrives what was not redriven, the oldest first, each once', async () => {
    const row = (id: number) => ({
      id: String(id),
      topic: 't',
      code: 'C',
      reason: 'r',
      attempts: 1,
      bytes: 1,
      at: id,
      redrivenAt: id % 2 === 0 ? null : 1,
    });
    const all = Array.from({ length: 250 }, (_, index) => row(250 - index));
    await using server = await fakeServer(({ method, url }, response) => {
      const after = new URL(url, 'http://h').searchParams.get('after');
      const start = after === null ? 0 : all.findIndex(({ id }) => id === after) + 1;
      response.end(JSON.stringify(method === 'POST' ? { result: 'redriven' } : { letters: all.slice(start, start + 200) }));
    });
    expect(await runCli(['dead-letters', 'redrive', '--all', '--admin', server.url])).toMatchObject({
      code: 0,
      stdout: 'redriven 125, already 0\n',
    });
    const order = server.seen.filter(({ method }) => method === 'POST').map(({ url }) => Number(url.split('/')[2]));
    expect(order).toEqual(Array.from({ length: 125 }, (_, index) => (index + 1) * 2));
  });

  it('says of an unknown id that there is none', async () => {
    await using server = await fakeServer((_, response) => response.end('{"result":"unknown"}'));
    expect(await runCli(['dead-letters', 'redrive', '9', '--admin', server.url])).toMatchObject({
      code: 1,
      stderr: 'error: there is no dead letter 9 (SERVER_SAID_NO)\n',
    });
  });
});

describe('config', () => {
  it('shows where each value came from', async () => {
    writeFileSync(join(cwd, 'millrace.config.json'), '{"port": 5000}');
    const { code, stdout } = await runCli(['config', '--explain', '--log-level', 'debug'], {
      cwd,
      environment: { MILLRACE_HOST: 'localhost' },
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^port +5000 +millrace\.config\.json$/m);
    expect(stdout).toMatch(/^host +localhost +MILLRACE_HOST$/m);
    expect(stdout).toMatch(/^log\.level +debug +--log-level$/m);
  });

  it('gives 5 and every problem for one that is invalid', async () => {
    writeFileSync(join(cwd, 'millrace.config.json'), '{"port": -1, "hots": "x"}');
    const { code, stderr } = await runCli(['config'], { cwd });
    expect(code).toBe(5);
    expect(stderr).toMatch(/hots[^]*did you mean "host"\?[^]*port \(from millrace\.config\.json\): got -1[^]*\(CONFIG_INVALID\)\n$/);
  });
});

describe('init', () => {
  it('writes a project whose schema and configuration parse, and never overwrites one', async () => {
    expect((await runCli(['init', 'shop'], { cwd })).code).toBe(0);
    const read = (name: string): string => readFileSync(join(cwd, 'shop', name), 'utf8');
    expect(read('schema.graphql').trim().split('\n').length).toBeLessThanOrEqual(10);
    expect(parse(read('schema.graphql')).definitions).toHaveLength(3);
    expect(parseYaml(read('supergraph.yaml'))).toMatchObject({ subgraphs: { orders: { schema: { file: './schema.graphql' } } } });
    writeFileSync(join(cwd, 'shop/README.md'), 'mine');
    expect(await runCli(['init', 'shop'], { cwd })).toMatchObject({ code: 2, stderr: expect.stringContaining('nothing was written') });
    expect(read('README.md')).toBe('mine');
  });
});

it('a taken port becomes one line that says what to do', () => {
  const taken = namePort(Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE', port: 4000, address: '127.0.0.1' }));
  expect(taken).toBeInstanceOf(MillraceError);
  expect((taken as MillraceError).message).toBe(
    'port 4000 on 127.0.0.1 is taken by another program; choose others with --port (0 takes free ones)',
  );
});
