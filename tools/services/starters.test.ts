/** Every starter starts, answers a real command, comes back on the same ports with the same data, and leaves nothing behind. */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { KafkaService } from './kafka.ts';
import { NginxService } from './nginx.ts';
import { PostgresService } from './postgres.ts';
import { PrometheusService } from './prometheus.ts';
import { RabbitService } from './rabbitmq.ts';
import { ClusterService } from './redis-cluster.ts';
import { SentinelService } from './redis-sentinel.ts';
import { RedisService } from './redis.ts';
import { available, service } from './shared.ts';

type Service = { readonly folder: string; stop(): Promise<void> };

const started: { readonly service: Service; readonly ports: readonly number[] }[] = [];

/** Every test's server is ended, and then nobody listens and no file is left. */
afterEach(async () => {
  for (const { service, ports } of started.splice(0)) {
    await service.stop();
    expect(existsSync(service.folder)).toBe(false);
    for (const port of ports) expect(await listens(port)).toBe(false);
  }
});

function track<T extends Service>(service: T, ...ports: readonly number[]): T {
  started.push({ service, ports });
  return service;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

describe.skipIf(!available('redis'))('Redis', () => {
  it('keeps what was written through kill -9 where it is persistent, and nothing where it is not', async () => {
    const [durable, fleeting] = await Promise.all([RedisService.start({ persistent: true }), RedisService.start()]);
    for (const redis of [durable, fleeting]) {
      track(redis, redis.port);
      expect(await redis.command('SET', 'a', 'é')).toBe('OK');
      await redis.kill();
      expect(await listens(redis.port)).toBe(false);
      await redis.start();
    }
    expect(await durable.command('GET', 'a')).toBe('é');
    expect(await fleeting.command('GET', 'a')).toBeNull();
  });

  it('lets only its user in, and speaks TLS', async () => {
    const redis = track(await RedisService.start({ tls: true, user: { name: 'ann', password: 'p w"#' } }));
    expect(redis.url).toBe(`rediss://ann:p%20w%22%23@127.0.0.1:${redis.port}`);
    expect(await redis.command('ACL', 'WHOAMI')).toBe('ann');
    const stranger = await RedisService.start();
    track(stranger);
    expect(await stranger.command('ACL', 'WHOAMI')).toBe('default');
    await expect(stranger.command('NONSENSE')).rejects.toThrow(/unknown command/);
  });

  it('answers nobody while it is paused, and goes on afterwards', async () => {
    const redis = track(await RedisService.start());
    redis.process.pause();
    const answer = redis.command('PING');
    redis.process.continue();
    expect(await answer).toBe('PONG');
  });

  it('ends although it is paused', async () => {
    const redis = track(await RedisService.start());
    redis.process.pause();
  });
});

describe.skipIf(!available('redis-sentinel'))('Redis Sentinel', () => {
  it('has another master after an order and after a death', async () => {
    const sentinel = track(await SentinelService.start());
    const first = await sentinel.master();
    const second = await sentinel.failover();
    expect(second).not.toBe(first);
    expect(await sentinel.command(second, 'SET', 'a', '1')).toBe('OK');
  });

  it('notices a master that died', async () => {
    const sentinel = track(await SentinelService.start({ replicas: 2 }));
    const first = await sentinel.master();
    await first.process.kill();
    const second = await sentinel.newMaster(first);
    expect(await sentinel.command(second, 'SET', 'a', '1')).toBe('OK');
  });
});

describe.skipIf(!available('redis-cluster'))('Redis Cluster', () => {
  it('moves a slot with its keys, and survives the death of a master', async () => {
    const cluster = track(await ClusterService.start());
    const slot = await cluster.slotOf('a');
    const from = await cluster.ownerOf(slot);
    await cluster.command(from, 'SET', 'a', '1');
    const to = cluster.nodes.slice(0, 3).find((node) => node !== from)!;
    await cluster.moveSlot(slot, to);
    expect(await cluster.command(to, 'GET', 'a')).toBe('1');
    await expect(cluster.command(from, 'GET', 'a')).rejects.toThrow(`MOVED ${slot} 127.0.0.1:${to.port}`);
    await to.process.kill();
    expect(cluster.nodes.slice(3)).toContain(await cluster.newOwner(slot, to));
    await to.process.start();
    await cluster.ok();
  });
});

describe.skipIf(!available('rabbitmq'))('RabbitMQ', () => {
  it('keeps what was declared through kill -9', async () => {
    const rabbit = track(await RabbitService.start());
    await rabbit.ctl('add_vhost', 'shop');
    await rabbit.kill();
    await rabbit.start();
    expect(await rabbit.ctl('list_vhosts')).toContain('shop');
  });
});

describe.skipIf(!available('kafka'))('Kafka', () => {
  it('comes back with its listeners for SASL and TLS', async () => {
    const kafka = track(await KafkaService.start({ sasl: { name: 'ann', password: 'secret' }, tls: true }));
    await kafka.restart();
    const [broker] = kafka.brokers;
    for (const port of [broker!.port, broker!.saslPort, broker!.tlsPort]) expect(await listens(port)).toBe(true);
  });

  it('runs three brokers, of which one can die and return', async () => {
    const kafka = track(await KafkaService.start({ brokers: 3 }));
    await kafka.kill(2);
    expect(await listens(kafka.broker(2).port)).toBe(false);
    await kafka.start(2);
    expect(kafka.addresses).toHaveLength(3);
  });
});

describe.skipIf(!available('postgres'))('PostgreSQL', () => {
  it('keeps a database through kill -9', async () => {
    const postgres = track(await PostgresService.start());
    const url = await postgres.createDatabase();
    await postgres.kill();
    await postgres.start();
    expect((await postgres.query('SELECT datname FROM pg_database')).split('\n')).toContain(url.split('/').at(-1));
  });
});

describe.skipIf(!available('nginx'))('nginx', () => {
  it('serves what the caller configured', async () => {
    const nginx = track(await NginxService.start({ http: (port) => `server { listen 127.0.0.1:${port}; return 200 'hello'; }` }));
    await nginx.restart();
    expect(await (await fetch(nginx.url)).text()).toBe('hello');
  });
});

describe.skipIf(!available('prometheus'))('Prometheus', () => {
  it('runs with the configuration of the caller', async () => {
    const prometheus = track(await PrometheusService.start({ config: () => 'global: { scrape_interval: 7s }\n' }));
    await prometheus.restart();
    const answer = await fetch(`${prometheus.url}/api/v1/status/config`);
    expect(await answer.text()).toContain('scrape_interval: 7s');
  });
});

it.skipIf(!available('redis'))('gives everybody in a run the same shared instance', async () => {
  const [one, two] = await Promise.all([service('redis'), service('redis')]);
  expect(one).toEqual(two);
  expect(await listens(one.port)).toBe(true);
});
