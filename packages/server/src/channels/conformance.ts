import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { ChannelEvent, ChannelListener, ChannelName, Channels, Position } from './channels.ts';
import { liveEvent } from './testing/events.ts';

/** One implementation under test. Time is the harness's: nothing here waits for a real clock. */
export interface ChannelsHarness {
  /** After `restart` another object. */
  readonly channels: Channels;
  /** Moves the implementation's time, the sweeps that fall due included. */
  elapse(ms: number): Promise<void>;
  /** Resolves when everything published so far has reached its listeners; at once where fan-out is synchronous. */
  settled(): Promise<void>;
  /** The process ends as by kill -9 and starts again on what it left behind. Listeners are gone. */
  restart(): Promise<void>;
  /** Whether epochs and history are meant to survive `restart`. */
  readonly durable: boolean;
  /** Ms after the linger time within which `interested` has become false, also after a kill; what `publish` answers is exact. */
  readonly interestLagMs: number;
  /** A further object on the same store, as another process has it. Ends with `dispose`. Asked only where the store is shared. */
  another(): Promise<Channels>;
  dispose(): Promise<void>;
}

export type ChannelsHarnessOptions = {
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly lingerMs: number;
};

const BOUNDS: ChannelsHarnessOptions = { maxEvents: 10, maxBytes: 10_000, maxAgeMs: 60_000, lingerMs: 120_000 };

export const DEALS: ChannelName = { tenant: 'acme', type: 'Deal' };

/** Records what a listener was told. */
export class Ear implements ChannelListener {
  readonly heard: ChannelEvent[] = [];
  readonly gaps: unknown[] = [];
  onEvents(events: readonly ChannelEvent[]): void {
    this.heard.push(...events);
  }
  onGap(gap: unknown): void {
    this.gaps.push(gap);
  }
  get ids(): string[] {
    return this.heard.map((entry) => entry.event.id);
  }
}

type Start = (options?: Partial<ChannelsHarnessOptions>) => Promise<ChannelsHarness>;

const ALL = 10_000_000;

/** What the port `Channels` promises; `shared`: also to several processes on one store. */
export function channelsConformance(
  name: string,
  make: (options: ChannelsHarnessOptions) => Promise<ChannelsHarness>,
  { shared = false, modelRuns = 150 }: { readonly shared?: boolean; readonly modelRuns?: number } = {},
): void {
  describe(`channels conformance: ${name}`, () => {
    const made: ChannelsHarness[] = [];
    const start: Start = async (options = {}) => {
      const harness = await make({ ...BOUNDS, ...options });
      made.push(harness);
      return harness;
    };
    afterEach(async () => {
      for (const harness of made.splice(0)) await harness.dispose();
    });
    describe('publish and fan-out', () => publishTests(start));
    describe('re-entrancy', () => reentrancyTests(start));
    describe('history', () => historyTests(start));
    describe('interest', () => interestTests(start));
    describe('restart', () => restartTests(start));
    if (shared) describe('two instances', () => twoInstancesTests(start));
    describe('model', () => modelTests(start, modelRuns));
  });
}

