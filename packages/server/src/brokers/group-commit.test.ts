import { describe, expect, it } from 'vitest';
import { silentLogger } from '../kit/log.ts';
import { Metrics } from '../kit/metrics.ts';
import { openDatabase } from '../kit/sqlite.ts';
import type { Checkpointer } from './checkpointer.ts';
import { GroupCommit, type Participant } from './group-commit.ts';
import { createBrokersMetrics } from './metrics.ts';

type Bench = { readonly commit: GroupCommit; readonly events: string[]; rows(): number; insert(): void };

/** A commit over a table of its own; `sync` and the check-points are the test's. */
function bench(over: { sync?: () => Promise<void>; checkpointer?: Checkpointer; checkpointBytes?: number; maxBatch?: number } = {}): Bench {
  const database = openDatabase(':memory:', { schemaVersion: 1, migrate: (db) => db.exec('CREATE TABLE t (x)') });
  const events: string[] = [];
  const commit = new GroupCommit({
    database,
    sync: over.sync ?? (() => Promise.resolve()),
    checkpointer: over.checkpointer ?? null,
    options: { maxPending: 100, maxBatch: over.maxBatch ?? 100, checkpointBytes: over.checkpointBytes ?? 1e9 },
    metrics: createBrokersMetrics(new Metrics()),
    logger: silentLogger,
  });
  const participant: Participant = {
    write: () => void events.push('write'),
    written: () => void events.push('written'),
    rolledBack: () => void events.push('rolled back'),
    durable: () => void events.push('durable'),
  };
  commit.join(participant);
  return {
    commit,
    events,
    rows: () => Number(database.db.prepare('SELECT count(*) AS n FROM t').get()?.['n']),
    insert: () => database.db.exec('INSERT INTO t VALUES (1)'),
  };
}

const fullDisk = (): never => {
  throw Object.assign(new Error('database or disk is full'), { errcode: 13 });
};

describe('GroupCommit', () => {
  it('shares one transaction and one sync among the calls of a turn, and answers after the sync', async () => {
    let release = (): void => {};
    let syncs = 0;
    const syncing = Promise.withResolvers<void>();
    const b = bench({
      sync: () => {
        syncs += 1;
        syncing.resolve();
        return new Promise((resolve) => (release = resolve));
      },
    });
    const answers: number[] = [];
    const calls = [1, 2, 3].map((n) =>
      b.commit
        .submit(1, 10, () => {
          b.insert();
          return n;
        })
        .then((got) => answers.push(got)),
    );
    await syncing.promise;
    expect([b.rows(), answers, b.events]).toEqual([3, [], ['write', 'written']]);
    release();
    await Promise.all(calls);
    expect([syncs, answers, b.events]).toEqual([1, [1, 2, 3], ['write', 'written', 'durable']]);
  });

  it('rejects all calls of a transaction that fails, leaves nothing behind, and goes on', async () => {
    const b = bench();
    const calls = await Promise.allSettled([b.commit.submit(1, 10, () => b.insert()), b.commit.submit(1, 10, fullDisk)]);
    expect(calls.map((call) => call.status === 'rejected' && (call.reason as { code: string }).code)).toEqual(['DISK_FULL', 'DISK_FULL']);
    expect([b.rows(), b.events]).toEqual([0, ['rolled back']]);
    await b.commit.submit(1, 10, () => b.insert());
    expect(b.rows()).toBe(1);
  });

  it('takes nothing more once the disk could not be forced', async () => {
    let syncs = 0;
    const b = bench({
      sync: () => {
        syncs += 1;
        return Promise.reject(new Error('EIO'));
      },
    });
    await expect(b.commit.submit(1, 10, () => b.insert())).rejects.toMatchObject({ code: 'BROKER_FAILED' });
    await expect(b.commit.submit(1, 10, () => b.insert())).rejects.toMatchObject({ code: 'BROKER_FAILED' });
    expect(syncs).toBe(1);
    await b.commit.close();
  });

  it('bounds the records of one transaction', async () => {
    const b = bench({ maxBatch: 2 });
    await Promise.all([1, 2, 3, 4, 5].map(() => b.commit.submit(1, 10, () => b.insert())));
    expect(b.events.filter((event) => event === 'write').length).toBe(3);
  });

  it('check-points in two passes: commits go on during the first and wait for the second', async () => {
    const passes: (() => void)[] = [];
    const started = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const checkpointer: Checkpointer = {
      run: () =>
        new Promise((resolve) => {
          passes.push(() => resolve(1));
          started[passes.length - 1]?.resolve();
        }),
      close: () => Promise.resolve(),
    };
    const b = bench({ checkpointer, checkpointBytes: 100 });
    await b.commit.submit(1, 200, () => b.insert());
    await started[0]?.promise;
    await b.commit.submit(1, 10, () => b.insert());
    expect([b.rows(), passes.length]).toEqual([2, 1]);
    passes[0]?.();
    await started[1]?.promise;
    const waiting = b.commit.submit(1, 10, () => b.insert());
    await new Promise((resolve) => setImmediate(resolve));
    expect(b.rows()).toBe(2);
    passes[1]?.();
    await waiting;
    expect(b.rows()).toBe(3);
    await b.commit.close();
  });

  it('makes what was submitted durable before it closes, and refuses what comes after', async () => {
    const b = bench();
    const call = b.commit.submit(1, 10, () => b.insert());
    await b.commit.close();
    await call;
    expect(b.rows()).toBe(1);
    await expect(b.commit.submit(0, 0, () => {})).rejects.toMatchObject({ code: 'BROKER_CLOSED' });
  });
});
