import type { Context } from './context.ts';
import { Forecast } from './forecast.ts';
import { rowResult, type RowResult } from './results.ts';
import type { AnyRow, Figures, Row } from './row.ts';
import { within } from './within.ts';

/** A subject under the name that it has in the report: with `--compare`, Millrace stands there twice. */
export type Lane = { readonly label: string; readonly subject: string; readonly context: Context };

export type RunOptions = {
  readonly runs: number;
  /** Which lanes a row runs. A row without any is left out. */
  readonly lanes: (row: AnyRow) => readonly Lane[];
  /** Called as soon as a row is through, so that what comes after cannot lose it. */
  readonly done: (result: RowResult) => void;
  readonly say: (text: string) => void;
};

/** Seconds that a step may take where the row does not say. */
const PATIENCE_S = 180;
/** A server that does not end by itself is killed after 30 s. */
const CLOSING_MS = 40_000;

/**
 * Runs rows in their order. Within a row the subjects take turns, run by run, so that whatever else the machine does meanwhile falls on all
 * of them. A row that fails is told with its reason, and the others go on, with servers of their own.
 */
export async function runRows(rows: readonly AnyRow[], options: RunOptions): Promise<readonly RowResult[]> {
  const wanted = rows.filter((row) => options.lanes(row).length > 0);
  const forecast = new Forecast(wanted, options.runs);
  const results: RowResult[] = [];
  let open: OpenStage | null = null;
  for (const row of wanted as readonly unknown[] as readonly Row[]) {
    if (open !== null && open.stage !== row.stage) {
      await open.close();
      open = null;
    }
    open ??= new OpenStage(row.stage, options.say);
    options.say(`\n${row.name} (${forecast.where(row.name)})`);
    const result = await runRow(row, open, options);
    if (result.error !== undefined) {
      // What failed may have left its servers in any state.
      await open.close();
      open = null;
    }
    forecast.took(row.name, result.seconds);
    results.push(result);
    options.done(result);
  }
  await open?.close();
  return results;
}

async function runRow(row: Row, open: OpenStage, { runs, lanes, say }: RunOptions): Promise<RowResult> {
  const own = lanes(row as unknown as AnyRow);
  const measured = new Map<string, Figures[]>(own.map(({ label }) => [label, []]));
  const began = performance.now();
  let failure: string | null = null;
  try {
    const bounded: Bounded = (what, step) => within((row.patienceSeconds ?? PATIENCE_S) * 1_000, `${row.name}: ${what}`, step);
    if (!row.stage.fresh) for (const lane of own) await bounded(`warming up ${lane.label}`, warm(row, lane, open));
    for (let run = 1; run <= runs; run += 1) {
      for (const lane of own) {
        const figures = await bounded(`run ${run} of ${lane.label}`, row.stage.fresh ? measureFresh(row, lane) : measure(row, lane, open));
        measured.get(lane.label)?.push(figures);
        say(`  run ${run} of ${runs}  ${lane.label}: ${told(row, figures)}`);
      }
    }
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    say(`  FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  const result = rowResult(row as unknown as AnyRow, measured, Math.round((performance.now() - began) / 1_000));
  return failure === null ? result : { ...result, error: failure };
}

type Bounded = <T>(what: string, step: Promise<T>) => Promise<T>;

async function warm(row: Row, lane: Lane, open: OpenStage): Promise<void> {
  const session = await open.session(lane);
  await row.warm?.(session, lane.context);
}

async function measure(row: Row, lane: Lane, open: OpenStage): Promise<Figures> {
  return await row.measure(await open.session(lane), lane.context);
}

async function measureFresh(row: Row, lane: Lane): Promise<Figures> {
  await using session = await row.stage.open(lane.subject, lane.context);
  return await row.measure(session, lane.context);
}

/** The first figures of a run, for whoever watches. */
function told(row: Row, figures: Figures): string {
  const named = Object.entries(row.figures).filter(([name]) => figures[name] !== undefined);
  return named
    .slice(0, 2)
    .map(([name, { unit }]) => `${figures[name]!.toPrecision(3)} ${unit}`)
    .join(', ');
}

/** The servers that rows of one stage share; each is opened when it is first asked for. */
class OpenStage {
  readonly stage: Row['stage'];
  readonly #sessions = new Map<string, Promise<AsyncDisposable>>();
  readonly #say: (text: string) => void;

  constructor(stage: Row['stage'], say: (text: string) => void) {
    this.stage = stage;
    this.#say = say;
  }

  session({ label, subject, context }: Lane): Promise<AsyncDisposable> {
    const present = this.#sessions.get(label);
    if (present) return present;
    this.#say(`  opening ${label}: ${this.stage.name}`);
    const session = this.stage.open(subject, context);
    this.#sessions.set(label, session);
    return session;
  }

  /** Whatever cannot be closed is told and left: it must not cost the results. */
  async close(): Promise<void> {
    const close = async (session: Promise<AsyncDisposable>): Promise<void> => (await session)[Symbol.asyncDispose]();
    const closed = await Promise.allSettled([...this.#sessions.values()].map((each) => within(CLOSING_MS, 'closing', close(each))));
    for (const each of closed) if (each.status === 'rejected') this.#say(`  could not close ${this.stage.name}: ${String(each.reason)}`);
    this.#sessions.clear();
  }
}
