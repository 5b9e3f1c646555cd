import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../kit/clock.ts';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { seededRandom } from '../kit/random.ts';
import { openEmbeddedLog } from './embedded-log.ts';
import type { EventSource, SourceRecord } from './event-source.ts';
import { createBrokersMetrics } from './metrics.ts';
import { sinkRecordOf } from './testing/records.ts';

type Promised = { readonly appended: Set<string>; readonly settled: Set<string>; readonly retried: Set<string> };

/** Runs the child until it has said `lines` lines, kills it, and adds what it was promised by then. */
async function runAndKill(path: string, seed: number, lines: number, promised: Promised): Promise<void> {
  const promises = `${path}.promises-${seed}`;
  const script = join(import.meta.dirname, 'testing/crash-child.ts');
  const child = spawn(process.execPath, [script, path, promises, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  let said = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.length;
    if (said >= lines) child.kill('SIGKILL');
  });
  expect(await exit).toEqual([null, 'SIGKILL']);
  for (const line of readFileSync(promises, 'utf8').split('\n').slice(0, -1)) {
    const [letter, ...names] = line.split(' ');
    const set = letter === 'A' ? promised.appended : letter === 'S' ? promised.settled : promised.retried;
    for (const name of names) set.add(name);
  }
}

async function everything(source: EventSource): Promise<readonly SourceRecord[]> {
  await source.open();
  const all: SourceRecord[] = [];
  for (let left = await source.lag(); left > 0;) {
    const records = await source.pull(1000);
    all.push(...records);
    left -= records.length;
  }
  return all;
}

/** Of the child: what one flush holds. */
const LARGEST_PULL = 10;

const idOf = (record: SourceRecord): string => (JSON.parse(Buffer.from(record.value ?? []).toString()) as { event_id: string }).event_id;

describe('kill -9', () => {
  const seeds = Array.from({ length: 10 }, (_, i) => i + 1);
  it.each(seeds)('breaks no promise of the log, twice in a row (seed %i)', async (seed) => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
    const path = join(folder, 'events.db');
    const random = seededRandom(seed);
    const promised: Promised = { appended: new Set(), settled: new Set(), retried: new Set() };
    await runAndKill(path, seed * 1000, 1 + Math.floor(random.next() * 120), promised);
    await runAndKill(path, seed * 1000 + 1, 1 + Math.floor(random.next() * 120), promised);

    const clock = new ManualClock(Date.now());
    const log = openEmbeddedLog(path, { logger: silentLogger, metrics: createBrokersMetrics(new Metrics()), clock });
    const records = await everything(log.source('oracle'));
    const ids = records.map(idOf);
    expect(new Set(ids).size).toBe(ids.length);
    expect([...promised.appended].filter((id) => !ids.includes(id))).toEqual([]);
    expect(records.map((record) => Number(record.position))).toEqual(records.map((_, i) => i + 1));

    const again = await log.sink.append([...promised.appended].map((id) => sinkRecordOf(id, null)));
    expect(again.every((result) => result.status === 'duplicate')).toBe(true);

    const group = log.source('g');
    await group.open();
    clock.advance(3_600_000 * 2);
    const rest = await everything(group);
    const positions = new Set(rest.map((record) => record.position));
    expect(positions.size).toBe(rest.length);
    // What was settled and flushed never comes again; what was parked comes once, as a second attempt.
    expect([...promised.settled].filter((position) => positions.has(position))).toEqual([]);
    expect([...promised.retried].filter((position) => !positions.has(position) && !promised.settled.has(position))).toEqual([]);
    for (const record of rest) if (promised.retried.has(record.position)) expect(record.attempt).toBe(2);
    // All the rest comes, but what the child settled in the flush that the kill interrupted.
    const known = new Set([...promised.settled, ...promised.retried]);
    const missing = records.filter(({ position }) => !positions.has(position) && !promised.settled.has(position));
    expect(missing.length).toBeLessThanOrEqual(2 * LARGEST_PULL);
    expect(missing.every(({ position }) => !known.has(position))).toBe(true);
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  });
});
