import { type MillraceError, toMillraceError } from '../kit/errors.ts';
import { toSqliteError } from '../kit/sqlite-errors.ts';
import { hint } from '../server/config.ts';
import type { Command, Io } from './command.ts';
import { usageError } from './errors.ts';
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts';
import { commandHelp, groupHelp, overview } from './help.ts';
import { parseCommandLine } from './parse.ts';
import { version } from './version.ts';

/** Runs one command line and resolves to its exit code. Never rejects: whatever goes wrong is one line on standard error. */
export async function runCommandLine(args: readonly string[], commands: readonly Command[], io: Io): Promise<ExitCode> {
  try {
    return await dispatch(args, commands, io);
  } catch (thrown) {
    return report(thrown, io);
  }
}

async function dispatch(args: readonly string[], commands: readonly Command[], io: Io): Promise<ExitCode> {
  const [first] = args;
  if (first === undefined || first === '--help' || first === 'help' || first === '-h') return say(io, overview(commands));
  if (first === '--version' || first === '-v' || first === 'version') return say(io, `${version()}\n`);
  const command = longestMatch(args, commands);
  if (command) {
    const parsed = parseCommandLine(command, args.slice(command.path.length));
    return parsed.kind === 'help' ? say(io, commandHelp(command)) : await command.run(parsed.input, io);
  }
  const group = commands.filter(({ path }) => path.length > 1 && path[0] === first);
  if (group.length > 0 && (args.length === 1 || args[1]!.startsWith('-'))) return say(io, groupHelp(first, group));
  throw unknownCommand(args, commands, group.length > 0);
}

function longestMatch(args: readonly string[], commands: readonly Command[]): Command | null {
  const matching = commands.filter(({ path }) => path.every((word, index) => args[index] === word));
  return matching.toSorted((a, b) => b.path.length - a.path.length)[0] ?? null;
}

function unknownCommand(args: readonly string[], commands: readonly Command[], inGroup: boolean): MillraceError {
  const written = args.slice(0, inGroup ? 2 : 1).join(' ');
  const known = commands.map(({ path }) => path.join(' '));
  return usageError(
    `there is no command ${JSON.stringify(written)}${hint(written, [...known, ...commands.map(({ path }) => path[0]!)])}; millrace --help lists them`,
  );
}

function say(io: Io, text: string): ExitCode {
  io.stdout.write(text);
  return EXIT.ok;
}

function report(thrown: unknown, io: Io): ExitCode {
  const error = toMillraceError(toSqliteError(thrown, 'the data folder'));
  io.stderr.write(`error: ${error.message} (${error.code})\n`);
  // The stack belongs to a fault of our own and to nothing else; people who mistyped a flag need a line, not a page.
  if (error.code === 'INTERNAL' && error.cause instanceof Error) io.stderr.write(`${error.cause.stack ?? error.cause.message}\n`);
  return exitCodeOf(error);
}
