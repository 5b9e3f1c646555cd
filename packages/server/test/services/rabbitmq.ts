import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from 'rabbitmq-client';
import { ServiceProcess, freePorts, serviceInstalled } from './service-process.ts';

const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';

export type RabbitServer = {
  readonly address: string;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
};

export function rabbitInstalled(): boolean {
  return serviceInstalled(existsSync(SERVER), 'RabbitMQ', `no ${SERVER}; apt-get install rabbitmq-server`);
}

/** A private throw-away node on free ports of loopback with its data, and its port mapper, of its own. */
export async function startRabbit(): Promise<RabbitServer> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-rabbit-'));
  const [port, dist, mapper] = (await freePorts(3)) as [number, number, number];
  mkdirSync(join(folder, 'db'));
  writeFileSync(join(folder, 'plugins'), '[].');
  writeFileSync(join(folder, 'rabbitmq.conf'), `listeners.tcp.1 = 127.0.0.1:${port}\ndisk_free_limit.absolute = 50MB\n`);
  const env = {
    HOME: folder,
    RABBITMQ_NODENAME: `millrace${port}@localhost`,
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(dist),
    RABBITMQ_MNESIA_BASE: join(folder, 'db'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
    ERL_EPMD_PORT: String(mapper),
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
  const address = `127.0.0.1:${port}`;
  const broker = new ServiceProcess([SERVER], env, folder, () => answers(address));
  await broker.start();
  return {
    address,
    kill: () => broker.kill('SIGKILL'),
    start: () => broker.start(),
    async stop() {
      await broker.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(address: string): Promise<void> {
  const connection = new Connection({ hosts: [address], acquireTimeout: 2_000, retryLow: 100 });
  connection.on('error', () => {});
  try {
    const channel = await connection.acquire();
    await channel.close();
    await connection.close();
  } catch (error) {
    connection.unsafeDestroy();
    throw error;
  }
}
