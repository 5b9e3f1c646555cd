import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../../tools/services/available.ts';
import { PrometheusService } from '../../tools/services/prometheus.ts';
import { available } from '../../tools/services/shared.ts';
import { until } from '../../tools/services/until.ts';
import { DEALS_SDL, publishDeal } from '../deals.ts';
import { devToken, type Millrace, pushSchema, startMillrace, temporaryFolder } from '../harness.ts';

/** A running Millrace as the real Prometheus sees it, and the alerts of `deploy/prometheus` against the metrics that there are. */

const DEPLOY = new URL('../../deploy/prometheus/', import.meta.url).pathname;
const here = available('prometheus');
const stack = new AsyncDisposableStack();
let millrace: Millrace;
let prometheus: PrometheusService;
let target: string;

beforeAll(async () => {
  if (!here) return;
  const folder = temporaryFolder();
  stack.defer(() => folder.remove());
  millrace = await startMillrace({ data: folder.path });
  stack.defer(() => millrace.kill());
  target = new URL(millrace.addresses.admin).host;
  const token = await devToken('acme', 'anna');
  expect((await pushSchema(millrace.addresses.registry, token, { name: 'deals', sdl: DEALS_SDL })).status).toBe(200);
  for (const id of ['one', 'two', 'three']) await publishDeal(millrace, token, { id, title: id });
  prometheus = await PrometheusService.start({ config: () => scraping(target) });
  stack.use({ [Symbol.asyncDispose]: () => prometheus.stop() });
}, 60_000);
afterAll(() => stack.disposeAsync());

/** The example with our address, and scrapes that a test can wait for. */
function scraping(address: string): string {
  return readFileSync(join(DEPLOY, 'prometheus.yml'), 'utf8')
    .replaceAll('15s', '1s')
    .replace('alerts.yml', join(DEPLOY, 'alerts.yml'))
    .replace(/targets: .*/, `targets: ['${address}']`);
}

async function api<T>(path: string, query: Record<string, string> = {}): Promise<T> {
  const url = new URL(`/api/v1/${path}`, prometheus.url);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const answer = (await (await fetch(url)).json()) as { readonly status: string; readonly data: T };
  expect(answer.status, JSON.stringify(answer)).toBe('success');
  return answer.data;
}

type Sample = { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] };

async function value(query: string): Promise<string | undefined> {
  return (await api<{ readonly result: readonly Sample[] }>('query', { query })).result[0]?.value[1];
}

function untilValue(query: string, expected: string): Promise<true> {
  return until(`${query} to be ${expected}`, async () => ((await value(query)) === expected ? true : null));
}

describe.skipIf(!here)('Prometheus', () => {
  test('scrapes a running Millrace and finds nothing wrong with what it says', async () => {
    type Targets = { readonly activeTargets: readonly { readonly health: string; readonly lastError: string }[] };
    const activeTargets = await until('the first scrape', async () => {
      const { activeTargets: all } = await api<Targets>('targets');
      return all[0] === undefined || all[0].health === 'unknown' ? null : all;
    });
    expect(activeTargets).toMatchObject([{ health: 'up', lastError: '' }]);
  });

  test('answers queries with what Millrace counted', async () => {
    await untilValue('sum(millrace_brokers_door_events_total{status="accepted"})', '3');
    expect(await value('up{job="millrace"}')).toBe('1');
    await untilValue('sum(millrace_ingest_lag_records)', '0');
    expect(await value('sum(millrace_supergraph_generation_swaps_total)')).toBe('1');
  });

  test('loads the alerts of the example, none of which a healthy Millrace raises', async () => {
    type Rule = { readonly name: string; readonly health: string; readonly state: string; readonly lastError?: string };
    const rules = async (): Promise<readonly Rule[]> =>
      (await api<{ readonly groups: readonly { readonly rules: readonly Rule[] }[] }>('rules')).groups.flatMap((group) => group.rules);
    const all = await until('the rules to be evaluated', async () => {
      const now = await rules();
      return now.some(({ health }) => health === 'unknown') ? null : now;
    });
    expect(all.length).toBeGreaterThanOrEqual(10);
    for (const { name, health, state, lastError } of all)
      expect({ name, health, state, lastError: lastError ?? '' }).toEqual({ name, health: 'ok', state: 'inactive', lastError: '' });
  });

  test('knows every metric and label that the alerts name, but for those of what is not in use', async () => {
    const text = await (await fetch(new URL('/metrics', millrace.addresses.admin))).text();
    const offered = new Set(
      [...text.matchAll(/^# TYPE (\S+) (\S+)/gm)].flatMap(([, name, kind]) => (kind === 'histogram' ? [name, `${name}_bucket`] : [name])),
    );
    const named = readFileSync(join(DEPLOY, 'alerts.yml'), 'utf8').matchAll(/\b(millrace_\w+)\b\b/g);
    const unknown = [...new Set([...named].map(([, name]) => name))].filter(
      (name) => !offered.has(name) && !name?.startsWith('millrace_channels_redis_'),
    );
    expect(unknown).toEqual([]);
  });
});

describe.skipIf(!here || findProgram('promtool') === null)('promtool', () => {
  const promtool = (...args: readonly string[]): Promise<{ readonly stdout: string }> =>
    promisify(execFile)(findProgram('promtool') ?? '', [...args], { cwd: DEPLOY });

  test('finds the example valid', async () => {
    expect((await promtool('check', 'config', 'prometheus.yml')).stdout).toContain('SUCCESS');
    expect((await promtool('check', 'rules', 'alerts.yml')).stdout).toContain('SUCCESS');
  });

  test('sees the alerts come and go as their test says', async () => {
    expect((await promtool('test', 'rules', 'alerts.test.yml')).stdout).toContain('SUCCESS');
  });
});
