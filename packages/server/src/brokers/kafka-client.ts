import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { isUtf8 } from 'node:buffer';
import type { BaseOptions, Message, SASLOptions } from '@platformatic/kafka';
import type { SourceRecord } from './event-source.ts';
import { recordTime } from './record-time.ts';

/** One Kafka cluster as a configuration names it. */
export type KafkaOptions = {
  /** Live topics are `name:topic` where `as` does not say otherwise. */
  readonly name: string;
  /** `host:port`, some of the cluster's. */
  readonly servers: readonly string[];
  /** The consumer group; one for all instances that share the work. */
  readonly group: string;
  /** `consumer` is KIP-848 (Kafka 4), `classic` what older clusters know. */
  readonly protocol: 'consumer' | 'classic';
  /** Static membership: a member that comes back by this name within the session timeout keeps its partitions. */
  readonly instanceId: string | null;
  /** Where a partition without a committed offset begins. */
  readonly start: 'earliest' | 'latest';
  /** What to do when offsets were skipped unread. */
  readonly onLoss: 'stop' | 'continue';
  readonly tls: TlsOptions | null;
  readonly sasl: (Pick<SASLOptions, 'mechanism'> & { readonly username: string; readonly password: string }) | null;
  readonly topics: readonly KafkaTopic[];
};

export type KafkaTopic = {
  readonly name: string;
  /** The topic that `@live` names. */
  readonly as: string;
};

export type KafkaMessage = Message;

/** What every client of the cluster is made with. Requests that a dead broker would keep for ever end after 10 s. */
export function clientOptions({ name, servers, tls, sasl }: KafkaOptions, purpose: string): BaseOptions {
  return {
    clientId: `millrace-${name}-${purpose}`,
    bootstrapBrokers: [...servers],
    connectTimeout: 5_000,
    requestTimeout: 10_000,
    retries: 3,
    retryDelay: 250,
    autocreateTopics: false,
    ...(tls === null ? {} : { tls }),
    ...(sasl === null ? {} : { sasl: { ...sasl } }),
  };
}

/** Header names in lower case, as events/record.ts has them; of a name that comes twice the last counts. */
export function recordOf(message: KafkaMessage, as: string, now: number, attempt: number): SourceRecord {
  const headers = new Map<string, string>();
  for (const [name, value] of message.headerEntries) headers.set(String(name).toLowerCase(), value === undefined ? '' : value.toString());
  const key = keyOf(message.key);
  const partition = `${message.topic}/${message.partition}`;
  return {
    topic: as,
    key,
    headers,
    value: message.value ?? null,
    timestamp: recordTime(Number(message.timestamp), now),
    position: `${partition}/${message.offset}`,
    orderKey: key === null || key === '' ? partition : key,
    attempt,
  };
}

/** Bytes that are no text stand in Base64: replaced characters would make one key of many. */
function keyOf(key: Buffer | undefined): string | null {
  if (key === undefined || key === null) return null;
  return isUtf8(key) ? key.toString() : `base64:${key.toString('base64')}`;
}
