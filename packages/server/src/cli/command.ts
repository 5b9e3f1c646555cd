import type { Environment } from '../server/config.ts';
import type { ExitCode } from './exit-codes.ts';

/** Everything a command touches of the world around it, so that tests can run commands in their own process. */
export type Io = {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly environment: Environment;
  readonly cwd: string;
  /** Aborted by the first SIGINT or SIGTERM; `reason` is the signal's name. A second signal ends the process at once. */
  readonly interrupted: AbortSignal;
};

export type Flag = {
  readonly name: string;
  readonly kind: 'text' | 'boolean';
  /** What stands behind the flag in the help: `--port N`. */
  readonly value?: string;
  readonly many?: boolean;
  readonly doc: string;
};

export type Positional = { readonly name: string; readonly doc: string; readonly optional?: boolean };

/** Parsed and checked input of one command. */
export type Input = {
  readonly positionals: readonly string[];
  text(flag: string): string | null;
  texts(flag: string): readonly string[];
  has(flag: string): boolean;
  /** Flags of the configuration, by name; empty unless the command takes them. */
  readonly options: ReadonlyMap<string, string | boolean>;
  readonly json: boolean;
};

export type Command = {
  /** `['events', 'publish']` */
  readonly path: readonly string[];
  readonly summary: string;
  /** More than the summary can say; lines of at most 100 characters. */
  readonly details?: string;
  readonly positionals?: readonly Positional[];
  readonly flags?: readonly Flag[];
  /** Whether every option of the configuration is a flag too. */
  readonly takesOptions?: boolean;
  readonly examples: readonly string[];
  /** Which exit codes can happen besides 0, 1 and 2. */
  readonly exits?: readonly ExitCode[];
  run(input: Input, io: Io): Promise<ExitCode>;
};
