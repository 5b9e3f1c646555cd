#!/usr/bin/env node
import { processEnvironment } from '../server/config.ts';
import type { Io } from './command.ts';
import { commands } from './commands.ts';
import { runCommandLine } from './run.ts';

/** Conventional exit code of a process that a signal ended (POSIX shells: 128 + number). */
const SIGNALS = new Map<NodeJS.Signals, number>([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]);

const interruption = new AbortController();
for (const [signal, code] of SIGNALS) {
  process.on(signal, () => {
    if (interruption.signal.aborted) process.exit(code);
    interruption.abort(signal);
  });
}

// A fault of our own: what it was goes to standard error, and nothing goes on in a state that nobody knows.
process.on('uncaughtException', (thrown) => {
  process.stderr.write(
    `error: a fault inside Millrace, which ends it (INTERNAL)\n${thrown instanceof Error ? thrown.stack : String(thrown)}\n`,
  );
  process.exit(1);
});

// `millrace ... | head` closes the pipe; that is no error, and there is nobody left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.stderr.on('error', () => process.exit(1));

const io: Io = {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  environment: processEnvironment(),
  cwd: process.cwd(),
  interrupted: interruption.signal,
};
const code = await runCommandLine(process.argv.slice(2), commands, io);
// Not `process.exitCode`: a kept-alive connection would hold the process for seconds after its work is done.
process.stdout.write('', () => process.exit(code));
