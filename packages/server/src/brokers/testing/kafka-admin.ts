import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { Admin, Connection, alterUserScramCredentialsV0 } from '@platformatic/kafka';

const SCRAM_SHA_512 = 2;

/** What tests do with a cluster beside Millrace. */
export class KafkaAdmin {
  readonly servers: readonly string[];

  constructor(servers: readonly string[]) {
    this.servers = servers;
  }

  createTopic(name: string, partitions = 1): Promise<void> {
    return this.#with(async (admin) => {
      // Records of tests carry times of long ago; by default they would be too old to keep.
      await admin.createTopics({ topics: [name], partitions, replicas: 1, configs: [{ name: 'retention.ms', value: '-1' }] });
    });
  }

  deleteTopics(topics: readonly string[]): Promise<void> {
    return this.#with((admin) => admin.deleteTopics({ topics: [...topics] }));
  }

  /** Keeps what SCRAM (RFC 5802) proves a password with; the administration of the library has no call for it, its protocol has. */
  async createScramUser(name: string, password: string): Promise<void> {
    const [host = '', port] = (this.servers[0] ?? '').split(':');
    const [salt, iterations] = [randomBytes(16), 4096];
    const saltedPassword = pbkdf2Sync(password, salt, iterations, 64, 'sha512');
    const connection = new Connection('tests');
    await connection.connect(host, Number(port));
    try {
      await alterUserScramCredentialsV0.api.async(connection, [], [{ name, mechanism: SCRAM_SHA_512, iterations, salt, saltedPassword }]);
    } finally {
      await connection.close();
    }
  }

  /** The sum of the group's committed offsets, which is the number of records where every partition began at 0. */
  committed(group: string, topic: string, partitions: number): Promise<number> {
    return this.#with(async (admin) => {
      const partitionIndexes = Array.from({ length: partitions }, (_, i) => i);
      const [found] = await admin.listConsumerGroupOffsets({ groups: [{ groupId: group, topics: [{ name: topic, partitionIndexes }] }] });
      const offsets = (found?.topics ?? []).flatMap((each) => each.partitions.map(({ committedOffset }) => Number(committedOffset)));
      return offsets.reduce((sum, offset) => sum + Math.max(0, offset), 0);
    });
  }

  /** As retention does it: everything before `offset` is gone. */
  deleteBefore(topic: string, partitions: number, offset: bigint): Promise<void> {
    return this.#with(async (admin) => {
      await admin.deleteRecords({
        topics: [{ name: topic, partitions: Array.from({ length: partitions }, (_, partition) => ({ partition, offset })) }],
      });
    });
  }

  async #with<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = new Admin({ clientId: 'tests', bootstrapBrokers: [...this.servers] });
    try {
      return await work(admin);
    } finally {
      await admin.close();
    }
  }
}
