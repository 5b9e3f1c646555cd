import type { Context } from './context.ts';
import { rowResult, type RowResult } from './results.ts';
import type { AnyRow, Figures, Row, Stage } from './row.ts';

/** A subject under the name that it has in the report: with `--compare`, `millrace` stands there twice. */
export type Lane = { readonly label: string; readonly subject: string; readonly context: Context };

/** Which lanes a row runs. */
export type Lanes = (row: AnyRow) => readonly Lane[];

/**
 * Runs rows in their order. Within a row the subjects take turns, run by run, so that whatever else the machine does meanwhile falls on all
 * of them. A row that fails is told with its reason, and the others go on.
 */
export async function runRows(
  rows: readonly AnyRow[],
  runs: number,
  lanes: Lanes,
  say: (text: string) => void,
): Promise<readonly RowResult[]> {
  const results: RowResult[] = [];
  for (let at = 0; at < rows.length;) {
    const { stage } = rows[at]!;
    const beyond = rows.findIndex((row, index) => index > at && row.stage !== stage);
    const group = rows.slice(at, beyond < 0 ? rows.length : beyond);
    at += group.length;
    results.push(...(await runStage(group as readonly unknown[] as readonly Row[], runs, lanes, say)));
  }
  return results;
}

type Opened = { readonly lane: Lane; readonly session: AsyncDisposable };

async function runStage(rows: readonly Row[], runs: number, lanes: Lanes, say: (text: string) => void): Promise<RowResult[]> {
  const stage: Stage<AsyncDisposable> = rows[0]!.stage;
  const results: RowResult[] = [];
  await using stack = new AsyncDisposableStack();
  const sessions: Opened[] = [];
  const opened = async (lane: Lane): Promise<AsyncDisposable> => {
    const present = sessions.find((each) => each.lane.label === lane.label);
    if (present) return present.session;
    say(`  opening ${lane.label}: ${stage.name}`);
    const session = stack.use(await stage.open(lane.subject, lane.context));
    sessions.push({ lane, session });
    return session;
  };
  for (const row of rows) {
    const began = performance.now();
    const count = Math.min(runs, row.maxRuns ?? runs);
    const own = lanes(row as unknown as AnyRow);
    say(`${row.name}: ${own.map(({ label }) => label).join(', ')}; ${count} run${count === 1 ? '' : 's'}`);
    const measured = new Map<string, Figures[]>(own.map(({ label }) => [label, []]));
    const result = (): RowResult => rowResult(row as unknown as AnyRow, measured);
    try {
      if (stage.fresh) await runFresh(row, count, own, measured, say);
      else await runOpen(row, count, own, measured, opened, say);
      results.push(result());
    } catch (error) {
      results.push({ ...result(), error: error instanceof Error ? error.message : String(error) });
      say(`  FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    say(`  ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
  return results;
}

type Measured = ReadonlyMap<string, Figures[]>;

async function runOpen(
  row: Row,
  runs: number,
  lanes: readonly Lane[],
  measured: Measured,
  opened: (lane: Lane) => Promise<AsyncDisposable>,
  say: (text: string) => void,
): Promise<void> {
  for (const lane of lanes) await row.warm?.(await opened(lane), lane.context);
  for (let run = 1; run <= runs; run += 1) {
    for (const lane of lanes) note(row, run, lane, measured, await row.measure(await opened(lane), lane.context), say);
  }
}

async function runFresh(row: Row, runs: number, lanes: readonly Lane[], measured: Measured, say: (text: string) => void): Promise<void> {
  for (let run = 1; run <= runs; run += 1) {
    for (const lane of lanes) {
      await using session = await row.stage.open(lane.subject, lane.context);
      note(row, run, lane, measured, await row.measure(session, lane.context), say);
    }
  }
}

function note(row: Row, run: number, lane: Lane, measured: Measured, figures: Figures, say: (text: string) => void): void {
  measured.get(lane.label)?.push(figures);
  const [first, second] = Object.entries(row.figures);
  const told = [first, second].flatMap((entry) =>
    entry && figures[entry[0]] !== undefined ? [`${figures[entry[0]]!.toPrecision(3)} ${entry[1].unit}`] : [],
  );
  say(`  run ${run} ${lane.label}: ${told.join(', ')}`);
}
