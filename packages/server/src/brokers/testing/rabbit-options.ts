import type { RabbitOptions, RabbitQueue } from '../rabbit-client.ts';

/** A quorum queue as the configuration would have it with a name alone. */
const QUEUE: Omit<RabbitQueue, 'name'> = {
  as: 'crm.deals',
  kind: 'quorum',
  declare: true,
  deadLetterExchange: null,
  deliveryLimit: null,
  singleActive: false,
  bindings: [],
  keyHeader: null,
  publish: null,
};

export type QueueChanges = Partial<RabbitQueue> & Pick<RabbitQueue, 'name'>;

export function rabbitOptions(server: string, queues: readonly QueueChanges[]): RabbitOptions {
  return {
    name: 'main',
    servers: [server],
    vhost: '/',
    username: 'guest',
    password: 'guest',
    tls: null,
    queues: queues.map((queue) => ({ ...QUEUE, ...queue })),
  };
}
