import { resolve } from 'node:path';
import { MillraceError } from '../../kit/errors.ts';
import { type LoadedConfig, loadConfig } from '../../server/config.ts';
import { type Addresses, removeRuntimeFile, writeRuntimeFile } from '../../server/runtime-file.ts';
import type { Input, Io } from '../command.ts';
import { cliErrors } from '../errors.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { printJson } from '../print.ts';

/** What `dev` and `serve` have in common: load, start, say so, wait for a signal, drain. */
export async function runServer(mode: 'dev' | 'production', input: Input, io: Io, banner: (addresses: Addresses) => void): Promise<ExitCode> {
  const loaded = await loadConfig({
    cwd: io.cwd,
    environment: io.environment,
    flags: input.options,
    configFile: input.text('config'),
    forced: new Map([['mode', mode]]),
  });
  const server = await start(loaded);
  const dataDir = resolve(io.cwd, loaded.config.dataDir);
  writeRuntimeFile(dataDir, { pid: process.pid, mode, addresses: server.addresses });
  if (input.json) printJson(io, { ready: true, ...server.addresses });
  else banner(server.addresses);
  await aborted(io.interrupted);
  removeRuntimeFile(dataDir, process.pid);
  await server.stop(String(io.interrupted.reason));
  return EXIT.ok;
}

async function start({ config }: LoadedConfig) {
  // Imported late, so that `millrace token` need not load a planner and a database first.
  const { startServer } = await import('../../server/start-server.ts');
  try {
    return await startServer(config);
  } catch (error) {
    throw portTaken(error);
  }
}

/** node:net's own words say neither which option is meant nor what to do. */
function portTaken(error: unknown): unknown {
  const { code, port, address } = error as { code?: unknown; port?: number; address?: string };
  if (code !== 'EADDRINUSE' && code !== 'EACCES') return error;
  const why = code === 'EACCES' ? 'may not be used by this user' : 'is taken by another program';
  return new MillraceError(cliErrors.PORT_TAKEN, `port ${port} on ${address} ${why}: choose others with --port (0 takes free ones)`, { port }, error);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
