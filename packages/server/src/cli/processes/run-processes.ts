import { join, resolve } from 'node:path';
import { type Config, loadConfig } from '../../server/config.ts';
import { removeRuntimeFile, writeRuntimeFile } from '../../server/runtime-file.ts';
import type { Input, Io } from '../command.ts';
import { usageError } from '../errors.ts';
import { EXIT, EXIT_MEANING, type ExitCode } from '../exit-codes.ts';
import { keepAlive } from '../keep-alive.ts';
import { printJson, printLine } from '../print.ts';
import { ProcessGroup, type WorkerFacts } from './process-group.ts';

const MOST = 256;

/** `--processes`: null where it is not given, or 1. Throws USAGE. */
export function processesOf(input: Input): number | null {
  const text = input.text('processes');
  if (text === null) return null;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > MOST)
    throw usageError(`--processes: got ${text}, takes a whole number from 1 to ${MOST}`);
  return count === 1 ? null : count;
}

/**
 * `serve` in several processes that share one port. Each has a data folder of its own below `dataDir` and an admin port of its own, from
 * `adminPort` on; nothing else is shared, so that it makes no difference which of them a client reaches.
 */
export async function runProcesses(count: number, input: Input, io: Io): Promise<ExitCode> {
  const { config } = await loadConfig({
    cwd: io.cwd,
    environment: io.environment,
    flags: input.options,
    configFile: input.text('config'),
    forced: new Map([['mode', 'production']]),
  });
  check(config, count);
  const dataDir = resolve(io.cwd, config.dataDir);
  const adminPort = config.adminPort ?? config.port + 2;
  const group = new ProcessGroup({
    count,
    cwd: io.cwd,
    command: (index) => {
      const own = ['--data', join(dataDir, `process-${index}`), '--admin-port', String(adminPort + index), '--reuse-port', '--json'];
      return [process.execPath, ...process.execArgv, process.argv[1]!, 'serve', ...flagsOf(input), ...own];
    },
    say: (line) => io.stderr.write(`${line}\n`),
    onReady: (workers) => {
      writeRuntimeFile(dataDir, { pid: process.pid, mode: 'production', addresses: workers[0]!.addresses });
      told(input, io, workers);
    },
  });
  return waitFor(group, dataDir, io);
}

function check({ roles, port, adminPort }: Config, count: number): void {
  const alone = roles.filter((role) => role === 'registry' || role === 'ingest');
  if (alone.length > 0)
    throw usageError(
      `--processes is for the roles gateway and edge, this has ${alone.join(' and ')} too: run ${alone.length > 1 ? 'those' : 'that'} as a process beside, with --roles`,
    );
  if (port === 0) throw usageError('--processes needs a port that all of them share; port is 0');
  const last = (adminPort ?? port + 2) + count - 1;
  if (last > 65_535) throw usageError(`the admin port of the last process would be ${last}; the highest port is 65535`);
}

/** What was given on the command line, for the workers. Environment and file they read themselves. */
function flagsOf(input: Input): readonly string[] {
  const config = input.text('config');
  const options = [...input.options].flatMap(([name, value]) =>
    typeof value === 'string' ? [`--${name}=${value}`] : [value ? `--${name}` : `--no-${name}`],
  );
  return [...options, ...(config === null ? [] : [`--config=${config}`])];
}

function told(input: Input, io: Io, workers: readonly WorkerFacts[]): void {
  if (input.json) return printJson(io, { ready: true, ...workers[0]!.addresses, processes: workers });
  for (const [name, url] of Object.entries(workers[0]!.addresses)) if (name !== 'admin') printLine(io, `${`${name}:`.padEnd(10)} ${url}`);
  for (const { pid, addresses } of workers) printLine(io, `process ${pid}: admin at ${addresses.admin}`);
}

async function waitFor(group: ProcessGroup, dataDir: string, io: Io): Promise<ExitCode> {
  // While all workers wait to be started again nothing else would keep this process.
  const alive = keepAlive();
  const stop = (): void => group.stop();
  // A second signal ends this process at once: the workers must not outlive it.
  const kill = (): void => group.kill();
  io.interrupted.addEventListener('abort', stop, { once: true });
  process.once('exit', kill);
  try {
    if (io.interrupted.aborted) stop();
    const code = await group.ended;
    return EXIT_MEANING.has(code as ExitCode) ? (code as ExitCode) : EXIT.failed;
  } finally {
    removeRuntimeFile(dataDir, process.pid);
    alive.release();
    process.off('exit', kill);
  }
}
