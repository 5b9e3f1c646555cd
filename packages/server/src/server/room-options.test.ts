import { describe, expect, it } from 'vitest';
import { ACCESS_DEFAULTS, createAuthenticator } from '../access/authenticator.ts';
import { EMBEDDED_LOG_DEFAULTS } from '../brokers/embedded-log.ts';
import { MEMORY_CHANNELS_DEFAULTS } from '../channels/memory.ts';
import { REDIS_CHANNELS_DEFAULTS } from '../channels/redis-options.ts';
import { PIPELINE_DEFAULTS } from '../gateway/pipeline.ts';
import { INGEST_DEFAULTS } from '../ingest/ingest-worker.ts';
import { LIVE_LIMITS, SESSION_LIMITS } from '../live/options.ts';
import { OPERATION_LIMITS } from '../supergraph/operation-document.ts';
import { CONNECTION_LIMITS } from '../transports/connections.ts';
import { GRAPHQL_SSE_DEFAULTS } from '../transports/graphql-sse.ts';
import { GRAPHQL_WS_DEFAULTS } from '../transports/graphql-ws.ts';
import { defaultConfig } from './config.ts';
import { roomOptions } from './room-options.ts';

describe('the options of the rooms', () => {
  it("are the rooms' own defaults where nothing is configured, so that the documentation of both is true", async () => {
    const options = roomOptions(await defaultConfig('production', { 'access.anonymous': true }));
    expect(EMBEDDED_LOG_DEFAULTS).toMatchObject(options.embeddedLog);
    expect(INGEST_DEFAULTS).toMatchObject(options.ingest);
    expect(MEMORY_CHANNELS_DEFAULTS).toMatchObject(options.channels);
    expect(LIVE_LIMITS).toMatchObject(options.live);
    expect(SESSION_LIMITS).toMatchObject(options.sessions);
    expect(OPERATION_LIMITS).toMatchObject(options.operations);
    expect(PIPELINE_DEFAULTS).toMatchObject(options.pipeline);
    expect(GRAPHQL_WS_DEFAULTS).toMatchObject(options.graphqlWs);
    expect(GRAPHQL_SSE_DEFAULTS).toMatchObject(options.graphqlSse);
    expect(CONNECTION_LIMITS).toMatchObject(options.connections);
    expect(ACCESS_DEFAULTS.clockSkew).toBe(options.authenticator.clockSkew);
  });

  it('name the servers of Redis as each mode wants them', async () => {
    const storeOf = async (over: Readonly<Record<string, unknown>>) => {
      const config = await defaultConfig('dev', { 'channels.kind': 'redis', 'cursor.key': 'k'.repeat(32), ...over });
      return roomOptions(config).redis;
    };
    const one = await storeOf({ 'channels.redis.urls': ['redis://r'], 'channels.redis.username': 'u', 'channels.redis.password': 'p' });
    expect(one).toMatchObject({
      store: { kind: 'standalone', server: { host: 'r', port: 6379 } },
      login: { username: 'u', password: 'p' },
    });
    const { store: _store, login: _login, ...rest } = one!;
    expect(REDIS_CHANNELS_DEFAULTS).toMatchObject(rest);
    const sentinel = {
      'channels.redis.mode': 'sentinel',
      'channels.redis.urls': ['rediss://[::1]:5000', 'rediss://s'],
      'channels.redis.masterName': 'm',
      'channels.redis.sentinelPassword': 'q',
    };
    expect((await storeOf(sentinel))?.store).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: '::1', port: 5000 },
        { host: 's', port: 26_379 },
      ],
      masterName: 'm',
      sentinelLogin: { username: null, password: 'q' },
    });
    const nodes = { 'channels.redis.mode': 'cluster', 'channels.redis.urls': ['redis://a:1', 'redis://b:2'] };
    expect((await storeOf(nodes))?.store).toMatchObject({ kind: 'cluster', nodes: [{ port: 1 }, { port: 2 }] });
    expect(roomOptions(await defaultConfig('dev')).redis).toBeNull();
  });

  it('carry every issuer over with its one kind of key', async () => {
    const config = await defaultConfig('production', {
      'access.issuers': [
        { issuer: 'a', audience: 'x', jwksUrl: 'https://a.example/jwks', claims: { tenant: 'org.id' } },
        { issuer: 'b', secret: 's'.repeat(32) },
      ],
      'transports.allowedOrigins': ['*'],
    });
    const { authenticator, origins } = roomOptions(config);
    expect(authenticator.issuers).toMatchObject([
      { issuer: 'a', audience: 'x', keys: { kind: 'jwks', url: 'https://a.example/jwks' }, claims: { tenant: 'org.id', scopes: 'scope' } },
      { issuer: 'b', algorithms: ['HS256'], keys: { kind: 'secret', secret: 's'.repeat(32) } },
    ]);
    expect(authenticator.anonymous).toEqual({ kind: 'refused' });
    expect(origins).toEqual({ allowed: '*', loopback: false });
    expect(() => createAuthenticator(authenticator)).not.toThrow();
  });
});
