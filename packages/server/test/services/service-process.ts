import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** True where the server is there. Otherwise said in one line, or a failure where MILLRACE_REQUIRE_SERVICES=1 demands it. */
export function serviceInstalled(found: boolean, name: string, how: string): boolean {
  if (found) return true;
  const line = `SKIPPED: tests on ${name}, which is missing (${how})`;
  if (process.env['MILLRACE_REQUIRE_SERVICES'] === '1') throw new Error(line);
  console.warn(line);
  return false;
}

export async function freePorts(count: number): Promise<readonly number[]> {
  const probes = Array.from({ length: count }, () => createServer());
  await Promise.all(probes.map((probe) => new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))));
  const ports = probes.map((probe) => (probe.address() as AddressInfo).port);
  await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  return ports;
}

/** A server of our own: in a process group of its own, so that its end takes its helpers along, and ready when `ready` resolves. */
export class ServiceProcess {
  readonly #start: () => ChildProcess;
  readonly #ready: () => Promise<void>;
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();

  constructor(command: readonly [string, ...string[]], env: NodeJS.ProcessEnv, cwd: string, ready: () => Promise<void>) {
    const [program, ...args] = command;
    this.#start = () => spawn(program, args, { stdio: 'ignore', cwd, env: { ...process.env, ...env }, detached: true });
    this.#ready = ready;
  }

  async start(): Promise<void> {
    const child = this.#start();
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
    const deadline = Date.now() + 60_000;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
      try {
        return await this.#ready();
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child?.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      return; // It has ended by itself.
    }
    await this.#exited;
  }
}
