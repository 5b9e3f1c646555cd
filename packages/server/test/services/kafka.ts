import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import { ServiceProcess, freePorts, serviceInstalled } from './service-process.ts';

/** The jars of `org.apache.kafka:kafka_2.13`, as `mvn dependency:copy-dependencies` lays them down. */
const LIBS = process.env['KAFKA_LIBS'] ?? join(homedir(), '.cache/millrace/kafka/libs');

export type KafkaServer = {
  readonly address: string;
  createTopic(name: string, partitions?: number, configs?: Readonly<Record<string, string>>): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
};

export function kafkaInstalled(): boolean {
  const found = existsSync(LIBS) && readdirSync(LIBS).some((file) => file.startsWith('kafka_2.13'));
  return serviceInstalled(found, 'Kafka', `no jars in ${LIBS}; KAFKA_LIBS names another folder`);
}

/** A private throw-away broker on free ports of loopback with its data in a temporary folder. */
export async function startKafka(): Promise<KafkaServer> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-'));
  const [port, controller] = (await freePorts(2)) as [number, number];
  const config = join(folder, 'server.properties');
  writeFileSync(config, properties(folder, port, controller));
  const java = (main: string, ...args: string[]): [string, ...string[]] => [
    'java',
    '-Xmx512m',
    '-XX:TieredStopAtLevel=1',
    '-cp',
    `${LIBS}/*`,
    main,
    ...args,
  ];
  const [program, ...format] = java('kafka.tools.StorageTool', 'format', '-t', 'bWlsbHJhY2UtdGVzdHMtMA', '-c', config);
  execFileSync(program, format, { stdio: 'ignore' });
  const address = `127.0.0.1:${port}`;
  const admin = (): Admin => new Admin({ clientId: 'tests', bootstrapBrokers: [address], retries: 0, connectTimeout: 2_000 });
  const withAdmin = async <T>(work: (client: Admin) => Promise<T>): Promise<T> => {
    const client = admin();
    try {
      return await work(client);
    } finally {
      await client.close().catch(() => {});
    }
  };
  const broker = new ServiceProcess(java('kafka.Kafka', config), {}, folder, () => withAdmin(async (client) => void (await client.listTopics())));
  await broker.start();
  return {
    address,
    createTopic: (name, partitions = 1, configs = {}) =>
      withAdmin(
        async (client) =>
          void (await client.createTopics({
            topics: [name],
            partitions,
            replicas: 1,
            // Records of tests carry times of long ago.
            configs: Object.entries({ 'retention.ms': '-1', ...configs }).map(([key, value]) => ({ name: key, value })),
          })),
      ),
    kill: () => broker.kill('SIGKILL'),
    start: () => broker.start(),
    async stop() {
      await broker.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function properties(folder: string, port: number, controller: number): string {
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${controller}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'controller.listener.names=CONTROLLER',
    `log.dirs=${join(folder, 'data')}`,
    'auto.create.topics.enable=false',
    'offsets.topic.replication.factor=1',
    'offsets.topic.num.partitions=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    'group.min.session.timeout.ms=1000',
    'group.consumer.min.session.timeout.ms=2000',
    'group.consumer.session.timeout.ms=6000',
    'group.consumer.min.heartbeat.interval.ms=200',
    'group.consumer.heartbeat.interval.ms=500',
  ].join('\n');
}
