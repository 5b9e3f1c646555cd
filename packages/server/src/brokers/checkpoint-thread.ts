/**
 * The thread of `checkpointer.ts`: for each message, one passive check-point on a connection of its own. Passive: it never waits for,
 * and never holds up, the writer of the main thread.
 */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { reasonOf } from '../kit/errors.ts';

const db = new DatabaseSync(String(workerData));
db.exec('PRAGMA busy_timeout = 2000; PRAGMA synchronous = NORMAL');
const checkpoint = db.prepare('PRAGMA wal_checkpoint(PASSIVE)');

parentPort?.on('message', () => {
  const start = performance.now();
  try {
    checkpoint.get();
    parentPort?.postMessage({ kind: 'done', ms: performance.now() - start });
  } catch (thrown) {
    parentPort?.postMessage({ kind: 'failed', reason: reasonOf(thrown) });
  }
});
