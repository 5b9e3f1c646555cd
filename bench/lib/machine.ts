import { execFileSync } from 'node:child_process';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export type Machine = {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  /** Load average of the minute before the run: much above 0 means that the machine was shared. */
  readonly loadBefore: number;
  readonly pinned: boolean;
};

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    loadBefore: Math.round(loadavg()[0]! * 100) / 100,
    pinned: PINS !== null,
  };
}

export type Pins = { readonly server: string; readonly generator: string };

/** The server has the first core for itself, the generator the others. null: no taskset, or one core. */
export const PINS: Pins | null = pins();

function pins(): Pins | null {
  const cores = availableParallelism();
  if (platform() !== 'linux' || cores < 2) return null;
  try {
    execFileSync('taskset', ['-c', '0', 'true'], { stdio: 'ignore' });
    return { server: '0', generator: cores === 2 ? '1' : `1-${cores - 1}` };
  } catch {
    return null;
  }
}

/** The command line that runs Node on the given cores. */
export function onCores(
  cores: keyof Pins,
  args: readonly string[],
  node = process.execPath,
): { readonly command: string; readonly args: readonly string[] } {
  return PINS ? { command: 'taskset', args: ['-c', PINS[cores], node, ...args] } : { command: node, args };
}

export type Revision = { readonly commit: string; readonly dirty: boolean };

export function revision(root = ROOT): Revision {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  return { commit: git('rev-parse', '--short=10', 'HEAD'), dirty: git('status', '--porcelain', '--', 'packages').length > 0 };
}
