/**
 * A process to be killed: publishes for ever to three channels with a journal and writes into a file what its listener has heard,
 * `epoch offset tenant id`, within the fan-out; a byte on standard output for each.
 */
import { openSync, writeSync } from 'node:fs';
import { silentLogger } from '../../kit/log.ts';
import { Metrics } from '../../kit/metrics.ts';
import { seededRandom } from '../../kit/random.ts';
import { liveEvent } from './events.ts';
import { MemoryChannels } from '../memory.ts';
import { createChannelsMetrics } from '../metrics.ts';
import { openSqliteJournal } from '../sqlite-journal.ts';

const [path = '', heard = '', seed = '0'] = process.argv.slice(2);
const file = openSync(heard, 'a');
const random = seededRandom(Number(seed));
const channels = new MemoryChannels(
  {
    logger: silentLogger,
    metrics: createChannelsMetrics(new Metrics()),
    journal: openSqliteJournal(path, { maxEvents: 50, duplicateWindow: 100 }),
  },
  { maxEvents: 50, duplicateWindow: 100 },
);

for (const tenant of ['a', 'b', 'c']) {
  await channels.subscribe(
    { tenant, type: 'Deal' },
    {
      onEvents: (events) => {
        writeSync(file, events.map(({ position, event }) => `${position.epoch} ${position.offset} ${tenant} ${event.id}\n`).join(''));
        process.stdout.write('.');
      },
      onGap: () => {},
    },
  );
}
for (let next = 0; ;) {
  const batch = Array.from({ length: 1 + Math.floor(random.next() * 4) }, () =>
    liveEvent(`${seed}-${next++}`, { tenant: 'abc'[Math.floor(random.next() * 3)] ?? 'a' }),
  );
  await channels.publish(batch);
  // Lets standard output go out, so that the parent hears of it.
  await new Promise((resolve) => setImmediate(resolve));
}
