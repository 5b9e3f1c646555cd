import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock, systemClock } from '../kit/clock.ts';
import { MillraceError } from '../kit/errors.ts';
import { FOLLOW_ACTOR, type FollowOptions, type FollowOutcome, followSupergraphConfig } from './follow-supergraph-config.ts';
import { openRegistry, type Registry } from './registry.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { parseSupergraphConfig } from './supergraph-config.ts';
import { realCompose, SDL } from './test-registry.ts';

const parse = (text: string) => parseSupergraphConfig(text, '/etc/graph/supergraph.yaml');

describe('a supergraph.yaml', () => {
  it('names subgraphs by file, by address and by text', () => {
    expect(
      parse(`
federation_version: =2.9.0
subgraphs:
  films: { routing_url: http://films.test/graphql, schema: { file: ./films.graphql } }
  people:
    schema:
      subgraph_url: http://people.test/
      introspection_headers: { Authorization: Bearer x }
    subscription_url: ws://people.test/
  inline: { routing_url: https://inline.test, schema: { sdl: 'type Query { a: Int }' }, mapping: { file: sub/live.graphql } }
`),
    ).toEqual([
      {
        name: 'films',
        routingUrl: 'http://films.test/graphql',
        subscriptionUrl: null,
        mappingPath: null,
        schema: { kind: 'file', path: '/etc/graph/films.graphql' },
      },
      {
        name: 'people',
        routingUrl: 'http://people.test/',
        subscriptionUrl: 'ws://people.test/',
        mappingPath: null,
        schema: { kind: 'url', url: 'http://people.test/', headers: { authorization: 'Bearer x' } },
      },
      {
        name: 'inline',
        routingUrl: 'https://inline.test',
        subscriptionUrl: null,
        mappingPath: '/etc/graph/sub/live.graphql',
        schema: { kind: 'text', sdl: 'type Query { a: Int }' },
      },
    ]);
  });

  it.each<[string, string]>([
    ['', 'the document must be a mapping with the key subgraphs'],
    ['- a', 'the document must be a mapping'],
    ['subgraphs:', 'subgraphs must be a mapping'],
    ['subgraphs: {}', 'subgraphs has 0 entries, takes 1 to 1000'],
    ['federation_version: 2', 'subgraphs is missing'],
    ['subgraph: {}', 'subgraph is not known here; known are federation_version, subgraphs'],
    ['subgraphs: { a: 7 }', 'subgraphs.a must be a mapping with routing_url and schema'],
    ['subgraphs: { a: { routing_url: http://a } }', 'subgraphs.a.schema is missing'],
    ['subgraphs: { a: { schema: { file: a } } }', 'subgraphs.a.routing_url is missing'],
    [
      'subgraphs: { a: { routing_url: http://a, schema: {} } }',
      'subgraphs.a.schema has no source, takes exactly one of file, subgraph_url and sdl',
    ],
    [
      'subgraphs: { a: { routing_url: http://a, schema: { file: a, sdl: b } } }',
      'subgraphs.a.schema has file and sdl, takes exactly one of',
    ],
    ['subgraphs: { a: { routing_url: ftp://a, schema: { file: a } } }', 'subgraphs.a.routing_url must be an address'],
    ['subgraphs: { a: { routing_url: 7, schema: { file: a } } }', 'subgraphs.a.routing_url must be a text'],
    ['subgraphs: { a: { routing_url: http://a, schema: { file: 7 } } }', 'subgraphs.a.schema.file must be a text'],
    ['subgraphs: { a: { routing_url: http://a, schema: { graphref: x@y } } }', 'subgraphs.a.schema.graphref is not supported'],
    ['subgraphs: { a: { routing_uri: http://a, schema: { file: a } } }', 'subgraphs.a.routing_uri is not known here'],
    [
      'subgraphs: { a: { schema: { subgraph_url: http://a, introspection_headers: { "b c": d } } } }',
      'subgraphs.a.schema.introspection_headers has a name or a value',
    ],
    ['subgraphs: { a: { schema: { file: a }, schema: { file: b } } }', 'line 1, column'],
    ['subgraphs:\n  a: [', 'line 2, column'],
    [
      'a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]',
      'the document uses too many aliases',
    ],
  ])('%j is refused by name of the place', (text, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({
        code: 'SUPERGRAPH_CONFIG_INVALID',
        message: expect.stringContaining(`/etc/graph/supergraph.yaml: ${message}`),
      }),
    );
  });

  it('is read totally: any text gives entries or a coded refusal', () => {
    const words = fc.constantFrom(
      'subgraphs:',
      ' a:',
      '{',
      '}',
      '[',
      '\n',
      '  schema:',
      ' file: x',
      ' routing_url: http://a',
      '__proto__:',
      '&a',
      '*a',
      '!!js',
      '\t',
      '"',
      '|',
      '? ',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(words).map((list) => list.join('')),
        ),
        (text) => {
          try {
            parse(text);
          } catch (error) {
            expect(error).toBeInstanceOf(MillraceError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('following one', () => {
  let folder: string;
  let registry: Registry;
  const cleanUp: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-follow-'));
    const store = await openSqliteStore(':memory:');
    registry = await openRegistry({ store, compose: realCompose, pollInterval: null });
    cleanUp.push(
      () => store.close(),
      () => registry.close(),
    );
    put('users.graphql', SDL.users);
    put('deals.graphql', SDL.deals);
    put('supergraph.yaml', yaml('users', 'deals'));
  });
  afterEach(async () => {
    for (const step of cleanUp.splice(0).toReversed()) await step();
    rmSync(folder, { recursive: true });
  });

  const put = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const yaml = (...names: string[]) =>
    `subgraphs:\n${names.map((name) => `  ${name}: { routing_url: http://${name}.test, schema: { file: ${name}.graphql } }\n`).join('')}`;
  const names = async () => (await registry.latest()).map((row) => row.service);

  async function follow(extra: Partial<FollowOptions> = {}) {
    const outcomes: FollowOutcome[] = [];
    let wake: () => void = () => {};
    const follower = await followSupergraphConfig({
      path: join(folder, 'supergraph.yaml'),
      registry,
      clock: new ManualClock(),
      onOutcome: (outcome) => {
        outcomes.push(outcome);
        wake();
      },
      ...extra,
    });
    cleanUp.push(() => follower.close());
    const nth = async (count: number) => {
      while (outcomes.length < count) await new Promise<void>((resolve) => (wake = resolve));
      return outcomes[count - 1];
    };
    return { follower, outcomes, nth };
  }

  it('pushes all of it as one change', async () => {
    let releases = 0;
    registry.onRelease(() => void (releases += 1));
    const { follower } = await follow();
    expect(follower.first).toEqual({ kind: 'pushed', services: ['users', 'deals'], removed: [], failed: [] });
    expect(releases).toBe(1);
    expect(await follower.look()).toEqual({ kind: 'unchanged' });
    expect((await registry.history(null, 10)).map((row) => row.actor)).toEqual([FOLLOW_ACTOR, FOLLOW_ACTOR]);
  });

  it('does not start with a file that is wrong or missing', async () => {
    await expect(follow({ path: join(folder, 'none.yaml') })).rejects.toMatchObject({
      code: 'SUPERGRAPH_CONFIG_INVALID',
      message: expect.stringContaining('ENOENT'),
    });
    put('supergraph.yaml', 'subgraphs: 7');
    await expect(follow()).rejects.toMatchObject({ code: 'SUPERGRAPH_CONFIG_INVALID' });
  });

  it('sees a file written in place, one replaced by rename, and the configuration itself', async () => {
    const { nth } = await follow({ clock: systemClock, pollInterval: 2_000_000_000, debounce: 5 });
    put('users.graphql', SDL.usersWithMail);
    expect(await nth(2)).toMatchObject({ kind: 'pushed' });
    expect(registry.release()?.supergraphSdl).toContain('mail');
    put('users.new', SDL.users);
    renameSync(join(folder, 'users.new'), join(folder, 'users.graphql'));
    expect(await nth(3)).toMatchObject({ kind: 'pushed' });
    expect(registry.release()?.supergraphSdl).not.toContain('mail');
    put('supergraph.yaml', yaml('users'));
    expect(await nth(4)).toMatchObject({ kind: 'pushed', removed: ['deals'] });
    expect(await names()).toEqual(['users']);
  });

  it('sees changes by looking where the file system tells nothing', async () => {
    const clock = new ManualClock();
    const { nth } = await follow({ clock });
    put('users.graphql', SDL.usersWithMail);
    clock.advance(2000);
    expect(await nth(2)).toMatchObject({ kind: 'pushed' });
  });

  it('reports faults once each, keeps the last good supergraph, and recovers', async () => {
    const { follower, outcomes } = await follow();
    const good = registry.release();
    const faults: [string, string, string][] = [
      ['users.graphql', SDL.broken, 'SDL_INVALID'],
      ['users.graphql', '', 'SDL_INVALID'],
      ['deals.graphql', SDL.dealsWithoutTenant, 'LIVE_TENANT_MISSING'],
      ['supergraph.yaml', 'subgraphs: [', 'SUPERGRAPH_CONFIG_INVALID'],
    ];
    for (const [file, text, code] of faults) {
      put(file, text);
      const told = outcomes.length;
      for (let i = 0; i < 3; i++) expect(await follower.look()).toMatchObject({ kind: 'failed', errors: [{ code }] });
      expect(outcomes).toHaveLength(told + 1);
      expect(registry.release()).toBe(good);
      put('users.graphql', SDL.users);
      put('deals.graphql', SDL.deals);
      put('supergraph.yaml', yaml('users', 'deals'));
      expect(await follower.look()).toEqual({ kind: 'unchanged' });
    }
  });

  it('leaves what others pushed, and takes out what it pushed before a restart and is no longer named', async () => {
    await registry.push([{ name: 'plain', version: 'v1', typeDefs: SDL.plain }], 'ann');
    const { follower } = await follow();
    await follower.close();
    put('supergraph.yaml', yaml('users'));
    expect((await follow()).follower.first).toMatchObject({ kind: 'pushed', removed: ['deals'] });
    expect(await names()).toEqual(['plain', 'users']);
  });

  it('asks addresses, keeps the schema of one that is away, and tells why', async () => {
    let answer: string | null = JSON.stringify({ data: { _service: { sdl: SDL.users } } });
    const server = createServer((_, res) => (answer === null ? res.destroy() : res.end(answer)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanUp.push(
      () =>
        new Promise((resolve) => {
          server.closeAllConnections();
          server.close(resolve);
        }),
    );
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    put('supergraph.yaml', `${yaml('deals')}  users: { schema: { subgraph_url: "${url}" } }`);
    const { follower } = await follow();
    expect(follower.first).toMatchObject({ kind: 'pushed', services: ['deals', 'users'] });
    expect(registry.release()?.subgraphs.get('users')?.url).toBe(url);
    for (const wrong of [null, 'rubbish', '[]', '{}', '{"errors":[{"message":"no federation"}]}', '{"data":{"_service":{"sdl":7}}}']) {
      answer = wrong;
      expect(await follower.look()).toMatchObject({ kind: expect.stringMatching(/pushed|failed/) });
      expect(await names()).toEqual(['deals', 'users']);
    }
    answer = '{"errors":[{"message":"no federation"}]}';
    expect(await follower.look()).toMatchObject({
      kind: 'failed',
      errors: [{ code: 'SUBGRAPH_SCHEMA_UNAVAILABLE', message: expect.stringContaining('no federation') }],
    });
    answer = JSON.stringify({ data: { _service: { sdl: SDL.usersWithMail } } });
    expect(await follower.look()).toMatchObject({ kind: 'pushed', failed: [] });
    expect(registry.release()?.supergraphSdl).toContain('mail');
  });

  it('pushes nothing while a subgraph was never seen', async () => {
    put('supergraph.yaml', yaml('users', 'deals', 'ghost'));
    const { follower } = await follow();
    expect(follower.first).toMatchObject({
      kind: 'failed',
      errors: [{ code: 'SUBGRAPH_SCHEMA_UNAVAILABLE', message: expect.stringContaining('ghost.graphql') }],
    });
    expect(await names()).toEqual([]);
    put('ghost.graphql', SDL.plain);
    expect(await follower.look()).toMatchObject({ kind: 'pushed' });
  });
});
