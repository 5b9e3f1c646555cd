import type { MillraceError } from '../kit/errors.ts';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unavailable: 3,
  refused: 4,
  configuration: 5,
  setup: 6,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_MEANING: ReadonlyMap<ExitCode, string> = new Map([
  [EXIT.ok, 'It was done.'],
  [EXIT.failed, "It was not done: the schema does not compose, an event was rejected, nothing by that id; or a fault of Millrace's own."],
  [EXIT.usage, 'The command line is wrong: unknown command or flag, a missing argument, a file to read that is not there.'],
  [EXIT.unavailable, 'The server cannot be reached, or is not ready.'],
  [EXIT.refused, 'Not signed in, or not allowed.'],
  [EXIT.configuration, 'The configuration is unreadable or invalid.'],
  [EXIT.setup, 'The server cannot start here: port taken, data folder locked, damaged or of another version, disk full.'],
]);

/** The honest exit code of whatever was thrown. */
export function exitCodeOf(error: MillraceError): ExitCode {
  if (error.code === 'USAGE') return EXIT.usage;
  if (error.code === 'SERVER_UNREACHABLE' || error.code === 'SERVER_NOT_READY') return EXIT.unavailable;
  if (error.code === 'CONFIG_INVALID' || error.code === 'CONFIG_UNREADABLE') return EXIT.configuration;
  if (error.spec.class === 'setup' || error.code === 'DISK_FULL') return EXIT.setup;
  return error.spec.class === 'auth' ? EXIT.refused : EXIT.failed;
}
