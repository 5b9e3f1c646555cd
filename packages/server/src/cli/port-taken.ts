import { MillraceError } from '../kit/errors.ts';
import { cliErrors } from './errors.ts';

/** node:net's own words on a port that cannot be had say neither which option is meant nor what to do. Other errors come back unchanged. */
export function namePort(error: unknown): unknown {
  const { code, port, address } = error as { code?: unknown; port?: number; address?: string };
  if (port === undefined || (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL')) return error;
  const why = {
    EACCES: 'may not be used by this user',
    EADDRINUSE: 'is taken by another program',
    EADDRNOTAVAIL: 'cannot be had: the address is not of this machine',
  }[code];
  return new MillraceError(
    cliErrors.PORT_TAKEN,
    `port ${port} on ${address ?? 'this machine'} ${why}; choose others with --port (0 takes free ones)`,
    { port },
    error,
  );
}
