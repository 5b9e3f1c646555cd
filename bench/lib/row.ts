import type { Context } from './context.ts';

/** What a figure is called, in which unit it is printed, and which direction is good. */
export type FigureSpec = {
  readonly label: string;
  readonly unit: string;
  /** null: told for orientation, neither direction is better. */
  readonly better: 'more' | 'less' | null;
};

/** Figures of one run, by the names of the row's `figures`. A figure that a subject does not have is left out. */
export type Figures = Readonly<Record<string, number>>;

/**
 * What a row must reach. `ratio`: the figure of `subject` divided by the one of `over`, both medians of this very run. `value`: the figure
 * itself. Exactly one of `atLeast` and `atMost` counts.
 */
export type Target = {
  readonly text: string;
  readonly figure: string;
  readonly subject: string;
  /** The subject that it is compared with; null: the figure stands for itself. */
  readonly over: string | null;
  /** The figure of `over`, where it is another than `figure`. */
  readonly overFigure?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
};

/** What measures share: for example five servers with 5,000 sockets each. Sessions of all subjects are open side by side. */
export type Stage<S> = {
  readonly name: string;
  readonly subjects: readonly string[];
  /** True: every run opens its own, and only one is open at a time. For figures of memory, which remember what was before. */
  readonly fresh?: boolean;
  /** Opens one subject. The session is disposed of when the last row on this stage is through. */
  open(subject: string, context: Context): Promise<S>;
};

export type Row<S extends AsyncDisposable = AsyncDisposable> = {
  readonly name: string;
  readonly title: string;
  /** The work, in a sentence or two: what every subject does, and what is counted. */
  readonly work: string;
  readonly stage: Stage<S>;
  readonly figures: Readonly<Record<string, FigureSpec>>;
  readonly targets: readonly Target[];
  /** Where not all of the stage's. */
  readonly subjects?: readonly string[];
  /** Seconds that five runs take on two cores, roughly: what is still to come is told from them. */
  readonly seconds?: number;
  /** Figures that the README shows; the first where not given. */
  readonly headline?: readonly string[];
  /** A step of this row that takes longer has failed, in seconds (default 180). */
  readonly patienceSeconds?: number;
  /** Once a subject, before the first run: warms up what runs for long in production. Not counted. */
  warm?(session: S, context: Context): Promise<void>;
  /** One run of one subject. */
  measure(session: S, context: Context): Promise<Figures>;
};

/** Keeps a row's session type to itself, so that rows of different stages stand in one list. */
export type AnyRow = Row<never>;

/** The subjects that are Millrace, as several if one row measures it in several ways: `millrace`, or `millrace, 100 groups`. */
export function isMillrace(subject: string): boolean {
  return belongsTo(subject, 'millrace');
}

/** Whether `--only name` means the subject. */
export function belongsTo(subject: string, name: string): boolean {
  return subject === name || subject.startsWith(`${name}, `);
}
