import { ROOT } from './machine.ts';
import type { Options } from './options.ts';

/** What a row may know about the run that it is part of. */
export type Context = {
  readonly options: Options;
  /** Root of the repository whose Millrace is measured: this one, or with `--compare` a worktree of another commit. */
  readonly product: string;
  /** Figures that one row leaves for a later one, such as the highest rate of a peer. By subject and name. */
  readonly notes: Map<string, number>;
  /** `full`, or a tenth of it (at least `least`) in a smoke run. */
  scale(full: number, least?: number): number;
  /** A line of progress. */
  say(text: string): void;
};

export function createContext(options: Options, product = ROOT): Context {
  return {
    options,
    product,
    notes: new Map(),
    scale: (full, least = 1) => (options.quick ? Math.max(least, Math.round(full / 10)) : full),
    say: (text) => void process.stderr.write(`${text}\n`),
  };
}
