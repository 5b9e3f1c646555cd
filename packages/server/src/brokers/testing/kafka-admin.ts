import { Admin } from '@platformatic/kafka';

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
