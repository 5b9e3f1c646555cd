import { readFileSync, readdirSync } from 'node:fs';
import { QueryPlanner } from '@graphql-hive/router-query-planner';
import fc from 'fast-check';
import { parse, print } from 'graphql';
import { describe, expect, it } from 'vitest';
import { type ServiceInput, composeRelease } from './compose.ts';
import { LIVE_DIRECTIVES_SDL } from './live-directives.ts';
import { extractLive } from './live-schema.ts';

type Vector = {
  readonly about: string;
  readonly services: readonly { readonly name: string; readonly sdl: readonly string[]; readonly mappingSdl?: readonly string[] }[];
  readonly live?: readonly string[] | null;
  readonly types?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly errors?: readonly { readonly code: string; readonly service?: string; readonly type?: string; readonly field?: string }[];
};

const directory = new URL('../../../../spec/vectors/live-schema/', import.meta.url);
const vectors = readdirSync(directory).map((file) => [file, JSON.parse(readFileSync(new URL(file, directory), 'utf8')) as Vector] as const);

function servicesOf(vector: Vector): ServiceInput[] {
  return vector.services.map((service) => ({
    name: service.name,
    sdl: service.sdl.join('\n'),
    url: `http://${service.name}.invalid`,
    ...(service.mappingSdl ? { mappingSdl: service.mappingSdl.join('\n') } : {}),
  }));
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_key, item: unknown) => (item instanceof Map ? Object.fromEntries(item) : item)));
}

describe('golden vectors of spec/live-schema.md', () => {
  it('are there', () => expect(vectors.length).toBeGreaterThan(20));

  it.each(vectors)('%s', (_file, vector) => {
    const composition = composeRelease(servicesOf(vector));
    if ('errors' in composition) {
      expect(composition.errors.map(({ message: _message, ...rest }) => rest)).toEqual(vector.errors);
      for (const error of composition.errors) {
        if (error.service) expect(error.message).toContain(error.service);
        if (error.type) expect(error.message).toContain(error.type);
      }
      return;
    }
    expect(vector.errors).toBeUndefined();
    if (vector.live !== undefined) expect(composition.liveSdl?.trimEnd().split('\n') ?? null).toEqual(vector.live);
    for (const [name, part] of Object.entries(vector.types ?? {}))
      expect(plain(composition.ok.liveTypes.find((type) => type.name === name))).toMatchObject(part);
    // What composes must also be plannable.
    expect(() => new QueryPlanner(composition.ok.supergraphSdl)).not.toThrow();
    expect(composition.ok.supergraphSdl).not.toMatch(/@live|@carried|@filterable|specs\.millrace/);
  });
});

describe('reading @live', () => {
  it('gives the same digest in any order of services, another with another mapping or address', () => {
    const a = {
      name: 'a',
      url: 'http://a',
      sdl: 'type Query { a: Int } type T @key(fields: "id") @live(topic: "t", tenant: "x") { id: ID! }',
    };
    const b = { name: 'b', url: 'http://b', sdl: 'type Query { b: Int }' };
    const digest = (services: ServiceInput[]): string => {
      const composition = composeRelease(services);
      return 'ok' in composition ? composition.ok.digest : JSON.stringify(composition.errors);
    };
    expect(digest([a, b])).toBe(digest([b, a]));
    expect(digest([a, b])).toMatch(/^[0-9a-f]{64}$/);
    expect(digest([{ ...a, sdl: a.sdl.replace('"x"', '"y"') }, b])).not.toBe(digest([a, b]));
    expect(digest([{ ...a, subscriptionUrl: 'ws://a' }, b])).not.toBe(digest([a, b]));
  });

  it('takes the definitions that `schema directives` prints', () => {
    const sdl = `${LIVE_DIRECTIVES_SDL}\ntype Query { a: Int } type T @key(fields: "id") @live(topic: "t", tenant: "x") { id: ID! n: Int @carried }`;
    const extracted = extractLive('a', sdl);
    expect(extracted.errors).toEqual([]);
    expect(extracted.liveTypes.map((type) => type.name)).toEqual(['T']);
    expect(print(extracted.document)).not.toMatch(/live/i);
  });

  it('never throws, whatever the arguments hold', () => {
    const value = fc.oneof(
      fc.string({ maxLength: 20 }).map((text) => JSON.stringify(text).replaceAll(/\\u[0-9a-f]{4}|[^\x20-\x7e]/g, 'x')),
      fc.constantFrom('EVENT', 'null', '3', '[1, {a: 2}]', '{from: "x", to: ADDED}', 'true', '"\'\'"', '"a..b"', '""'),
    );
    const name = fc.constantFrom(
      'topic',
      'tenant',
      'key',
      'version',
      'visibility',
      'actions',
      'entity',
      'name',
      'format',
      'bogus',
      'list',
      'users',
    );
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key, minLength: 1, maxLength: 8 }), value, (args, path) => {
        const sdl = `type Query { a: Int } type T @key(fields: "id") @live(${args.map(([key, text]) => `${key}: ${text}`).join(', ')}) { id: ID! n: Int @carried(path: ${path}) }`;
        try {
          parse(sdl);
        } catch {
          return;
        }
        const extracted = extractLive('a', sdl);
        expect(extracted.errors.length > 0 || extracted.liveTypes.length === 1).toBe(true);
        for (const error of extracted.errors) expect(error.message).toContain('service "a"');
      }),
    );
  });
});
