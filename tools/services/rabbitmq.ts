import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Need, findProgram, needProgram, programNeed } from './available.ts';
import { makeFolder, removeFolder } from './folder.ts';
import { freePorts } from './ports.ts';
import { ServerProcess } from './server-process.ts';

/** Not /usr/sbin/rabbitmq-server: that one is a wrapper that changes the user. */
const BIN = '/usr/lib/rabbitmq/bin';

export type RabbitOptions = {
  /** Plugins to enable, for instance `rabbitmq_stream` or `rabbitmq_management`. Each takes time at start. */
  readonly plugins?: readonly string[];
  /** Further lines of rabbitmq.conf. */
  readonly config?: readonly string[];
};

export const rabbitmqNeed = (): Need | null =>
  programNeed(`${BIN}/rabbitmq-server`, 'rabbitmq-server') ??
  (findProgram('epmd') ? null : { missing: 'epmd', install: 'apt-get install erlang-base' });

/** A private RabbitMQ node on free ports of loopback, with a port mapper of its own: a shared one would outlive it as a daemon. */
export class RabbitService implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  /** Where `rabbitmq_stream` and `rabbitmq_management` listen, if enabled. */
  readonly streamPort: number;
  readonly managementPort: number;
  readonly url: string;
  readonly process: ServerProcess;
  readonly #mapper: ServerProcess;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(folder: string, ports: readonly number[], options: RabbitOptions) {
    const [port, dist, mapper, stream, management] = ports as [number, number, number, number, number];
    this.folder = folder;
    this.port = port;
    this.streamPort = stream;
    this.managementPort = management;
    this.url = `amqp://guest:guest@127.0.0.1:${port}`;
    this.#env = writeFiles(folder, { port, dist, mapper, stream, management }, options);
    const epmd = needProgram('epmd', 'erlang-base');
    this.#mapper = new ServerProcess({
      name: 'epmd',
      command: [epmd, '-port', `${mapper}`],
      folder,
      env: this.#env,
      ready: () => connects(mapper),
    });
    this.process = new ServerProcess({
      name: 'rabbitmq',
      command: [needProgram(`${BIN}/rabbitmq-server`, 'rabbitmq-server')],
      folder,
      env: this.#env,
      ready: () => greets(port),
    });
  }

  static async start(options: RabbitOptions = {}): Promise<RabbitService> {
    const folder = makeFolder('rabbitmq');
    try {
      const service = new RabbitService(folder, await freePorts(5), options);
      await service.start().catch(async (error: unknown) => {
        await service.kill();
        await service.#mapper.kill();
        throw error;
      });
      return service;
    } catch (error) {
      await removeFolder(folder);
      throw error;
    }
  }

  /** Starts what was killed, with the same data and ports. */
  async start(): Promise<void> {
    if (!this.#mapper.running) await this.#mapper.start();
    await this.process.start();
  }

  kill(): Promise<void> {
    return this.process.kill();
  }

  restart(): Promise<void> {
    return this.process.restart();
  }

  /** Runs `rabbitmqctl` against this node and resolves to what it printed. Takes a second or two. */
  async ctl(...args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(`${BIN}/rabbitmqctl`, args, { env: { ...process.env, ...this.#env }, cwd: this.folder });
    return stdout;
  }

  async stop(): Promise<void> {
    await this.process.kill();
    await this.#mapper.kill();
    await removeFolder(this.folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

type Ports = {
  readonly port: number;
  readonly dist: number;
  readonly mapper: number;
  readonly stream: number;
  readonly management: number;
};

function writeFiles(folder: string, ports: Ports, { plugins = [], config = [] }: RabbitOptions): Readonly<Record<string, string>> {
  mkdirSync(join(folder, 'db'));
  writeFileSync(join(folder, 'plugins'), `[${plugins.join(',')}].`);
  const lines = [`listeners.tcp.1 = 127.0.0.1:${ports.port}`, 'disk_free_limit.absolute = 50MB', 'log.console = true'];
  if (plugins.includes('rabbitmq_stream')) lines.push(`stream.listeners.tcp.1 = 127.0.0.1:${ports.stream}`);
  if (plugins.includes('rabbitmq_management')) lines.push('management.tcp.ip = 127.0.0.1', `management.tcp.port = ${ports.management}`);
  writeFileSync(join(folder, 'rabbitmq.conf'), `${[...lines, ...config].join('\n')}\n`);
  return {
    // Erlang's cookie lies in it.
    HOME: folder,
    RABBITMQ_NODENAME: `millrace${ports.port}@localhost`,
    RABBITMQ_NODE_PORT: `${ports.port}`,
    RABBITMQ_DIST_PORT: `${ports.dist}`,
    RABBITMQ_MNESIA_BASE: join(folder, 'db'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'no-environment-file'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_PORT: `${ports.mapper}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
  };
}

function connects(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

/** Sends AMQP 0-9-1's protocol header and waits for Connection.Start (a method frame: type 1, channel 0). */
function greets(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('AMQP\0\0\x09\x01'));
    socket.setTimeout(5000, () => socket.destroy(new Error('it does not greet')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('it closed the connection')));
    socket.once('data', (bytes) => {
      socket.destroy();
      if (bytes[0] === 1) resolve();
      else reject(new Error('it does not speak AMQP 0-9-1'));
    });
  });
}
