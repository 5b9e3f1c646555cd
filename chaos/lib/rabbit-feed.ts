import { Connection, type Publisher } from 'rabbitmq-client';
import type { Send } from './producer.ts';

const QUEUE = 'crm.deals.events';

/**
 * Producers that publish to a quorum queue and call an event safe when the broker has confirmed it. The queue has one active consumer at a time: of several
 * that compete each gets a part of a key's messages, and no order is left to keep.
 */
export class RabbitFeed implements AsyncDisposable {
  readonly #server: string;
  readonly #connection: Connection;
  readonly #publisher: Publisher;

  private constructor(server: string, connection: Connection) {
    this.#server = server;
    this.#connection = connection;
    this.#publisher = connection.createPublisher({ confirm: true });
  }

  static async start(port: number): Promise<RabbitFeed> {
    const server = `127.0.0.1:${port}`;
    const connection = new Connection({ hosts: [server], retryHigh: 500, acquireTimeout: 5_000 });
    connection.on('error', () => undefined);
    await connection.queueDeclare({
      queue: QUEUE,
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-single-active-consumer': true },
    });
    return new RabbitFeed(server, connection);
  }

  /** For the configuration of a Millrace process. */
  get broker(): object {
    const queues = [{ name: QUEUE, as: 'crm.deals', keyHeader: 'deal', declare: false }];
    return { name: 'work', type: 'rabbitmq', servers: [this.#server], delivery: 'effectively-once', queues };
  }

  get send(): Send {
    return async (_tenant, deals) => {
      const sent = deals.map((deal) =>
        this.#publisher.send({ routingKey: QUEUE, durable: true, headers: { deal: deal.key } }, Buffer.from(JSON.stringify(deal))),
      );
      await Promise.all(sent);
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#publisher.close();
    await this.#connection.close();
  }
}