function publishTests(start: Start): void {
  it('gives each event the next offset and each listener every event once, in order', async () => {
    const h = await start();
    const [a, b] = [new Ear(), new Ear()];
    const first = await h.channels.subscribe(DEALS, a);
    expect(first.position.offset).toBe(0);
    const one = await h.channels.publish([liveEvent('1'), liveEvent('2')]);
    await h.settled();
    const second = await h.channels.subscribe(DEALS, b);
    const two = await h.channels.publish([liveEvent('3')]);
    await h.settled();
    expect([...one, ...two].map((r) => (r.kind === 'published' ? r.position.offset : r.kind))).toEqual([1, 2, 3]);
    expect(second.position).toEqual({ epoch: first.position.epoch, offset: 2 });
    expect(a.ids).toEqual(['1', '2', '3']);
    expect(b.ids).toEqual(['3']);
    expect(a.heard.map((e) => e.position)).toEqual([1, 2, 3].map((offset) => ({ epoch: first.position.epoch, offset })));
    expect([a.gaps, b.gaps]).toEqual([[], []]);
  });

  it('takes an event id once, over calls and within one', async () => {
    const h = await start();
    const ear = new Ear();
    await h.channels.subscribe(DEALS, ear);
    expect((await h.channels.publish([liveEvent('1'), liveEvent('1')])).map((r) => r.kind)).toEqual(['published', 'duplicate']);
    expect((await h.channels.publish([liveEvent('1'), liveEvent('2')])).map((r) => r.kind)).toEqual(['duplicate', 'published']);
    await h.settled();
    expect(ear.heard.map((e) => [e.event.id, e.position.offset])).toEqual([
      ['1', 1],
      ['2', 2],
    ]);
  });

  it('takes the versions of an entity in rising order only', async () => {
    const h = await start();
    await h.channels.subscribe(DEALS, new Ear());
    const results = await h.channels.publish([
      liveEvent('1', { version: 5 }),
      liveEvent('2', { version: 5 }),
      liveEvent('3', { version: 4 }),
      liveEvent('4', { version: 1, key: 'd2' }),
      liveEvent('5', { version: 6 }),
      liveEvent('6', { version: null }),
    ]);
    expect(results.map((r) => r.kind)).toEqual(['published', 'stale', 'stale', 'published', 'published', 'published']);
    expect((await h.channels.publish([liveEvent('2', { version: 7 })])).map((r) => r.kind)).toEqual(['published']);
  });

  it('keeps tenants and types apart, whatever their names', async () => {
    const h = await start();
    const names = ['acme', '__proto__', 'constructor', 'a\u0000b', ''].flatMap((tenant) =>
      ['Deal', 'toString'].map((type) => ({ tenant, type })),
    );
    const ears = await Promise.all(
      names.map(async (name) => {
        const ear = new Ear();
        await h.channels.subscribe(name, ear);
        return ear;
      }),
    );
    await h.channels.publish(names.map((name, i) => liveEvent(`${i}`, name)));
    await h.settled();
    expect(ears.map((ear) => ear.ids)).toEqual(names.map((_, i) => [`${i}`]));
  });

  it('tells a closed listener nothing more; closing twice is harmless', async () => {
    const h = await start();
    const [a, b] = [new Ear(), new Ear()];
    const subscription = await h.channels.subscribe(DEALS, a);
    await h.channels.subscribe(DEALS, b);
    subscription.close();
    subscription.close();
    await h.channels.publish([liveEvent('1')]);
    await h.settled();
    expect([a.ids, b.ids]).toEqual([[], ['1']]);
  });

  it('rejects after close', async () => {
    const h = await start();
    await h.channels.close();
    await expect(h.channels.publish([liveEvent('1')])).rejects.toMatchObject({ code: 'CHANNELS_CLOSED' });
    expect(h.channels.interested(DEALS)).toBe(false);
  });
}

function reentrancyTests(start: Start): void {
  it('keeps one order for all when a listener publishes', async () => {
    const h = await start();
    const [before, after] = [new Ear(), new Ear()];
    const nested: Promise<unknown>[] = [];
    await h.channels.subscribe(DEALS, before);
    await h.channels.subscribe(DEALS, {
      onEvents: (events) => {
        if (events[0]?.event.id === '1') nested.push(h.channels.publish([liveEvent('2')]), h.channels.publish([liveEvent('3')]));
      },
      onGap: () => {},
    });
    await h.channels.subscribe(DEALS, after);
    await h.channels.publish([liveEvent('1')]);
    await Promise.all(nested);
    await h.settled();
    expect([before.ids, after.ids]).toEqual([
      ['1', '2', '3'],
      ['1', '2', '3'],
    ]);
  });

  it('skips one that was closed earlier in the same fan-out, and misses nothing for one attached in it', async () => {
    const h = await start();
    const [closed, late] = [new Ear(), new Ear()];
    let attached: Promise<{ position: Position }> | null = null;
    const controller: ChannelListener = {
      onEvents: () => {
        victim.close();
        attached ??= h.channels.subscribe(DEALS, late);
      },
      onGap: () => {},
    };
    await h.channels.subscribe(DEALS, controller);
    const victim = await h.channels.subscribe(DEALS, closed);
    await h.channels.publish([liveEvent('1')]);
    await h.settled();
    await h.channels.publish([liveEvent('2')]);
    await h.settled();
    expect(closed.ids).toEqual([]);
    const { position } = await attached!;
    expect(late.heard.map((e) => e.position.offset)).toEqual(position.offset === 0 ? [1, 2] : [2]);
  });

  it('serves the others when a listener throws', async () => {
    const h = await start();
    const ear = new Ear();
    await h.channels.subscribe(DEALS, {
      onEvents: () => {
        throw new Error('a fault');
      },
      onGap: () => {},
    });
    await h.channels.subscribe(DEALS, ear);
    await h.channels.publish([liveEvent('1')]);
    await h.channels.publish([liveEvent('2')]);
    await h.settled();
    expect(ear.ids).toEqual(['1', '2']);
  });
}

