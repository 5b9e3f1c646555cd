import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Full URLs. `registry` and `admin` are the roots of their ports. Of a role that the process does not have there is none. */
export type Addresses = {
  readonly graphql?: string;
  readonly ws?: string;
  readonly sse?: string;
  readonly events?: string;
  readonly registry?: string;
  readonly admin: string;
};

/** Of a process that has every role. */
export type AllAddresses = Required<Addresses>;

/** Throws where a role is missing. */
export function withAllRoles(addresses: Addresses): AllAddresses {
  const { graphql, ws, sse, events, registry, admin } = addresses;
  if (!graphql || !ws || !sse || !events || !registry) throw new Error('the process does not have every role');
  return { graphql, ws, sse, events, registry, admin };
}

/** What `<data>/runtime.json` says about the process that uses this data folder. */
export type Runtime = { readonly pid: number; readonly mode: 'dev' | 'production'; readonly addresses: Addresses };

const FILE = 'runtime.json';

/** Replaces the file in one step, so that a reader never sees half of it. */
export function writeRuntimeFile(dataDir: string, runtime: Runtime): void {
  mkdirSync(dataDir, { recursive: true });
  const path = join(dataDir, FILE);
  writeFileSync(`${path}.${runtime.pid}`, `${JSON.stringify(runtime, null, 2)}\n`);
  renameSync(`${path}.${runtime.pid}`, path);
}

/** Removes the file if it is this process's own. */
export function removeRuntimeFile(dataDir: string, pid: number): void {
  if (parseRuntime(dataDir)?.pid === pid) rmSync(join(dataDir, FILE), { force: true });
}

/** The server that is running on this data folder, or null; a file left over by a process that was killed counts as none. */
export function readRuntimeFile(dataDir: string): Runtime | null {
  const runtime = parseRuntime(dataDir);
  return runtime !== null && isAlive(runtime.pid) ? runtime : null;
}

function parseRuntime(dataDir: string): Runtime | null {
  try {
    const value = JSON.parse(readFileSync(join(dataDir, FILE), 'utf8')) as Partial<Runtime> | null;
    return typeof value?.pid === 'number' && typeof value.addresses === 'object' ? (value as Runtime) : null;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, but belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
