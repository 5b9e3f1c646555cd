import { expect, it } from 'vitest';
import { systemClock } from '../../kit/clock.ts';
import { silentLogger } from '../../kit/log.ts';
import { Metrics } from '../../kit/metrics.ts';
import { seededRandom } from '../../kit/random.ts';
import { isSampled, validTraceparent } from '../../kit/traceparent.ts';
import { createTracingMetrics } from './metrics.ts';
import { OpenTelemetryTracer } from './open-telemetry.ts';

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

function tracerOf(ratio: number): OpenTelemetryTracer {
  const deps = { metrics: createTracingMetrics(new Metrics()), clock: systemClock, random: seededRandom(7), log: silentLogger };
  return new OpenTelemetryTracer({ endpoint: 'http://127.0.0.1:9/v1/traces', headers: {}, ratio, roles: ['edge'] }, deps);
}

it('makes children of sampled parents only, in the same trace', () => {
  const tracer = tracerOf(0);
  const child = tracer.child('ingest.map', PARENT);
  expect(child?.traceparent.slice(0, 35)).toBe(PARENT.slice(0, 35));
  expect(validTraceparent(child?.traceparent)).not.toBeNull();
  expect(child?.traceparent).not.toBe(PARENT);
  for (const parent of [null, '', PARENT.replace(/01$/, '00'), PARENT.replace(/01$/, '02'), '00-a-b-01', PARENT.slice(1)])
    expect(tracer.child('ingest.map', parent)).toBeNull();
});

it('begins traces for the configured share of what comes without one', () => {
  const share = (ratio: number): number => {
    const tracer = tracerOf(ratio);
    return Array.from({ length: 2_000 }, () => tracer.root('ingest.map')).filter((span) => span !== null).length;
  };
  expect(share(0)).toBe(0);
  expect(share(1)).toBe(2_000);
  expect(share(0.1)).toBeGreaterThan(150);
  expect(share(0.1)).toBeLessThan(250);
});

it.each([
  ['00', false],
  ['01', true],
  ['02', false],
  ['0a', false],
  ['0b', true],
  ['ff', true],
])('reads the flags %s', (flags, sampled) => {
  expect(isSampled(PARENT.replace(/01$/, flags))).toBe(sampled);
});
