import { join } from 'node:path';
import { AtMostOnceSource } from '../brokers/at-most-once.ts';
import type { DeadLetters } from '../brokers/dead-letters.ts';
import { type DeliveryLedger, openDeliveryLedger } from '../brokers/delivery-ledger.ts';
import type { EventSink } from '../brokers/event-sink.ts';
import type { EventSource } from '../brokers/event-source.ts';
import type { KafkaOptions } from '../brokers/kafka-client.ts';
import { KafkaSink } from '../brokers/kafka-sink.ts';
import { KafkaSource } from '../brokers/kafka-source.ts';
import type { BrokersMetrics } from '../brokers/metrics.ts';
import type { RabbitOptions } from '../brokers/rabbit-client.ts';
import { RabbitSink } from '../brokers/rabbit-sink.ts';
import { RabbitSource } from '../brokers/rabbit-source.ts';
import type { Base } from './base.ts';
import type { BrokerConfig, KafkaConfig, RabbitConfig } from './config.ts';

export type ForeignBrokers = {
  /** Not open yet: the ingest workers open them. */
  readonly sources: readonly EventSource[];
  readonly sinks: ReadonlyMap<string, EventSink>;
};

/** The Kafka and RabbitMQ clusters of the configuration. Sinks connect with the first event that is for them. */
export function createBrokers(base: Base, deadLetters: DeadLetters, metrics: BrokersMetrics): ForeignBrokers {
  const { config, dataDir, closing } = base;
  const sinks = new Map<string, EventSink>();
  const ledger = openDeliveryLedger(join(dataDir, 'delivery.sqlite'));
  closing.defer(() => ledger.close());
  const sources = config.brokers.map((broker) => {
    const { source, sink, topics } = create(base, broker, { deadLetters, ledger, metrics });
    closing.defer(() => sink.close());
    for (const topic of topics) sinks.set(topic, sink);
    return broker.delivery === 'at-most-once' ? new AtMostOnceSource(source, deadLetters, base.log) : source;
  });
  return { sources, sinks };
}

type Shared = { readonly deadLetters: DeadLetters; readonly ledger: DeliveryLedger; readonly metrics: BrokersMetrics };
type Created = {
  readonly source: EventSource;
  readonly sink: EventSink & { close(): Promise<void> };
  readonly topics: readonly string[];
};

function create({ config, clock, random, log: logger }: Base, broker: BrokerConfig, shared: Shared): Created {
  const deps = { ...shared, clock, random, logger };
  const maxUnsettled = config.ingest.maxInFlight;
  if (broker.type === 'kafka') {
    const options = kafkaOptions(broker);
    const source = new KafkaSource(options, deps, { maxUnsettled, sessionTimeoutMs: broker.sessionTimeout });
    return { source, sink: new KafkaSink(options, logger, undefined, clock), topics: options.topics.map(({ as }) => as) };
  }
  const options = rabbitOptions(broker);
  const source = new RabbitSource(options, deps, { maxUnsettled, prefetch: broker.prefetch, start: broker.start });
  return { source, sink: new RabbitSink(options, logger, undefined, clock), topics: options.queues.map(({ as }) => as) };
}

function kafkaOptions(config: KafkaConfig): KafkaOptions {
  const { name, servers, group, protocol, instanceId, start, onLoss, topics, mechanism, username, password } = config;
  const sasl = username === null || password === null ? null : { mechanism, username, password };
  return { name, servers, group, protocol, instanceId, start, onLoss, topics, sasl, tls: tlsOptions(config) };
}

function rabbitOptions(config: RabbitConfig): RabbitOptions {
  const { name, servers, vhost, username, password, queues } = config;
  return {
    name,
    servers,
    vhost,
    // What RabbitMQ itself comes with, on loopback only.
    username: username ?? 'guest',
    password: password ?? 'guest',
    tls: tlsOptions(config),
    queues: queues.map(({ exchange, routingKey, ...queue }) => ({
      ...queue,
      publish: exchange === null ? null : { exchange, routingKey: routingKey ?? queue.name },
    })),
  };
}

function tlsOptions({ tls, ca, cert, key }: BrokerConfig): Record<string, string> | null {
  if (!tls) return null;
  return { ...(ca === null ? {} : { ca }), ...(cert === null ? {} : { cert }), ...(key === null ? {} : { key }) };
}
