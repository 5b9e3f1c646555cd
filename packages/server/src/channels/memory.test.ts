import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { seededRandom } from '../kit/random.ts';
import { channelsConformance, type ChannelsHarness, type ChannelsHarnessOptions, DEALS, Ear } from './conformance.ts';
import { liveEvent } from './testing/events.ts';
import type { ChannelJournal } from './journal.ts';
import { MemoryChannels, type MemoryChannelsOptions } from './memory.ts';
import { createChannelsMetrics } from './metrics.ts';
import { openSqliteJournal } from './sqlite-journal.ts';

const random = seededRandom(1);

async function harness(
  options: ChannelsHarnessOptions,
  openJournal: (() => ChannelJournal) | null,
  end: () => void,
): Promise<ChannelsHarness> {
  let clock = new ManualClock();
  let journal: ChannelJournal | null = null;
  const begin = (): MemoryChannels => {
    journal = openJournal?.() ?? null;
    const deps = { logger: silentLogger, metrics: createChannelsMetrics(new Metrics()), clock, random };
    return new MemoryChannels(journal ? { ...deps, journal } : deps, options);
  };
  let channels = begin();
  return {
    get channels() {
      return channels;
    },
    durable: openJournal !== null,
    interestLagMs: 0,
    another: () => Promise.reject(new Error('memory is one process’s own')),
    elapse: async (ms) => clock.advance(ms),
    settled: async () => {},
    async restart() {
      // What interest was waiting to be written is written: a kill before that is a test of its own below.
      clock.advance(20);
      clock = new ManualClock(clock.now());
      journal?.close();
      channels = begin();
    },
    async dispose() {
      await channels.close();
      end();
    },
  };
}

channelsConformance('memory', (options) => harness(options, null, () => {}));

channelsConformance('memory with journal', (options) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-journal-'));
  const { maxEvents } = options;
  const open = (): ChannelJournal => openSqliteJournal(join(folder, 'channels.db'), { maxEvents, duplicateWindow: maxEvents });
  return harness(options, open, () => rmSync(folder, { recursive: true, force: true }));
});

describe('memory channels', () => {
  function make(options: Partial<MemoryChannelsOptions>): { channels: MemoryChannels; clock: ManualClock; metrics: Metrics } {
    const metrics = new Metrics();
    const clock = new ManualClock();
    return {
      channels: new MemoryChannels({ logger: silentLogger, metrics: createChannelsMetrics(metrics), clock, random }, options),
      clock,
      metrics,
    };
  }
  const value = async (metrics: Metrics, name: string): Promise<number> =>
    Number(new RegExp(`^millrace_channels_${name} (\\S+)$`, 'm').exec(await metrics.text())?.[1]);
  const named = (tenant: string) => ({ tenant, type: 'Deal' });

  it('keeps the bound over all channels by the least recently used, with an explicit gap', async () => {
    const { channels, metrics } = make({ maxTotalBytes: 500 });
    const { position } = await channels.subscribe(named('a'), new Ear());
    await channels.subscribe(named('b'), new Ear());
    await channels.publish([1, 2, 3].map((n) => liveEvent(`a${n}`, { tenant: 'a' })));
    await channels.publish([1, 2].map((n) => liveEvent(`b${n}`, { tenant: 'b' })));
    expect(await value(metrics, 'history_bytes')).toBe(500);
    await channels.publish([liveEvent('b3', { tenant: 'b' })]);
    expect(await value(metrics, 'history_bytes')).toBe(300);
    expect(await channels.history(named('a'), position, 10, 1e6)).toMatchObject({ gap: { missed: 3 }, events: [], top: { offset: 3 } });
    expect(await value(metrics, 'history_evicted_total{why="global"}')).toBe(3);
  });

  it('disposes of idle channels and their history', async () => {
    const { channels, clock, metrics } = make({ lingerMs: 10_000 });
    for (let i = 0; i < 50; i++) {
      const subscription = await channels.subscribe(named(`t${i}`), new Ear());
      await channels.publish([liveEvent(`${i}`, { tenant: `t${i}` })]);
      subscription.close();
    }
    expect(await value(metrics, 'open')).toBe(50);
    clock.advance(20_000);
    expect([await value(metrics, 'open'), await value(metrics, 'disposed_total'), await value(metrics, 'history_bytes')]).toEqual([
      0, 50, 0,
    ]);
  });

  it('lets old history go though nobody asks for it', async () => {
    const { channels, clock, metrics } = make({ maxAgeMs: 10_000 });
    await channels.subscribe(DEALS, new Ear());
    await channels.publish([liveEvent('1')]);
    clock.advance(20_000);
    expect(await value(metrics, 'history_events')).toBe(0);
  });

  it('hands over an event before publish returns', async () => {
    const { channels } = make({});
    const ear = new Ear();
    await channels.subscribe(DEALS, ear);
    const pending = channels.publish([liveEvent('1')]);
    expect(ear.ids).toEqual(['1']);
    await pending;
  });
});

