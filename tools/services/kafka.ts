import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { needProgram } from './available.ts';
import { type Certificate, makeCertificate } from './certificate.ts';
import { makeFolder, removeFolder } from './folder.ts';
import { KAFKA_JARS, kafkaNeed } from './kafka-jars.ts';
import { aliveBrokers } from './kafka-metadata.ts';
import { freePorts } from './ports.ts';
import { ServerProcess } from './server-process.ts';
import { until } from './until.ts';

export { kafkaNeed } from './kafka-jars.ts';

export type KafkaOptions = {
  /** 1 unless told. Each takes some 420 MB. */
  readonly brokers?: 1 | 3;
  /** A further listener with SASL/PLAIN for this user. */
  readonly sasl?: { readonly name: string; readonly password: string };
  /** A further listener with TLS. */
  readonly tls?: boolean;
  /** Further lines of server.properties, for all brokers. They win over ours. */
  readonly config?: readonly string[];
};

export type KafkaBroker = {
  readonly id: number;
  readonly port: number;
  readonly saslPort: number;
  readonly tlsPort: number;
  readonly controllerPort: number;
  readonly process: ServerProcess;
};

const CLUSTER_ID = 'bWlsbHJhY2UtdGVzdHMtMA';

/** Private Kafka brokers (KRaft, each a controller too) on free ports of loopback. */
export class KafkaService implements AsyncDisposable {
  readonly brokers: readonly KafkaBroker[];
  readonly folder: string;
  readonly certificate: Certificate | null;

  private constructor(folder: string, brokers: readonly KafkaBroker[], certificate: Certificate | null) {
    this.folder = folder;
    this.brokers = brokers;
    this.certificate = certificate;
  }

  static async start(options: KafkaOptions = {}): Promise<KafkaService> {
    const need = kafkaNeed();
    if (need) throw new Error(`${need.missing} is missing: ${need.install}`);
    const folder = makeFolder('kafka');
    try {
      const certificate = options.tls === true ? await makeCertificate(folder) : null;
      const service = new KafkaService(folder, await makeBrokers(folder, options, certificate), certificate);
      await service.#startAll();
      return service;
    } catch (error) {
      await removeFolder(folder);
      throw error;
    }
  }

  /** `host:port` of each broker's plain listener. */
  get addresses(): readonly string[] {
    return this.brokers.map(({ port }) => `127.0.0.1:${port}`);
  }

  get saslAddresses(): readonly string[] {
    return this.brokers.map(({ saslPort }) => `127.0.0.1:${saslPort}`);
  }

  get tlsAddresses(): readonly string[] {
    return this.brokers.map(({ tlsPort }) => `127.0.0.1:${tlsPort}`);
  }

  broker(id: number): KafkaBroker {
    const broker = this.brokers.find((each) => each.id === id);
    if (!broker) throw new Error(`no broker ${id}; there are ${this.brokers.map((each) => each.id).join(', ')}`);
    return broker;
  }

