import { MillraceError, defineErrors } from '../kit/errors.ts';

export const cliErrors = defineErrors({
  USAGE: {
    class: 'input',
    http: 400,
    retryable: false,
    meaning: 'The command line names an unknown command or flag, misses an argument, or names a file that cannot be read.',
    action: 'Run the command with --help.',
  },
  SERVER_UNREACHABLE: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: 'The command needs a running server, and none answers at the address.',
    action: 'Start `millrace dev` in this folder, or name the address with a flag or in the environment.',
  },
  SERVER_NOT_READY: {
    class: 'upstream',
    http: 503,
    retryable: true,
    meaning: 'The server answers, but is starting, draining, or has lost something that it needs.',
    action: 'Wait, or look at its log.',
  },
  SERVER_REFUSED: {
    class: 'auth',
    http: 403,
    retryable: false,
    meaning: 'The server did not accept the token, or the token does not allow this.',
    action: 'Give a token with --token or MILLRACE_TOKEN.',
  },
  SERVER_SAID_NO: {
    class: 'input',
    http: 400,
    retryable: false,
    meaning: 'The server refused what the command asked for; its own words are in the message.',
    action: 'Correct what the message names.',
  },
  PORT_TAKEN: {
    class: 'setup',
    http: 500,
    retryable: true,
    meaning: 'Another program listens on a port that Millrace needs.',
    action: 'Stop it, or choose others with --port (0 takes free ones).',
  },
});

export function usageError(message: string): MillraceError {
  return new MillraceError(cliErrors.USAGE, message);
}
