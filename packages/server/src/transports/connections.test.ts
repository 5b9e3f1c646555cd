import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { Metrics } from '../kit/metrics.ts';
import { seededRandom } from '../kit/random.ts';
import { CONNECTION_LIMITS, type Connection, Connections, type ConnectionSlot } from './connections.ts';
import { createTransportsMetrics } from './metrics.ts';

function setUp(limits = {}) {
  const metrics = new Metrics();
  return { metrics, connections: new Connections(createTransportsMetrics(metrics), { ...CONNECTION_LIMITS, ...limits }) };
}

class Probe implements Connection {
  slot: ConnectionSlot | null = null;
  readonly closes: string[] = [];
  /** Whether it goes when asked. */
  readonly obedient: boolean;

  constructor(obedient = true) {
    this.obedient = obedient;
  }

  close(reason: { readonly reason: string; readonly label: string }): void {
    this.closes.push(reason.reason);
    if (this.obedient) this.slot?.release(reason.label);
  }
}

function open(connections: Connections, count: number, obedient = true): Probe[] {
  return Array.from({ length: count }, () => {
    const probe = new Probe(obedient);
    probe.slot = connections.add(probe, 'ws', '10.0.0.1');
    probe.slot.authenticated();
    return probe;
  });
}

describe('Connections', () => {
  it('counts by address however often and in whatever order places are settled and released', async () => {
    const { connections, metrics } = setUp({ maxPerAddress: 2, maxUnauthenticatedPerAddress: 1 });
    const first = connections.add(new Probe(), 'ws', 'a');
    expect(connections.refusal('a')?.code).toBe('ADDRESS_LIMIT');
    expect(connections.refusal('b')).toBeNull();
    first.authenticated();
    first.authenticated();
    expect(connections.refusal('a')).toBeNull();
    const second = connections.add(new Probe(), 'sse', 'a');
    expect(connections.refusal('a')?.code).toBe('ADDRESS_LIMIT');
    second.release('client');
    second.release('client');
    second.authenticated();
    first.release('idle');
    expect([connections.size, connections.refusal('a')]).toEqual([0, null]);
    const text = await metrics.text();
    expect(text).toContain('millrace_transports_connections{protocol="ws"} 0');
    expect(text).toContain('millrace_transports_connections_unauthenticated 0');
    expect(text).toContain('millrace_transports_closed_total{protocol="sse",reason="client"} 1');
  });

  it('closes evenly over the window while draining, each once, each with its own hint', async () => {
    const { connections } = setUp();
    const clock = new ManualClock();
    const probes = open(connections, 100);
    const drained = connections.drain(clock, seededRandom(7), { windowMs: 1_000, graceMs: 500 });
    expect(connections.refusal('b')?.code).toBe('CONNECTION_LIMIT');
    const left: number[] = [];
    for (let step = 0; step < 10; step++) {
      left.push(connections.size);
      clock.advance(100);
      await new Promise(setImmediate);
    }
    await drained;
    expect(left).toEqual([90, 80, 70, 60, 50, 40, 30, 20, 10, 0]);
    expect(probes.every((probe) => probe.closes.length === 1)).toBe(true);
    expect(new Set(probes.flatMap((probe) => probe.closes)).size).toBeGreaterThan(50);
  });

  it('waits for stubborn connections no longer than the grace', async () => {
    const { connections } = setUp();
    const clock = new ManualClock();
    open(connections, 3, false);
    let over = false;
    const drained = connections.drain(clock, seededRandom(7), { windowMs: 0, graceMs: 500 }).then(() => (over = true));
    await new Promise(setImmediate);
    expect(over).toBe(false);
    clock.advance(500);
    await drained;
    expect(connections.size).toBe(3);
  });
});