  /** The end of a crash, of one broker or of all. */
  async kill(id?: number): Promise<void> {
    await Promise.all(this.#which(id).map(({ process }) => process.kill()));
  }

  /** Starts what was killed; resolves when all brokers that run know each other. */
  async start(id?: number): Promise<void> {
    await Promise.all(this.#which(id).map(({ process }) => process.start()));
    const running = this.brokers.filter(({ process }) => process.running);
    await until('brokers that know each other', async () => {
      for (const { port } of running) {
        const alive = await aliveBrokers(port);
        if (!running.every((broker) => alive.includes(broker.id))) return null;
      }
      return true;
    });
  }

  async restart(id?: number): Promise<void> {
    await Promise.all(this.#which(id).map(({ process }) => process.stop()));
    await this.start(id);
  }

  async stop(): Promise<void> {
    await this.kill();
    await removeFolder(this.folder);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #startAll(): Promise<void> {
    try {
      await this.start();
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  #which(id: number | undefined): readonly KafkaBroker[] {
    return id === undefined ? this.brokers : [this.broker(id)];
  }
}

async function makeBrokers(folder: string, options: KafkaOptions, certificate: Certificate | null): Promise<readonly KafkaBroker[]> {
  const count = options.brokers ?? 1;
  const ports = await freePorts(count * 4);
  const planned = Array.from({ length: count }, (_, index) => {
    const [port, saslPort, tlsPort, controllerPort] = ports.slice(index * 4, index * 4 + 4) as [number, number, number, number];
    return { id: index + 1, port, saslPort, tlsPort, controllerPort };
  });
  const voters = planned.map(({ id, controllerPort }) => `${id}@127.0.0.1:${controllerPort}`).join(',');
  return Promise.all(
    planned.map(async (plan) => {
      const config = join(folder, `broker-${plan.id}.properties`);
      writeFileSync(config, properties(folder, plan, voters, options, certificate));
      const [program, ...format] = java('kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', config);
      await promisify(execFile)(program, format).catch((error: unknown) => {
        const said = (error as { readonly stderr?: string }).stderr ?? '';
        const why = said.split('\n').find((line) => line.includes('Exception')) ?? said.slice(-1000);
        throw new Error(`broker ${plan.id} has no storage: ${why}`, { cause: error });
      });
      const ready = async (): Promise<void> => {
        if (!(await aliveBrokers(plan.port)).includes(plan.id)) throw new Error(`broker ${plan.id} is still fenced`);
      };
      return { ...plan, process: new ServerProcess({ name: `broker-${plan.id}`, command: java('kafka.Kafka', config), folder, ready }) };
    }),
  );
}

/** The first compiler only: a test's broker does not live long enough for the second to pay. */
function java(main: string, ...args: string[]): readonly [string, ...string[]] {
  const program = needProgram('java', 'openjdk-17-jre-headless');
  const options = ['-Xmx512m', '-Xshare:auto', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Dorg.slf4j.simpleLogger.showDateTime=true'];
  return [program, ...options, '-cp', `${KAFKA_JARS}/*`, main, ...args];
}

function properties(
  folder: string,
  plan: Omit<KafkaBroker, 'process'>,
  voters: string,
  options: KafkaOptions,
  certificate: Certificate | null,
): string {
  const replicas = options.brokers ?? 1;
  const listeners = [`PLAINTEXT://127.0.0.1:${plan.port}`];
  if (options.sasl) listeners.push(`SASL_PLAINTEXT://127.0.0.1:${plan.saslPort}`);
  if (certificate) listeners.push(`SSL://127.0.0.1:${plan.tlsPort}`);
  return [
    'process.roles=broker,controller',
    `node.id=${plan.id}`,
    `controller.quorum.voters=${voters}`,
    'controller.listener.names=CONTROLLER',
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL',
    `listeners=${listeners.join(',')},CONTROLLER://127.0.0.1:${plan.controllerPort}`,
    `advertised.listeners=${listeners.join(',')}`,
    `log.dirs=${join(folder, `data-${plan.id}`)}`,
    'auto.create.topics.enable=false',
    `default.replication.factor=${replicas}`,
    `min.insync.replicas=${replicas === 1 ? 1 : 2}`,
    `offsets.topic.replication.factor=${replicas}`,
    'offsets.topic.num.partitions=1',
    `transaction.state.log.replication.factor=${replicas}`,
    `transaction.state.log.min.isr=${replicas === 1 ? 1 : 2}`,
    'transaction.state.log.num.partitions=1',
    'group.initial.rebalance.delay.ms=0',
    // Faults are noticed in seconds, not in the minute of the defaults.
    'group.min.session.timeout.ms=1000',
    'group.consumer.min.session.timeout.ms=2000',
    'group.consumer.session.timeout.ms=6000',
    'group.consumer.min.heartbeat.interval.ms=200',
    'group.consumer.heartbeat.interval.ms=500',
    'broker.session.timeout.ms=3000',
    'broker.heartbeat.interval.ms=500',
    ...(options.sasl ? saslLines(options.sasl) : []),
    ...(certificate ? tlsLines(folder, certificate) : []),
    ...(options.config ?? []),
  ].join('\n');
}

function saslLines({ name, password }: { readonly name: string; readonly password: string }): readonly string[] {
  const module = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
  return ['sasl.enabled.mechanisms=PLAIN', `listener.name.sasl_plaintext.plain.sasl.jaas.config=${module} user_${name}="${password}";`];
}

/** Key and certificate in one PEM file, the form that Kafka takes without a Java key store. */
function tlsLines(folder: string, { certFile, keyFile }: Certificate): readonly string[] {
  const store = join(folder, 'server.pem');
  writeFileSync(store, readFileSync(keyFile, 'utf8') + readFileSync(certFile, 'utf8'));
  return ['ssl.keystore.type=PEM', `ssl.keystore.location=${store}`, 'ssl.truststore.type=PEM', `ssl.truststore.location=${certFile}`];
}