describe('the journal', () => {
  const folders: string[] = [];
  const folder = (): string => {
    folders.push(mkdtempSync(join(tmpdir(), 'millrace-journal-')));
    return join(folders.at(-1)!, 'channels.db');
  };
  afterEach(() => folders.splice(0).forEach((path) => rmSync(join(path), { recursive: true, force: true })));
  const deps = (journal: ChannelJournal, clock: ManualClock) => ({
    logger: silentLogger,
    metrics: createChannelsMetrics(new Metrics()),
    clock,
    random,
    journal,
  });

  it('makes a publish call count for nothing when it cannot be written', async () => {
    let broken = false;
    const journal: ChannelJournal = {
      load: () => null,
      write: () => {
        if (broken) throw new Error('disk full');
      },
      sweep: () => false,
      close: () => {},
    };
    const metrics = new Metrics();
    const channels = new MemoryChannels({ ...deps(journal, new ManualClock()), metrics: createChannelsMetrics(metrics) });
    const ear = new Ear();
    const { position } = await channels.subscribe(DEALS, ear);
    await channels.publish([liveEvent('1', { version: 1 })]);
    broken = true;
    const batch = [liveEvent('2', { version: 2 }), liveEvent('3', { version: 3 })];
    await expect(channels.publish(batch)).rejects.toMatchObject({ code: 'CHANNELS_AWAY' });
    broken = false;
    expect((await channels.publish(batch)).map((r) => r.kind)).toEqual(['published', 'published']);
    expect(ear.heard.map((e) => e.position.offset)).toEqual([1, 2, 3]);
    expect((await channels.history(DEALS, position, 10, 1e6)).events.length).toBe(3);
    expect(await metrics.text()).toContain('millrace_channels_published_total{result="published"} 3\n');
  });

  it('starts new epochs after a power cut, and after nothing else', async () => {
    const path = folder();
    const run = async (machineRun: string, clean: boolean): Promise<string> => {
      const journal = openSqliteJournal(path, { machineRun });
      const clock = new ManualClock();
      const channels = new MemoryChannels(deps(journal, clock));
      const { position } = await channels.subscribe(DEALS, new Ear());
      clock.advance(20);
      if (clean) await channels.close();
      else crash.push(journal);
      return position.epoch;
    };
    const crash: ChannelJournal[] = [];
    const first = await run('one', true);
    const second = await run('two', true);
    expect(second).toBe(first);
    const third = await run('three', false);
    expect(third).toBe(first);
    const fourth = await run('four', false);
    expect(fourth).not.toBe(first);
    for (const journal of crash) journal.close();
  });

  it('forgets the channels of an earlier run that nobody came back for', async () => {
    const path = folder();
    const clock = new ManualClock();
    const first = new MemoryChannels(deps(openSqliteJournal(path), clock), { lingerMs: 10_000 });
    for (let i = 0; i < 500; i++) await first.subscribe({ tenant: `t${i}`, type: 'Deal' }, new Ear());
    await first.close();
    const journal = openSqliteJournal(path);
    const second = new MemoryChannels(deps(journal, new ManualClock(clock.now())), { lingerMs: 10_000 });
    expect(second.interested({ tenant: 't7', type: 'Deal' })).toBe(true);
    await second.close();
    const third = openSqliteJournal(path);
    expect(third.load({ tenant: 't9', type: 'Deal' })).not.toBeNull();
    while (third.sweep(100)) expect(third.load({ tenant: 't9', type: 'Deal' })).not.toBeNull();
    expect(third.load({ tenant: 't8', type: 'Deal' })).toBeNull();
    third.close();
  });
});