function historyTests(start: Start): void {
  it('continues any position that it still has, without a gap', async () => {
    const h = await start();
    const { position } = await h.channels.subscribe(DEALS, new Ear());
    await h.channels.publish(['1', '2', '3', '4'].map((id) => liveEvent(id)));
    for (let offset = 0; offset <= 4; offset++) {
      const slice = await h.channels.history(DEALS, { ...position, offset }, 100, ALL);
      expect(slice.gap).toBeNull();
      expect(slice.top).toEqual({ ...position, offset: 4 });
      expect(slice.events.map((e) => e.event.id)).toEqual(['1', '2', '3', '4'].slice(offset));
    }
  });

  it('brings the event back as it was published', async () => {
    const h = await start();
    const { position } = await h.channels.subscribe(DEALS, new Ear());
    const event = liveEvent('1', {
      entity: { n: 1, deep: { list: [1, null, 'ü'] } },
      raw: '{"n":1.0,"deep":{"list":[1,null,"ü"]}}',
      before: { n: 0 },
      delta: '{"n":1}',
      version: 3,
      audience: { kind: 'members', users: ['u'], groups: ['g'] },
      traceparent: '00-a-b-01',
    });
    await h.channels.publish([event]);
    const slice = await h.channels.history(DEALS, position, 1, ALL);
    expect(slice.events[0]?.event).toEqual(event);
  });

  it('stops at limit and maxBytes, but gives one event at least', async () => {
    const h = await start();
    const { position } = await h.channels.subscribe(DEALS, new Ear());
    await h.channels.publish(['1', '2', '3', '4'].map((id) => liveEvent(id)));
    expect((await h.channels.history(DEALS, position, 2, ALL)).events.length).toBe(2);
    expect((await h.channels.history(DEALS, position, 100, 250)).events.length).toBe(2);
    expect((await h.channels.history(DEALS, position, 100, 1)).events.length).toBe(1);
  });

  it('says how many events are gone by count, by bytes and by age', async () => {
    const h = await start({ maxEvents: 3, maxBytes: 1000, maxAgeMs: 1000 });
    const { position } = await h.channels.subscribe(DEALS, new Ear());
    await h.channels.publish(['1', '2', '3', '4', '5'].map((id) => liveEvent(id)));
    const byCount = await h.channels.history(DEALS, position, 100, ALL);
    expect([byCount.gap, byCount.events.map((e) => e.event.id)]).toEqual([{ missed: 2 }, ['3', '4', '5']]);
    await h.channels.publish([liveEvent('6', { bytes: 950 })]);
    const byBytes = await h.channels.history(DEALS, { ...position, offset: 3 }, 100, ALL);
    expect([byBytes.gap, byBytes.events.map((e) => e.event.id)]).toEqual([{ missed: 2 }, ['6']]);
    await h.elapse(1000);
    const byAge = await h.channels.history(DEALS, { ...position, offset: 5 }, 100, ALL);
    expect([byAge.gap, byAge.events, byAge.top.offset]).toEqual([{ missed: 1 }, [], 6]);
    expect((await h.channels.history(DEALS, { ...position, offset: 6 }, 100, ALL)).gap).toBeNull();
  });

  it('proves nothing for another epoch, nor for a position that was never given out', async () => {
    const h = await start();
    const { position } = await h.channels.subscribe(DEALS, new Ear());
    await h.channels.publish([liveEvent('1')]);
    const foreign = await h.channels.history(DEALS, { epoch: 'another', offset: 0 }, 100, ALL);
    expect([foreign.gap, foreign.events.length]).toEqual([{ missed: null }, 1]);
    expect((await h.channels.history(DEALS, { ...position, offset: 99 }, 100, ALL)).gap).toEqual({ missed: null });
    const unknown = await h.channels.history({ tenant: 'nobody', type: 'Deal' }, position, 100, ALL);
    expect([unknown.gap, unknown.events, unknown.top.offset]).toEqual([{ missed: null }, [], 0]);
  });
}

