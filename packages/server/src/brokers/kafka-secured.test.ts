import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KafkaService } from '../../../../tools/services/kafka.ts';
import { available } from '../../../../tools/services/shared.ts';
import { systemClock } from '../kit/clock.ts';
import type { KafkaOptions } from './kafka-client.ts';
import { KafkaSink } from './kafka-sink.ts';
import { KafkaSource } from './kafka-source.ts';
import { Beside } from './testing/beside.ts';
import { KafkaAdmin } from './testing/kafka-admin.ts';
import { sinkRecordOf } from './testing/records.ts';

const USER = { name: 'millrace', password: 'a password, with a comma' };
let kafka: KafkaService;
/** The client tries again before it gives up. */
const SLOW = { timeout: 120_000 };

/** Appends one event and takes it in, all by the listener that the changes choose. */
async function carries(changes: Pick<KafkaOptions, 'servers'> & Partial<KafkaOptions>): Promise<string | undefined> {
  const topic = `t${randomUUID().slice(0, 8)}`;
  await new KafkaAdmin(kafka.addresses).createTopic(topic);
  const options: KafkaOptions = {
    name: 'main',
    group: topic,
    protocol: 'consumer',
    instanceId: null,
    start: 'earliest',
    onLoss: 'stop',
    tls: null,
    sasl: null,
    topics: [{ name: topic, as: 'crm.deals' }],
    ...changes,
  };
  await using stack = new AsyncDisposableStack();
  const beside = stack.adopt(new Beside(), (each) => each.dispose());
  await beside.open();
  const { logger, metrics, ledger, log } = beside;
  const source = new KafkaSource(options, { logger, metrics, ledger, deadLetters: log.deadLetters, clock: systemClock });
  stack.defer(() => source.close());
  await source.open();
  const sink = stack.adopt(new KafkaSink(options, logger), (each) => each.close());
  await sink.append([sinkRecordOf('1', 'k')]);
  const [record] = await source.pull(1);
  return JSON.parse(Buffer.from(record?.value ?? '').toString()).event_id as string;
}

describe.skipIf(!available('kafka'))('kafka with credentials and TLS', () => {
  beforeAll(async () => {
    const scram =
      'listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;';
    kafka = await KafkaService.start({ sasl: USER, tls: true, config: ['sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512', scram] });
    await new KafkaAdmin(kafka.addresses).createScramUser(USER.name, USER.password);
  });
  afterAll(() => kafka.stop());

  const sasl = (mechanism: 'PLAIN' | 'SCRAM-SHA-512', password = USER.password) => ({ mechanism, username: USER.name, password });

  it('appends and consumes with SASL/PLAIN', async () => {
    expect(await carries({ servers: kafka.saslAddresses, sasl: sasl('PLAIN') })).toBe('1');
  });

  it('appends and consumes with SASL/SCRAM-SHA-512', async () => {
    expect(await carries({ servers: kafka.saslAddresses, sasl: sasl('SCRAM-SHA-512') })).toBe('1');
  });

  it('appends and consumes over TLS, and only with the authority that signed', SLOW, async () => {
    expect(await carries({ servers: kafka.tlsAddresses, tls: { ca: kafka.certificate?.ca ?? '' } })).toBe('1');
    await expect(carries({ servers: kafka.tlsAddresses, tls: {} })).rejects.toMatchObject({ code: 'BROKER_SETUP' });
  });

  it('says at the start that the password is wrong, and does not say the password', SLOW, async () => {
    const refused = await carries({ servers: kafka.saslAddresses, sasl: sasl('PLAIN', 'not the one') }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'BROKER_SETUP' });
    expect(String(refused)).not.toContain('not the one');
  });
});
