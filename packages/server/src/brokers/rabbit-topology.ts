import type { Channel, Connection } from 'rabbitmq-client';
import { MillraceError, reasonOf } from '../kit/errors.ts';
import { brokersErrors } from './errors.ts';
import type { RabbitQueue } from './rabbit-client.ts';

/**
 * Declares what a queue needs, or makes sure that it is there. On a channel of its own: a refusal closes the channel.
 * Throws BROKER_SETUP where the dead-letter exchange is missing (RabbitMQ would drop what it gives up, silently) or a declaration is refused.
 */
export async function declareQueue(connection: Connection, queue: RabbitQueue): Promise<'there' | 'made'> {
  const found = queue.kind === 'stream' && queue.declare ? await look(connection, queue.name) : 'there';
  await declare(connection, queue);
  return found;
}

/** Whether a stream is about to be made: its offsets begin at 0. On a channel of its own, which a missing queue closes. */
async function look(connection: Connection, queue: string): Promise<'there' | 'made'> {
  const channel = await connection.acquire();
  try {
    await channel.queueDeclare({ queue, passive: true });
    return 'there';
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'NOT_FOUND' || /is down or inaccessible/.test(reasonOf(error))) throw error;
    return 'made';
  } finally {
    await channel.close().catch(() => {});
  }
}

async function declare(connection: Connection, queue: RabbitQueue): Promise<void> {
  const channel = await connection.acquire();
  try {
    if (queue.deadLetterExchange !== null) await mustExist(channel, queue, queue.deadLetterExchange);
    if (!queue.declare) {
      await orRefuse(`queue ${queue.name} does not exist`, () => channel.queueDeclare({ queue: queue.name, passive: true }));
      return;
    }
    await orRefuse(`queue ${queue.name} exists with other arguments, or may not be declared`, () =>
      channel.queueDeclare({ queue: queue.name, durable: true, arguments: queueArguments(queue) }),
    );
    for (const { exchange, type, routingKey, arguments: bindingArguments } of queue.bindings) {
      await orRefuse(`exchange ${exchange} is of another type, or may not be declared`, () =>
        channel.exchangeDeclare({ exchange, type, durable: true }),
      );
      await orRefuse(`queue ${queue.name} cannot be bound to ${exchange}`, () =>
        channel.queueBind({ queue: queue.name, exchange, routingKey, arguments: { ...bindingArguments } }),
      );
    }
  } finally {
    await channel.close().catch(() => {});
  }
}

function queueArguments({ kind, deadLetterExchange, deliveryLimit, singleActive }: RabbitQueue): Record<string, string | number | boolean> {
  return {
    'x-queue-type': kind,
    ...(deadLetterExchange === null ? {} : { 'x-dead-letter-exchange': deadLetterExchange }),
    ...(deliveryLimit === null || kind !== 'quorum' ? {} : { 'x-delivery-limit': deliveryLimit }),
    ...(singleActive ? { 'x-single-active-consumer': true } : {}),
  };
}

async function mustExist(channel: Channel, queue: RabbitQueue, exchange: string): Promise<void> {
  await orRefuse(`the dead-letter exchange ${exchange} of queue ${queue.name} does not exist`, () =>
    channel.exchangeDeclare({ exchange, passive: true }),
  );
}

/** The broker's own answers (404, 406, 403) are the configuration's fault; a lost connection is not. */
async function orRefuse(what: string, run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const code = (error as { readonly code?: unknown }).code;
    if (code !== 'NOT_FOUND' && code !== 'PRECONDITION_FAILED' && code !== 'ACCESS_REFUSED') throw error;
    // Also NOT_FOUND: the queue is there, but its node is starting or away. That is waited for, and is nobody's mistake.
    if (/is down or inaccessible/.test(reasonOf(error))) throw error;
    throw new MillraceError(brokersErrors.BROKER_SETUP, `${what} (${reasonOf(error)})`, {}, error);
  }
}