function interestTests(start: Start): void {
  it('is there with a listener, for the linger time after, and not otherwise', async () => {
    const h = await start({ lingerMs: 20_000 });
    expect(h.channels.interested(DEALS)).toBe(false);
    expect((await h.channels.publish([liveEvent('0')])).map((r) => r.kind)).toEqual(['no-interest']);
    const subscription = await h.channels.subscribe(DEALS, new Ear());
    await h.elapse(100_000);
    expect(h.channels.interested(DEALS)).toBe(true);
    subscription.close();
    await h.elapse(19_999);
    expect(h.channels.interested(DEALS)).toBe(true);
    expect((await h.channels.publish([liveEvent('1')])).map((r) => r.kind)).toEqual(['published']);
    await h.elapse(1);
    expect((await h.channels.publish([liveEvent('2')])).map((r) => r.kind)).toEqual(['no-interest']);
    await h.elapse(h.interestLagMs);
    expect(h.channels.interested(DEALS)).toBe(false);
  });

  it('finds what came while nobody listened, within the linger time', async () => {
    const h = await start();
    const first = await h.channels.subscribe(DEALS, new Ear());
    first.close();
    await h.channels.publish([liveEvent('1')]);
    const slice = await h.channels.history(DEALS, first.position, 10, ALL);
    expect([slice.gap, slice.events.map((e) => e.event.id)]).toEqual([null, ['1']]);
  });

  it('gives another epoch after the linger time, since events may have passed', async () => {
    const h = await start({ lingerMs: 20_000 });
    const first = await h.channels.subscribe(DEALS, new Ear());
    first.close();
    await h.elapse(20_000);
    await h.channels.publish([liveEvent('unheard')]);
    const second = await h.channels.subscribe(DEALS, new Ear());
    expect(second.position.epoch).not.toBe(first.position.epoch);
    expect((await h.channels.history(DEALS, first.position, 10, ALL)).gap).toEqual({ missed: null });
  });
}

