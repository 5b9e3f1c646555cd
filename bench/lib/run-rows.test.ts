import { describe, expect, it } from 'vitest';
import type { Context } from './context.ts';
import type { RowResult } from './results.ts';
import type { AnyRow, Row, Stage } from './row.ts';
import { type Lane, runRows } from './run-rows.ts';

type Session = AsyncDisposable & { readonly subject: string };

/** A stage that writes down what becomes of its sessions. */
function stage(log: string[], closing: () => Promise<void> = () => Promise.resolve()): Stage<Session> {
  return {
    name: 'servers',
    subjects: ['millrace', 'peer'],
    open(subject) {
      log.push(`open ${subject}`);
      const close = (): Promise<void> => {
        log.push(`close ${subject}`);
        return closing();
      };
      return Promise.resolve({ subject, [Symbol.asyncDispose]: close });
    },
  };
}

function row(name: string, on: Stage<Session>, measure: Row<Session>['measure']): AnyRow {
  const figures = { rate: { label: 'rate', unit: '/s', better: 'more' } } as const;
  return { name, title: name, work: '', stage: on, figures, targets: [], measure } as Row<Session> as unknown as AnyRow;
}

const lanes = (each: AnyRow): readonly Lane[] =>
  each.stage.subjects.map((subject) => ({ label: subject, subject, context: {} as Context }));

async function run(rows: readonly AnyRow[], runs = 2): Promise<{ results: readonly RowResult[]; done: string[]; said: string }> {
  const done: string[] = [];
  let said = '';
  const results = await runRows(rows, {
    runs,
    lanes,
    done: ({ name, error }) => void done.push(error === undefined ? name : `${name} failed`),
    say: (text) => void (said += `${text}\n`),
  });
  return { results, done, said };
}

describe('rows', () => {
  it('take turns between subjects on servers that rows of one stage share', async () => {
    const log: string[] = [];
    const on = stage(log);
    const measure: Row<Session>['measure'] = ({ subject }) => {
      log.push(subject);
      return Promise.resolve({ rate: 1 });
    };
    await run([row('a', on, measure), row('b', on, measure)], 1);
    expect(log).toEqual(['open millrace', 'open peer', 'millrace', 'peer', 'millrace', 'peer', 'close millrace', 'close peer']);
  });

  it('that fail keep what they measured, and the next ones get servers of their own', async () => {
    const log: string[] = [];
    const on = stage(log);
    let measured = 0;
    const failing: Row<Session>['measure'] = () => {
      measured += 1;
      return measured === 3 ? Promise.reject(new Error('lost a frame')) : Promise.resolve({ rate: 7 });
    };
    const { results, done, said } = await run([row('a', on, failing), row('b', on, () => Promise.resolve({ rate: 1 }))]);
    expect(results[0]).toMatchObject({ error: 'lost a frame', runs: 1, subjects: { millrace: { rate: { median: 7 } } } });
    expect(results[1]?.error).toBeUndefined();
    expect(done).toEqual(['a failed', 'b']);
    expect(said).toContain('FAILED: Error: lost a frame');
    expect(log.filter((each) => each === 'open millrace')).toHaveLength(2);
  });

  it('are not lost where a server cannot be closed', async () => {
    const { results, said } = await run([
      row(
        'a',
        stage([], () => Promise.reject(new Error('does not end'))),
        () => Promise.resolve({ rate: 1 }),
      ),
    ]);
    expect(results).toHaveLength(1);
    expect(said).toContain('could not close servers: Error: does not end');
  });

  it('that take longer than their patience fail', async () => {
    const never = { ...row('a', stage([]), () => new Promise<never>(() => undefined)), patienceSeconds: 0.01 } as AnyRow;
    const { results } = await run([never]);
    expect(results[0]?.error).toBe('a: run 1 of millrace took longer than 0.01 s');
  });

  it('without subjects are left out', async () => {
    const results = await runRows([row('a', stage([]), () => Promise.resolve({}))], {
      runs: 1,
      lanes: () => [],
      done: () => undefined,
      say: () => undefined,
    });
    expect(results).toEqual([]);
  });
});
