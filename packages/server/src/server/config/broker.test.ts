import { describe, expect, it } from 'vitest';
import { explainConfig, explainDelivery, loadConfig, maskedConfig } from '../config.ts';
import type { Problem } from './sources.ts';

const KAFKA = { name: 'main', type: 'kafka', servers: ['kafka:9092'], topics: ['crm.deals', { name: 'b', as: 'crm.b' }] };
const RABBIT = { name: 'work', type: 'rabbitmq', servers: ['rabbit:5672'], queues: ['deals'] };

function load(brokers: readonly object[], environment: Record<string, string> = {}): ReturnType<typeof loadConfig> {
  const forced = new Map<string, unknown>([['mode', 'dev']]);
  return loadConfig({ cwd: '/', environment: { MILLRACE_BROKERS: JSON.stringify(brokers), ...environment }, forced });
}

async function problems(brokers: readonly object[], environment: Record<string, string> = {}): Promise<readonly string[]> {
  const refused = (await load(brokers, environment).then(
    () => ({ details: { problems: [] } }),
    (error: unknown) => error,
  )) as { readonly details: { readonly problems: readonly Problem[] } };
  return refused.details.problems.map(({ key, got, takes }) => `${key}: got ${got}, takes ${takes}`);
}

describe('brokers', () => {
  it('need little, and name their live topics after themselves', async () => {
    const { config } = await load([KAFKA, RABBIT]);
    expect(config.brokers[0]).toMatchObject({
      group: 'millrace',
      protocol: 'consumer',
      delivery: 'at-least-once',
      start: 'earliest',
      onLoss: 'stop',
      topics: [
        { name: 'crm.deals', as: 'main:crm.deals' },
        { name: 'b', as: 'crm.b' },
      ],
    });
    expect(config.brokers[1]).toMatchObject({ vhost: '/', prefetch: 1000, queues: [{ as: 'work:deals', kind: 'quorum', declare: true }] });
  });

  it('say each mistake at its place', async () => {
    const queue = { name: 'q', bindings: [{ exchange: 'x', type: 'pattern' }], deliveryLimitt: 3 };
    const said = await problems([
      { ...KAFKA, name: 'Main', servers: ['kafka'], start: 'now' },
      { ...RABBIT, queues: [queue], username: 'u' },
    ]);
    const all = said.join('\n');
    for (const part of ['brokers[0].name', 'brokers[0].servers[0]', 'brokers[0].start', 'brokers[1].queues[0].bindings[0].type'])
      expect(all).toContain(part);
    expect(all).toContain('deliveryLimit');
  });

  it('are told what no single key shows', async () => {
    expect(await problems([KAFKA, { ...KAFKA, topics: ['other'] }])).toEqual([expect.stringContaining('two brokers are named main')]);
    expect(await problems([KAFKA, { ...RABBIT, queues: [{ name: 'q', as: 'crm.b' }] }])).toEqual([
      expect.stringContaining('the live topic crm.b comes from two places'),
    ]);
    for (const wrong of [{ password: 'p' }, { ca: '-----BEGIN X' }, { tls: true, cert: '-----BEGIN X' }, { topics: [] }])
      expect(await problems([{ ...KAFKA, ...wrong }])).toHaveLength(1);
  });

  it('deliver effectively once only where positions of channels survive', async () => {
    const once = [{ ...KAFKA, delivery: 'effectively-once' }];
    expect(await problems(once)).toEqual([]);
    expect(await problems(once, { MILLRACE_CHANNELS_JOURNAL: 'false' })).toEqual([
      expect.stringContaining('effectively-once needs channels.journal'),
    ]);
  });

  it('never show a password or key, and show what each source promises', async () => {
    const secret = { username: 'u', password: 'hunter2', tls: true, cert: '-----BEGIN C', key: '-----BEGIN K' };
    const loaded = await load([
      { ...KAFKA, ...secret, delivery: 'effectively-once' },
      { ...RABBIT, ...secret, delivery: 'at-most-once' },
    ]);
    const shown = JSON.stringify([maskedConfig(loaded), explainConfig(loaded), explainDelivery(loaded)]);
    expect(shown).not.toMatch(/hunter2|BEGIN K/);
    expect(explainDelivery(loaded).map(({ key, value, from }) => [key, value.split(':')[0], from])).toEqual([
      ['delivery of embedded', 'at-least-once', 'built in'],
      ['delivery of kafka:main', 'effectively-once', 'MILLRACE_BROKERS'],
      ['delivery of rabbitmq:work', 'at-most-once', 'MILLRACE_BROKERS'],
    ]);
    expect((await problems([{ ...KAFKA, ...secret, key: 'hunter2' }])).join()).not.toContain('hunter2');
  });
});