/** What only a store that several processes share can show. */
function twoInstancesTests(start: Start): void {
  const both = async (options: Partial<ChannelsHarnessOptions> = {}) => {
    const h = await start(options);
    return { h, one: h.channels, two: await h.another() };
  };

  it('brings to a subscriber in one what is published in the other, in order', async () => {
    const { h, one, two } = await both();
    const [here, there] = [new Ear(), new Ear()];
    const first = await one.subscribe(DEALS, here);
    const second = await two.subscribe(DEALS, there);
    expect(second.position).toEqual(first.position);
    await one.publish([liveEvent('1'), liveEvent('2')]);
    await two.publish([liveEvent('3')]);
    await one.publish([liveEvent('4')]);
    await h.settled();
    expect([here.ids, there.ids]).toEqual([
      ['1', '2', '3', '4'],
      ['1', '2', '3', '4'],
    ]);
    expect(there.heard.map((entry) => entry.position.offset)).toEqual([1, 2, 3, 4]);
    expect(there.heard[0]?.event).toEqual(liveEvent('1'));
  });

  it('keeps one order where both publish at once', async () => {
    const { h, one, two } = await both({ maxEvents: 1000, maxBytes: 1_000_000 });
    const [here, there] = [new Ear(), new Ear()];
    await one.subscribe(DEALS, here);
    await two.subscribe(DEALS, there);
    const calls = Array.from({ length: 50 }, (_, i) => [one.publish([liveEvent(`a${i}`)]), two.publish([liveEvent(`b${i}`)])]);
    await Promise.all(calls.flat());
    await h.settled();
    expect(here.heard.length).toBe(100);
    expect(there.ids).toEqual(here.ids);
    expect(here.ids.filter((id) => id.startsWith('a'))).toEqual(Array.from({ length: 50 }, (_, i) => `a${i}`));
  });

  it('knows in one of the interest in the other as soon as the subscription resolves', async () => {
    const { h, one, two } = await both();
    for (let i = 0; i < 20; i++) {
      const name = { tenant: `t${i}`, type: 'Deal' };
      expect(one.interested(name)).toBe(false);
      const ear = new Ear();
      await two.subscribe(name, ear);
      // No turn of the event loop in between: an event that is posted now must not pass by.
      expect(one.interested(name)).toBe(true);
      expect((await one.publish([liveEvent('1', name)])).map((result) => result.kind)).toEqual(['published']);
      await h.settled();
      expect(ear.ids).toEqual(['1']);
    }
  });

  it('takes an event id once and versions in rising order, whoever publishes', async () => {
    const { h, one, two } = await both();
    const ear = new Ear();
    await two.subscribe(DEALS, ear);
    await one.publish([liveEvent('1', { version: 5 })]);
    const results = await two.publish([liveEvent('1', { version: 5 }), liveEvent('2', { version: 5 }), liveEvent('3', { version: 6 })]);
    expect(results.map((result) => result.kind)).toEqual(['duplicate', 'stale', 'published']);
    await h.settled();
    expect(ear.ids).toEqual(['1', '3']);
  });

  it('continues in one a position that the other gave out', async () => {
    const { h, one, two } = await both();
    const subscription = await one.subscribe(DEALS, new Ear());
    await two.publish(['1', '2', '3'].map((id) => liveEvent(id)));
    subscription.close();
    await h.settled();
    const ear = new Ear();
    const second = await two.subscribe(DEALS, ear);
    expect(second.position).toEqual({ epoch: subscription.position.epoch, offset: 3 });
    const slice = await two.history(DEALS, { ...subscription.position, offset: 1 }, 10, ALL);
    expect([slice.gap, slice.events.map((entry) => entry.event.id)]).toEqual([null, ['2', '3']]);
  });

  it('is interesting while either listens', async () => {
    const { h, one, two } = await both({ lingerMs: 20_000 });
    const first = await one.subscribe(DEALS, new Ear());
    const second = await two.subscribe(DEALS, new Ear());
    first.close();
    await h.elapse(100_000);
    expect((await one.publish([liveEvent('1')])).map((result) => result.kind)).toEqual(['published']);
    expect(one.interested(DEALS)).toBe(true);
    second.close();
    await h.settled();
    await h.elapse(20_000);
    expect((await one.publish([liveEvent('2')])).map((result) => result.kind)).toEqual(['no-interest']);
  });
}

function restartTests(start: Start): void {
  it('goes on in the same epoch, or says that it cannot', async () => {
    const h = await start();
    const { position } = await h.channels.subscribe(DEALS, new Ear());
    await h.channels.publish([liveEvent('1'), liveEvent('2', { version: 7 })]);
    await h.restart();
    expect(h.channels.interested(DEALS)).toBe(h.durable);
    const meanwhile = await h.channels.publish([liveEvent('2', { version: 7 }), liveEvent('3')]);
    const slice = await h.channels.history(DEALS, { ...position, offset: 1 }, 100, ALL);
    if (h.durable) {
      expect(meanwhile.map((r) => r.kind)).toEqual(['duplicate', 'published']);
      expect([slice.gap, slice.events.map((e) => e.event.id)]).toEqual([null, ['2', '3']]);
    } else {
      expect(meanwhile.map((r) => r.kind)).toEqual(['no-interest', 'no-interest']);
      expect(slice.gap).toEqual({ missed: null });
    }
  });

  it('is not interested any more when the linger time after the restart is over', async () => {
    const h = await start({ lingerMs: 20_000 });
    const { position } = await h.channels.subscribe(DEALS, new Ear());
    await h.channels.publish([liveEvent('1')]);
    await h.restart();
    await h.elapse(20_000 + h.interestLagMs);
    expect(h.channels.interested(DEALS)).toBe(false);
    expect((await h.channels.subscribe(DEALS, new Ear())).position.epoch).not.toBe(position.epoch);
  });
}

