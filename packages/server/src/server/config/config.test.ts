import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MillraceError } from '../../kit/errors.ts';
import { defaultConfig, explainConfig, loadConfig, maskedConfig, nearest } from '../config.ts';
import { options } from '../options.ts';
import { type OptionSpec, flatten } from './declare.ts';
import { duration, integer, list, optional, size, text } from './kinds.ts';
import type { Problem } from './sources.ts';

let cwd: string;
beforeEach(() => void (cwd = mkdtempSync(join(tmpdir(), 'millrace-config-'))));
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const DEV = new Map<string, unknown>([['mode', 'dev']]);
const write = (name: string, content: string): string => {
  writeFileSync(join(cwd, name), content);
  return join(cwd, name);
};

async function refusal(run: Promise<unknown>): Promise<MillraceError> {
  const thrown: unknown = await run.then(
    () => null,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(MillraceError);
  return thrown as MillraceError;
}

const redis = (over: Readonly<Record<string, unknown>>): Record<string, unknown> => ({
  'channels.kind': 'redis',
  'channels.redis.urls': ['redis://r:6379'],
  'cursor.key': 'k'.repeat(32),
  ...over,
});

const keysOf = (error: MillraceError): string[] => (error.details['problems'] as Problem[]).map(({ key }) => key);

describe('declaration', () => {
  const declared = flatten(options);

  it('gives every option names of its own', () => {
    for (const names of [declared.map(({ env }) => env), declared.map(({ flag }) => flag)])
      expect(new Set(names).size).toBe(declared.length);
    expect(declared.find(({ path }) => path === 'live.maxSessions')).toMatchObject({
      env: 'MILLRACE_LIVE_MAX_SESSIONS',
      flag: 'live-max-sessions',
    });
  });

  it('has defaults that its own kinds take, and says what each option decides', () => {
    const takes = (spec: OptionSpec<unknown>, value: unknown): boolean => spec.kind.read(value).ok;
    for (const { path, spec } of declared) {
      expect(takes(spec, spec.default), path).toBe(true);
      if (spec.dev !== undefined) expect(takes(spec, spec.dev), path).toBe(true);
      expect(spec.doc.length, path).toBeGreaterThan(10);
    }
  });
});

describe('precedence', () => {
  it('is flags over environment over file over default, and says which one won', async () => {
    write('millrace.config.yaml', 'port: 1000\nlive:\n  maxSessions: 70000\nlog: { level: error }\n');
    const loaded = await loadConfig({
      cwd,
      environment: { MILLRACE_PORT: '2000', MILLRACE_LOG_LEVEL: 'debug', PATH: '/bin' },
      flags: new Map([['port', '3000']]),
      forced: DEV,
    });
    expect(loaded.config).toMatchObject({
      port: 3000,
      live: { maxSessions: 70_000 },
      log: { level: 'debug' },
      mode: 'dev',
      adminPort: null,
    });
    const from = new Map(explainConfig(loaded).map((row) => [row.key, row.from]));
    expect(['port', 'log.level', 'live.maxSessions', 'mode', 'host', 'gateway.graphiql'].map((key) => from.get(key))).toEqual([
      '--port',
      'MILLRACE_LOG_LEVEL',
      'millrace.config.yaml',
      'command',
      'default',
      'default (dev)',
    ]);
  });

  it('reads TypeScript and JSON, and the file that was named', async () => {
    write('millrace.config.ts', 'export default { port: 1234 as number };\n');
    const named = write('other.json', '{"port": 4321}');
    expect((await loadConfig({ cwd, environment: {}, forced: DEV })).config.port).toBe(1234);
    expect((await loadConfig({ cwd, environment: {}, forced: DEV, configFile: named })).config.port).toBe(4321);
  });
});

describe('validation', () => {
  it('names every problem at once: the key, where it came from, what it got and what it takes', async () => {
    write('millrace.config.json', '{"prot": 1, "live": {"maxSesions": 3, "maxIds": 0}, "channels": 7, "log": {"level": "loud"}}');
    const error = await refusal(loadConfig({ cwd, environment: { MILLRACE_LIVE_MAXSESSIONS: '1', MILLRACE_PORT: '70000' }, forced: DEV }));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(keysOf(error).toSorted()).toEqual([
      'MILLRACE_LIVE_MAXSESSIONS',
      'channels',
      'live.maxIds',
      'live.maxSesions',
      'log.level',
      'port',
      'prot',
    ]);
    expect(error.message).toContain(
      'prot (from millrace.config.json): got an unknown key, takes only the keys of docs/configuration.md (did you mean "port"?)',
    );
    expect(error.message).toContain('did you mean "live.maxSessions"?');
    expect(error.message).toContain('did you mean "MILLRACE_LIVE_MAX_SESSIONS"?');
    expect(error.message).toContain('port (from MILLRACE_PORT): got "70000", takes a whole number from 0 to 65535');
  });

  it.each([
    [{ host: '0.0.0.0' }, 'mode, host'],
    [{ registryPort: 4000 }, 'port, registryPort'],
    [{ port: 65_535 }, 'port, registryPort'],
    [{ 'ingest.backoffMin': '1m', 'ingest.backoffMax': '1s' }, 'ingest.backoffMin, ingest.backoffMax'],
    [{ 'registry.store': 'postgres' }, 'registry.store, registry.postgresUrl'],
    [{ 'access.anonymous': false, 'access.anonymousTenant': 'acme' }, 'access.anonymousTenant, access.anonymous'],
    [{ 'cursor.previousKey': 'k'.repeat(32) }, 'cursor.previousKey, cursor.key'],
    [{ 'channels.redis.urls': ['redis://r:6379'] }, 'channels.kind, channels.redis.urls'],
    [{ 'channels.kind': 'redis' }, 'channels.kind, channels.redis.urls'],
    [{ 'channels.kind': 'redis', 'channels.redis.urls': ['redis://r:6379'] }, 'channels.kind, cursor.key'],
    [redis({ 'channels.redis.urls': ['redis://a', 'redis://b'] }), 'channels.redis.mode, channels.redis.urls'],
    [redis({ 'channels.redis.mode': 'sentinel' }), 'channels.redis.mode, channels.redis.masterName'],
    [redis({ 'channels.redis.masterName': 'm' }), 'channels.redis.mode'],
    [redis({ 'channels.redis.mode': 'cluster', 'channels.redis.urls': ['redis://a', 'rediss://b'] }), 'channels.redis.urls'],
    [redis({ 'channels.redis.caFile': 'ca.pem' }), 'channels.redis.urls'],
    [redis({ 'channels.redis.urls': ['rediss://a'], 'channels.redis.keyFile': 'k' }), 'channels.redis.certFile, channels.redis.keyFile'],
    [redis({ 'channels.redis.username': 'u' }), 'channels.redis.username, channels.redis.password'],
    [redis({ 'channels.historyCount': 0 }), 'channels.historyCount'],
  ])('refuses combinations that cannot work: %o', async (overrides, key) => {
    expect(keysOf(await refusal(defaultConfig('dev', overrides)))).toContain(key);
  });

  it('refuses a production server that nobody could sign in to', async () => {
    expect(keysOf(await refusal(defaultConfig('production')))).toEqual(['access.issuers, access.anonymous']);
  });

  it.each([
    ['millrace.config.json', '{"port": ', /cannot read .*millrace\.config\.json/],
    ['millrace.config.yaml', 'a: [', /cannot read .*millrace\.config\.yaml/],
    ['millrace.config.ts', 'export default {', /cannot read .*millrace\.config\.ts/],
    ['millrace.config.json', '[]', /must be an object/],
  ])('says of an unreadable %s which file it is', async (name, content, message) => {
    write(name, content);
    const error = await refusal(loadConfig({ cwd, environment: {} }));
    expect(error.code).toBe('CONFIG_UNREADABLE');
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('\n');
  });

  it('refuses two configuration files, and one that is not there', async () => {
    write('millrace.config.json', '{}');
    write('millrace.config.yaml', '');
    expect((await refusal(loadConfig({ cwd, environment: {} }))).message).toContain('keep one');
    expect((await refusal(loadConfig({ cwd, environment: {}, configFile: 'none.json' }))).code).toBe('CONFIG_UNREADABLE');
  });

  it('does not take what Kubernetes puts into the environment of a service called millrace for options', async () => {
    const environment = {
      MILLRACE_PORT: 'tcp://10.0.0.1:4000',
      MILLRACE_SERVICE_HOST: '10.0.0.1',
      MILLRACE_PORT_4000_TCP_ADDR: '10.0.0.1',
      MILLRACE_SERVICE_PORT: '1',
    };
    expect((await loadConfig({ cwd, environment, forced: DEV })).config.port).toBe(4000);
  });
});

describe('secrets', () => {
  const key = 'a-secret-that-nobody-may-ever-see';

  it('come from files of their own, and are masked wherever they are shown', async () => {
    const path = write('key.txt', `${key}\n`);
    write(
      'millrace.config.json',
      JSON.stringify({ cursor: { keyFile: path }, access: { issuers: [{ issuer: 'https://a.example', secretFile: path }] } }),
    );
    const loaded = await loadConfig({ cwd, environment: {} });
    expect(loaded.config.cursor.key).toBe(key);
    expect(loaded.config.access.issuers[0]).toMatchObject({ secret: key, algorithms: ['HS256'] });
    expect(JSON.stringify([explainConfig(loaded), maskedConfig(loaded)])).not.toContain(key);
    expect((await loadConfig({ cwd, environment: { MILLRACE_CURSOR_KEY_FILE: path } })).config.cursor.key).toBe(key);
  });

  it('do not stand in the URLs of Redis', async () => {
    const overrides = redis({ 'channels.redis.urls': ['redis://user:hidden@r:6379'] });
    const error = await refusal(defaultConfig('dev', overrides));
    expect(keysOf(error)).toContain('channels.redis.urls[0]');
    expect(error.message).toContain('without user, password and path');
    expect(error.message + JSON.stringify(error.details)).not.toContain('hidden');
  });

  it('are masked in what validation says too', async () => {
    const environment = { MILLRACE_CURSOR_KEY: 'short-secret', MILLRACE_ACCESS_ISSUERS: '[{"issuer":"i","secret":"shorter-secret"}]' };
    const error = await refusal(loadConfig({ cwd, environment, forced: DEV }));
    expect(keysOf(error)).toEqual(['cursor.key', 'access.issuers[0].secret']);
    expect(error.message + JSON.stringify(error.details)).not.toMatch(/shorter-secret|short-secret/);
  });
});

describe('issuers', () => {
  const read = async (issuers: unknown): Promise<unknown> => (await defaultConfig('dev', { 'access.issuers': issuers })).access.issuers;

  it('never mix shared secrets with the algorithms of public keys', async () => {
    const publicKey = '-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----';
    expect(keysOf(await refusal(read([{ issuer: 'i', publicKey, algorithms: ['HS256'] }])))).toEqual(['access.issuers[0].algorithms[0]']);
    expect(keysOf(await refusal(read([{ issuer: 'i', secret: 's'.repeat(32), algorithms: ['RS256'] }])))).toEqual([
      'access.issuers[0].algorithms[0]',
    ]);
    expect(keysOf(await refusal(read([{ issuer: 'i', publicKey, algorithms: ['none'] }])))).toHaveLength(1);
  });

  it('need exactly one key, know their claims, and are told of each mistake', async () => {
    expect(keysOf(await refusal(read([{ issuer: 'i' }, { issuer: 'j', secret: 's'.repeat(32), jwksUrl: 'https://x.example/' }])))).toEqual([
      'access.issuers[0]',
      'access.issuers[1]',
    ]);
    expect(keysOf(await refusal(read([{ issuer: 'i', jwksUrl: 'ftp://x', claims: { tennant: 'x' }, audiance: 'a' }])))).toEqual([
      'access.issuers[0].audiance',
      'access.issuers[0].jwksUrl',
      'access.issuers[0].claims.tennant',
    ]);
    expect(await read([{ issuer: 'i', jwksUrl: 'https://x.example/', claims: { tenant: 'org.id' } }])).toMatchObject([
      { claims: { tenant: 'org.id', user: 'sub' }, algorithms: ['RS256', 'ES256', 'EdDSA'], audience: null },
    ]);
  });
});

describe('kinds', () => {
  it('read back what they show', () => {
    fc.assert(
      fc.property(fc.nat(2_000_000_000), (value) => {
        for (const kind of [duration(), size(), integer()]) expect(kind.read(kind.show(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it('never throw, whatever they are given', () => {
    const kinds = flatten(options).map(({ spec }) => spec.kind);
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true }), (value) => {
        for (const kind of kinds) expect(kind.read(value)).toHaveProperty('ok');
      }),
      { numRuns: 300 },
    );
  });

  it('take units, lists and none', () => {
    expect(duration().read('1.5s')).toEqual({ ok: true, value: 1500 });
    expect(size().read('2MB')).toEqual({ ok: true, value: 2_097_152 });
    expect(duration().read('soon').ok).toBe(false);
    expect(list(text()).read('a, b')).toEqual({ ok: true, value: ['a', 'b'] });
    expect(optional(integer()).read('none')).toEqual({ ok: true, value: null });
    expect(integer().read('0x10').ok).toBe(false);
  });
});

it('suggests only what is near', () => {
  expect(nearest('prot', ['port', 'host'])).toBe('port');
  expect(nearest('zzzzzz', ['port', 'host'])).toBeNull();
});
