/**
 * A process to be killed: appends, consumes and settles for ever, and writes into a file what it was promised, each line before
 * anything else can happen; a byte on standard output tells that there is a line more. `A ids` are appended, `S positions` settled and flushed, `R positions` to be retried and flushed.
 */
import { openSync, writeSync } from 'node:fs';
import { silentLogger } from '../../kit/log.ts';
import { Metrics } from '../../kit/metrics.ts';
import { seededRandom } from '../../kit/random.ts';
import { sinkRecordOf } from './records.ts';
import { openEmbeddedLog } from '../embedded-log.ts';
import type { EventSource, SourceRecord } from '../event-source.ts';
import { createBrokersMetrics } from '../metrics.ts';

const [path = '', promises = '', seed = '0'] = process.argv.slice(2);
const file = openSync(promises, 'a');
const random = seededRandom(Number(seed));
const log = openEmbeddedLog(path, { logger: silentLogger, metrics: createBrokersMetrics(new Metrics()) }, { checkpointBytes: 20_000 });
const source = log.source('g');
await source.open();
let next = 0;

function say(letter: string, names: readonly string[]): void {
  if (names.length === 0) return;
  writeSync(file, `${letter} ${names.join(' ')}\n`);
  process.stdout.write('.');
}

async function produce(): Promise<never> {
  for (;;) {
    const ids = Array.from({ length: 1 + Math.floor(random.next() * 5) }, () => `${seed}-${next++}`);
    await log.sink.append(
      ids.map((id) => sinkRecordOf(id, `k${Math.floor(random.next() * 20)}`, 'x'.repeat(Math.floor(random.next() * 300)))),
    );
    say('A', ids);
  }
}

async function consume(from: EventSource): Promise<never> {
  for (;;) {
    const settled: SourceRecord[] = [];
    const retried: SourceRecord[] = [];
    for (const record of await from.pull(1 + Math.floor(random.next() * 10))) {
      const fate = random.next();
      if (fate < 0.9) settled.push(record);
      else if (fate < 0.97) retried.push(record);
    }
    for (const record of settled) from.settle(record, { kind: 'done' });
    for (const record of retried) from.settle(record, { kind: 'retry', at: Date.now() + 3_600_000, code: 'X', reason: 'later' });
    await from.flush();
    say(
      'S',
      settled.map((record) => record.position),
    );
    say(
      'R',
      retried.map((record) => record.position),
    );
  }
}

await Promise.all([produce(), produce(), produce(), consume(source)]);
