import type { RabbitQueue } from '../../brokers/rabbit-client.ts';
import { type Fault, type Kind, type Read, bad, boolean, choice, collect, duration, good, integer, list, text } from './kinds.ts';
import { isRecord } from './issuer.ts';
import { hint } from './suggest.ts';

/** A Kafka or RabbitMQ cluster that events are taken from, and that `POST /events` appends to. */
export type BrokerConfig = KafkaConfig | RabbitConfig;

export type Delivery = 'at-most-once' | 'at-least-once' | 'effectively-once';

type Common = {
  /** Names it in metrics, positions and live topics (`name:topic`). */
  readonly name: string;
  readonly delivery: Delivery;
  readonly servers: readonly string[];
  readonly tls: boolean;
  /** PEM. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly start: 'earliest' | 'latest';
};

export type KafkaConfig = Common & {
  readonly type: 'kafka';
  readonly group: string;
  readonly protocol: 'consumer' | 'classic';
  readonly instanceId: string | null;
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
  readonly sessionTimeout: number;
  readonly onLoss: 'stop' | 'continue';
  readonly topics: readonly { readonly name: string; readonly as: string }[];
};

export type RabbitConfig = Common & {
  readonly type: 'rabbitmq';
  readonly vhost: string;
  readonly prefetch: number;
  readonly queues: readonly QueueConfig[];
};

/** `exchange` and `routingKey` say where `POST /events` publishes; without an exchange straight to the queue. */
export type QueueConfig = Omit<RabbitQueue, 'publish'> & { readonly exchange: string | null; readonly routingKey: string | null };

/**
 * Events of one channel among which a repeat is known, where a broker is to deliver effectively once. A crash may bring back everything that was out, and what
 * was settled since the last commit; all of it may be of one channel.
 */
export function repeatsKnown(maxInFlight: number): number {
  return Math.max(4_000, 4 * maxInFlight);
}

/** How one key is read, and what it is where it is absent; without `absent` it must be there. */
type Field = { readonly kind: Kind<unknown>; readonly absent?: unknown; readonly secret?: boolean };

const TAKES = 'an object {name, type: kafka | rabbitmq, servers, topics | queues, …}; docs/kafka.md and docs/rabbitmq.md list the keys';
const NAME = text('a name of small letters, digits and -, beginning with a letter', (value) => /^[a-z][a-z0-9-]{0,31}$/.test(value));
const SERVER = text('host:port', (value) => /^[^\s:/@]+:\d{1,5}$/.test(value) || /^\[[0-9a-f:]+\]:\d{1,5}$/i.test(value));
const PEM = text('a PEM block', (value) => value.includes('-----BEGIN'));
const SCALARS: Kind<Readonly<Record<string, string | number | boolean>>> = {
  name: 'object',
  takes: 'an object of texts, numbers and booleans',
  read: (raw) =>
    isRecord(raw) && Object.values(raw).every((value) => ['string', 'number', 'boolean'].includes(typeof value))
      ? good(raw as Readonly<Record<string, string | number | boolean>>)
      : bad(raw, 'an object of texts, numbers and booleans'),
  show: (value) => JSON.stringify(value),
};

const COMMON: Readonly<Record<string, Field>> = {
  name: { kind: NAME },
  type: { kind: choice(['kafka', 'rabbitmq']) },
  delivery: { kind: choice(['at-most-once', 'at-least-once', 'effectively-once']), absent: 'at-least-once' },
  servers: { kind: list(SERVER, 100) },
  tls: { kind: boolean(), absent: false },
  ca: { kind: PEM, absent: null },
  cert: { kind: PEM, absent: null },
  key: { kind: PEM, absent: null, secret: true },
  username: { kind: text(), absent: null },
  password: { kind: text(), absent: null, secret: true },
  start: { kind: choice(['earliest', 'latest']), absent: 'earliest' },
};

const TOPIC: Readonly<Record<string, Field>> = {
  name: { kind: text('the name of a topic') },
  as: { kind: text('a live topic'), absent: null },
};

const KAFKA: Readonly<Record<string, Field>> = {
  ...COMMON,
  group: { kind: text(), absent: 'millrace' },
  protocol: { kind: choice(['consumer', 'classic']), absent: 'consumer' },
  instanceId: { kind: text('a name without blanks', (value) => /^\S+$/.test(value)), absent: null },
  mechanism: { kind: choice(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']), absent: 'SCRAM-SHA-512' },
  sessionTimeout: { kind: duration({ min: 1_000, max: 1_800_000 }), absent: 30_000 },
  onLoss: { kind: choice(['stop', 'continue']), absent: 'stop' },
  topics: { kind: list(fields('a topic name, or {name, as?}', TOPIC, 'name'), 1_000) },
};

const BINDING: Readonly<Record<string, Field>> = {
  exchange: { kind: text('the name of an exchange') },
  type: { kind: choice(['direct', 'fanout', 'topic', 'headers']), absent: 'topic' },
  routingKey: { kind: text(), absent: '' },
  arguments: { kind: SCALARS, absent: {} },
};

const QUEUE: Readonly<Record<string, Field>> = {
  name: { kind: text('the name of a queue') },
  as: { kind: text('a live topic'), absent: null },
  kind: { kind: choice(['quorum', 'classic', 'stream']), absent: 'quorum' },
  declare: { kind: boolean(), absent: true },
  deadLetterExchange: { kind: text('the name of an exchange'), absent: null },
  deliveryLimit: { kind: integer({ min: 1, max: 1_000 }), absent: null },
  singleActive: { kind: boolean(), absent: false },
  keyHeader: { kind: text('the name of a header'), absent: null },
  bindings: { kind: list(fields('an object {exchange, type?, routingKey?, arguments?}', BINDING), 100), absent: [] },
  exchange: { kind: text('the name of an exchange'), absent: null },
  routingKey: { kind: text(), absent: null },
};

const RABBIT: Readonly<Record<string, Field>> = {
  ...COMMON,
  vhost: { kind: text(), absent: '/' },
  prefetch: { kind: integer({ min: 1, max: 10_000 }), absent: 1_000 },
  queues: { kind: list(fields('a queue name, or {name, as?, kind?, …}', QUEUE, 'name'), 1_000) },
};

export const broker: Kind<BrokerConfig> = {
  name: 'broker',
  takes: TAKES,
  read(raw) {
    if (!isRecord(raw)) return bad(raw, TAKES);
    const read = readFields(raw, raw['type'] === 'rabbitmq' ? RABBIT : KAFKA);
    return read.ok ? checked(read.value as BrokerConfig) : read;
  },
  show(value) {
    const names = topicsOf(value).map(({ name, as }) => `${name} → ${as}`);
    return `${value.name} (${value.type}, ${value.delivery}${value.type === 'kafka' ? `, group ${value.group}` : ''}; ${names.join(', ')})`;
  },
};

/** Names on the broker and the live topics that they are. */
export function topicsOf(config: BrokerConfig): readonly { readonly name: string; readonly as: string }[] {
  return config.type === 'kafka' ? config.topics : config.queues;
}

/** What no single key can show. Live topics get their default here, since it needs the name of the broker. */
function checked(config: BrokerConfig): Read<BrokerConfig> {
  const faults: Fault[] = [];
  const one = config.type === 'kafka' ? 'topics' : 'queues';
  if (topicsOf(config).length === 0) faults.push({ at: `.${one}`, got: [], takes: 'at least one' });
  if (config.servers.length === 0) faults.push({ at: '.servers', got: [], takes: 'at least one host:port' });
  if ((config.username === null) !== (config.password === null))
    faults.push({
      at: '',
      got: config.username === null ? 'a password alone' : 'a user name alone',
      takes: 'username and password together',
    });
  if ((config.cert === null) !== (config.key === null)) faults.push({ at: '', got: 'one of the two', takes: 'cert and key together' });
  if (!config.tls && (config.ca ?? config.cert) !== null)
    faults.push({ at: '.tls', got: false, takes: 'true where ca, cert or key is given' });
  if (config.type === 'rabbitmq') faults.push(...config.queues.flatMap(queueFaults));
  if (faults.length > 0) return { ok: false, faults };
  const named = <T extends { readonly name: string; readonly as: string | null }>(each: T) => ({
    ...each,
    as: each.as ?? `${config.name}:${each.name}`,
  });
  return good(config.type === 'kafka' ? { ...config, topics: config.topics.map(named) } : { ...config, queues: config.queues.map(named) });
}

/** What RabbitMQ would refuse, or take and pass over. */
function queueFaults({ kind, singleActive, deliveryLimit, deadLetterExchange, declare, bindings }: QueueConfig, index: number): Fault[] {
  const out: Fault[] = [];
  const wrong = (when: boolean, key: string, got: unknown, takes: string): void => {
    if (when) out.push({ at: `.queues[${index}].${key}`, got, takes });
  };
  wrong(kind === 'stream' && singleActive, 'singleActive', true, 'false where the queue is a stream');
  wrong(kind === 'stream' && deadLetterExchange !== null, 'deadLetterExchange', deadLetterExchange, 'nothing where the queue is a stream');
  wrong(kind !== 'quorum' && deliveryLimit !== null, 'deliveryLimit', deliveryLimit, 'nothing where the queue is no quorum queue');
  wrong(!declare && bindings.length > 0, 'bindings', bindings, 'nothing where declare is false');
  return out;
}

/** An object of these fields; `short` is the field that a text alone stands for. */
function fields(takes: string, table: Readonly<Record<string, Field>>, short?: string): Kind<unknown> {
  return {
    name: 'object',
    takes,
    read(raw) {
      if (typeof raw === 'string' && short !== undefined) return readFields({ [short]: raw }, table);
      return isRecord(raw) ? readFields(raw, table) : bad(raw, takes);
    },
    show: (value) => JSON.stringify(value),
  };
}

function readFields(raw: Readonly<Record<string, unknown>>, table: Readonly<Record<string, Field>>): Read<unknown> {
  const known = Object.keys(table);
  const unknown: Fault[] = Object.keys(raw)
    .filter((key) => !known.includes(key))
    .map((key) => ({ at: `.${key}`, got: 'an unknown key', takes: `only ${known.join(', ')}${hint(key, known)}` }));
  const parts = Object.entries(table).map(([key, field]) => [`.${key}`, readField(raw[key], field)] as const);
  const read = collect(parts, (values) => Object.fromEntries(known.map((key, i) => [key, values[i]])));
  if (unknown.length === 0) return read;
  return { ok: false, faults: [...unknown, ...(read.ok ? [] : read.faults)] };
}

function readField(raw: unknown, { kind, absent, secret }: Field): Read<unknown> {
  if ((raw === undefined || raw === null) && absent !== undefined) return good(absent);
  const read = kind.read(raw);
  if (read.ok || secret !== true) return read;
  return { ok: false, faults: read.faults.map((fault) => ({ ...fault, secret: true })) };
}
