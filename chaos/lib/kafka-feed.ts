import { Admin, Producer } from '@platformatic/kafka';
import type { Deal, Send } from './producer.ts';

const TOPIC = 'crm.deals.events';
const PARTITIONS = 4;

/** Producers that publish to Kafka and call an event safe when all replicas in step have it. */
export class KafkaFeed implements AsyncDisposable {
  readonly #servers: readonly string[];
  #producer: Producer | null = null;

  private constructor(servers: readonly string[]) {
    this.#servers = servers;
  }

  static async start(servers: readonly string[]): Promise<KafkaFeed> {
    const admin = new Admin({ clientId: 'chaos', bootstrapBrokers: [...servers] });
    await admin.createTopics({ topics: [TOPIC], partitions: PARTITIONS, replicas: servers.length });
    await admin.close();
    return new KafkaFeed(servers);
  }

  /** For the configuration of a Millrace process. */
  broker(instanceId: string | null): object {
    return {
      name: 'main',
      type: 'kafka',
      servers: this.#servers,
      group: 'chaos',
      delivery: 'effectively-once',
      sessionTimeout: '6s',
      ...(instanceId === null ? {} : { instanceId }),
      topics: [{ name: TOPIC, as: 'crm.deals' }],
    };
  }

  get send(): Send {
    return async (_tenant, deals) => {
      this.#producer ??= new Producer({ clientId: 'chaos', bootstrapBrokers: [...this.#servers], idempotent: true, retries: 3 });
      const producer = this.#producer;
      try {
        await producer.send({ messages: deals.map(message) });
      } catch (error) {
        // What its brokers know of its sequence is not known any more; what it sent may come twice, and has its id.
        if (this.#producer === producer) this.#producer = null;
        void Promise.resolve(producer.close(true)).catch(() => undefined);
        throw error;
      }
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer?.close(true);
  }
}

function message(deal: Deal) {
  return { topic: TOPIC, key: Buffer.from(deal.key), value: Buffer.from(JSON.stringify(deal)) };
}
