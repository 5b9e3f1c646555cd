import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { seededRandom } from '../kit/random.ts';
import { MemoryChannels } from './memory.ts';
import { createChannelsMetrics } from './metrics.ts';
import { openSqliteJournal } from './sqlite-journal.ts';
import { liveEvent } from './testing/events.ts';

type Heard = { readonly epoch: string; readonly offset: number; readonly tenant: string; readonly id: string };

async function runAndKill(path: string, seed: number, events: number): Promise<readonly Heard[]> {
  const file = `${path}.heard-${seed}`;
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testing/crash-child.ts'), path, file, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  let said = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.length;
    if (said >= events) child.kill('SIGKILL');
  });
  expect(await exit).toEqual([null, 'SIGKILL']);
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => {
    const [epoch = '', offset = '', tenant = '', id = ''] = line.split(' ');
    return { epoch, offset: Number(offset), tenant, id };
  });
}

describe('kill -9', () => {
  it.each([1, 2, 3, 4, 5, 6])('leaves every offset that was heard with the same event, in the same epoch (seed %i)', async (seed) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-channels-crash-'));
    const path = join(folder, 'channels.db');
    const random = seededRandom(seed);
    const heard = [
      ...(await runAndKill(path, seed * 1000, 1 + Math.floor(random.next() * 200))),
      ...(await runAndKill(path, seed * 1000 + 1, 1 + Math.floor(random.next() * 200))),
    ];
    const journal = openSqliteJournal(path, { maxEvents: 50, duplicateWindow: 100 });
    const channels = new MemoryChannels(
      { logger: silentLogger, metrics: createChannelsMetrics(new Metrics()), journal },
      { maxEvents: 50, duplicateWindow: 100 },
    );
    for (const tenant of new Set(heard.map((h) => h.tenant))) {
      const name = { tenant, type: 'Deal' };
      const mine = heard.filter((h) => h.tenant === tenant);
      expect(channels.interested(name)).toBe(true);
      // What was journalled but not heard before the kill is in history; what was heard has one offset, rising.
      expect(mine.every((h, i) => i === 0 || h.offset > mine[i - 1]!.offset)).toBe(true);
      const first = mine[0]!;
      const slice = await channels.history(name, { epoch: first.epoch, offset: first.offset - 1 }, 1000, 1e9);
      expect([...new Set(mine.map((h) => h.epoch))]).toEqual([slice.top.epoch]);
      expect(slice.top.offset).toBeGreaterThanOrEqual(mine.at(-1)!.offset);
      const kept = new Map(slice.events.map(({ position, event }) => [position.offset, event.id]));
      expect(slice.events.map(({ position }) => position.offset)).toEqual(
        slice.events.map((_, i) => slice.top.offset - slice.events.length + 1 + i),
      );
      for (const h of mine) if (h.offset > slice.top.offset - slice.events.length) expect(kept.get(h.offset)).toBe(h.id);
      const again = await channels.publish(mine.slice(-50).map((h) => liveEvent(h.id, { tenant })));
      expect(again.every((result) => result.kind === 'duplicate')).toBe(true);
    }
    await channels.close();
    rmSync(folder, { recursive: true, force: true });
  });
});
