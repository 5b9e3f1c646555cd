import { resolve } from 'node:path';
import { type LoadedConfig, loadConfig } from '../../server/config.ts';
import { type Addresses, removeRuntimeFile, writeRuntimeFile } from '../../server/runtime-file.ts';
import type { Input, Io } from '../command.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { keepAlive } from '../keep-alive.ts';
import { namePort } from '../port-taken.ts';
import { printJson } from '../print.ts';

/** What `dev` and `serve` have in common: load, start, say so, wait for a signal, drain. */
export async function runServer(
  mode: 'dev' | 'production',
  input: Input,
  io: Io,
  banner: (addresses: Addresses) => void,
): Promise<ExitCode> {
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
  // Timers do not keep a process alive, and until a port listens nothing else may: it would end in the middle of waiting for a registry.
  const alive = keepAlive();
  try {
    return await startServer(config);
  } catch (error) {
    throw namePort(error);
  } finally {
    alive.release();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