type Step =
  | { readonly kind: 'publish'; readonly ids: readonly number[]; readonly bytes: number; readonly version: number | null }
  | { readonly kind: 'elapse'; readonly ms: number }
  | { readonly kind: 'listen' }
  | { readonly kind: 'leave' }
  | { readonly kind: 'restart' };

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('publish' as const),
        ids: fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }),
        bytes: fc.constantFrom(10, 100, 400),
        version: fc.option(fc.nat(9)),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('elapse' as const), ms: fc.constantFrom(100, 900, 5000, 21_000) }) },
    { weight: 2, arbitrary: fc.constant({ kind: 'listen' as const }) },
    { weight: 2, arbitrary: fc.constant({ kind: 'leave' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
  ),
  { minLength: 5, maxLength: 60 },
);

/**
 * Random histories against a straight model that only remembers what was published: every position ever given out is continued exactly,
 * or with an explicit gap of exactly the size that is missing; every listener has heard exactly what came after its position.
 */
function modelTests(start: Start, numRuns: number): void {
  const bounds: ChannelsHarnessOptions = { maxEvents: 6, maxBytes: 900, maxAgeMs: 5000, lingerMs: 20_000 };
  it('agrees with the model in any order of publish, duplicate, evict, expire, leave and restart', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const h = await start(bounds);
        const model = new Model(h);
        for (const step of script) await model.run(step);
        await model.check();
        await h.dispose();
      }),
      { numRuns },
    );
  });
}

class Model {
  readonly #h: ChannelsHarness;
  /** Everything ever published, by epoch. */
  readonly #published = new Map<string, string[]>();
  #ears: { ear: Ear; position: Position; close(): void; open: boolean }[] = [];
  #listening: { ear: Ear; position: Position; close(): void; open: boolean }[] = [];

  constructor(h: ChannelsHarness) {
    this.#h = h;
  }

  async run(step: Step): Promise<void> {
    switch (step.kind) {
      case 'publish': {
        const events = step.ids.map((id) => liveEvent(`${id}`, { bytes: step.bytes, version: step.version, key: `k${id % 3}` }));
        const results = await this.#h.channels.publish(events);
        results.forEach((result, i) => {
          if (result.kind === 'published') this.#published_(result.position, events[i]!.id);
        });
        break;
      }
      case 'elapse':
        await this.#h.elapse(step.ms);
        break;
      case 'listen': {
        const ear = new Ear();
        const { position, close } = await subscribeWith(this.#h.channels, ear);
        const entry = { ear, position, close, open: true };
        if (!this.#published.has(position.epoch)) this.#published.set(position.epoch, []);
        expect(position.offset).toBe(this.#published.get(position.epoch)!.length);
        this.#ears.push(entry);
        this.#listening.push(entry);
        break;
      }
      case 'leave':
        this.#leave();
        break;
      case 'restart':
        await this.#h.settled();
        this.#listening = [];
        await this.#h.restart();
        break;
    }
    await this.check();
  }

  #leave(): void {
    const gone = this.#listening.pop();
    if (!gone) return;
    gone.close();
    gone.open = false;
  }

  #published_(position: Position, id: string): void {
    const list = this.#published.get(position.epoch) ?? [];
    expect(position.offset).toBe(list.length + 1);
    list.push(id);
    this.#published.set(position.epoch, list);
  }

  async check(): Promise<void> {
    await this.#h.settled();
    for (const { ear, position } of this.#ears) {
      const all = this.#published.get(position.epoch) ?? [];
      expect(ear.ids).toEqual(all.slice(position.offset, position.offset + ear.heard.length));
      expect(ear.gaps).toEqual([]);
    }
    for (const { ear, position } of this.#listening)
      expect(ear.heard.length).toBe(this.#published.get(position.epoch)!.length - position.offset);
    for (const [epoch, all] of this.#published) {
      for (const offset of [0, all.length >> 1, all.length]) await this.#checkSlice({ epoch, offset }, all);
    }
  }

  async #checkSlice(after: Position, all: readonly string[]): Promise<void> {
    const { events, top, gap } = await this.#h.channels.history(DEALS, after, 1000, ALL);
    if (top.epoch !== after.epoch) {
      expect(gap).toEqual({ missed: null });
      return;
    }
    expect(top.offset).toBe(all.length);
    const missed = gap === null ? 0 : gap.missed;
    expect(missed).not.toBeNull();
    expect(events.map((entry) => entry.event.id)).toEqual(all.slice(after.offset + missed!));
    expect(events.every((entry, i) => entry.position.offset === after.offset + missed! + i + 1)).toBe(true);
  }
}

async function subscribeWith(channels: Channels, ear: Ear): Promise<{ position: Position; close(): void }> {
  const subscription = await channels.subscribe(DEALS, ear);
  return { position: subscription.position, close: () => subscription.close() };
}
