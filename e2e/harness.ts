import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

/** Black-box harness: everything here goes through the program's outside contract (spec/cli and spec/protocol.md), nothing through its modules. */

export type Addresses = {
  readonly graphql: string;
  readonly ws: string;
  readonly sse: string;
  readonly events: string;
  readonly registry: string;
  readonly admin: string;
};

const ROOT = new URL('../', import.meta.url).pathname;
const NODE = join(ROOT, 'node_modules/node/bin/node');
const CLI = join(ROOT, 'packages/server/src/cli/main.ts');

export type Millrace = {
  readonly addresses: Addresses;
  readonly process: ChildProcess;
  /** What it wrote to standard error so far. */
  log(): string;
  /** SIGTERM and the exit code. */
  stop(): Promise<number | null>;
  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void>;
};

/** Starts `millrace dev --json` and resolves with the addresses of its ready line. */
export async function startMillrace(options: {
  readonly data: string;
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
}): Promise<Millrace> {
  const child = spawn(NODE, [CLI, 'dev', '--json', '--port', '0', '--data', options.data, ...(options.args ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: options.data,
    env: { ...process.env, ...options.env },
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => void (log = (log + chunk.toString()).slice(-200_000)));
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const addresses = await new Promise<Addresses>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const message = JSON.parse(line) as Addresses & { ready?: boolean };
      if (message.ready) resolve(message);
    });
    void exited.then((code) => reject(new Error(`millrace dev ended with ${code} before it was ready:\n${log}`)));
  });
  return {
    addresses,
    process: child,
    log: () => log,
    stop: () => (child.kill('SIGTERM'), exited),
    kill: async () => void (child.kill('SIGKILL'), await exited),
  };
}

/** Runs one CLI command to its end. */
export async function cli(
  args: readonly string[],
  options: { readonly cwd?: string; readonly input?: string; readonly env?: Record<string, string> } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(NODE, [CLI, ...args], {
    cwd: options.cwd ?? ROOT,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => void (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => void (stderr += chunk.toString()));
  child.stdin.end(options.input ?? '');
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}

export async function devToken(tenant: string, user: string, extra: readonly string[] = []): Promise<string> {
  const { code, stdout, stderr } = await cli(['token', '--tenant', tenant, '--user', user, ...extra]);
  if (code !== 0) throw new Error(`millrace token failed with ${code}: ${stderr}`);
  return stdout.trim();
}

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'millrace-e2e-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export async function pushSchema(
  registry: string,
  token: string,
  service: { readonly name: string; readonly sdl: string; readonly url?: string; readonly version?: string },
): Promise<Response> {
  return fetch(new URL('/schema/push', registry), {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({
      name: service.name,
      version: service.version ?? '1',
      type_defs: service.sdl,
      url: service.url ?? 'http://127.0.0.1:9/graphql',
    }),
  });
}

export function wsClient(addresses: Addresses, token: string | null, options: { readonly retry?: boolean } = {}): Client {
  return createClient({
    url: addresses.ws,
    webSocketImpl: WebSocket,
    lazy: true,
    retryAttempts: options.retry ? 100 : 0,
    ...(token === null ? {} : { connectionParams: { authorization: `Bearer ${token}` } }),
  });
}

/** A list that can be waited on. */
export class Inbox<T> {
  readonly items: T[] = [];
  #waiting: (() => void)[] = [];

  push(item: T): void {
    this.items.push(item);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves when `enough` holds for the items; rejects after `timeoutMs` with what there is. */
  async until(enough: (items: readonly T[]) => boolean, timeoutMs = 20_000): Promise<readonly T[]> {
    const end = Date.now() + timeoutMs;
    while (!enough(this.items)) {
      const left = end - Date.now();
      if (left <= 0)
        throw new Error(`still waiting with ${this.items.length} items; the last: ${JSON.stringify(this.items.at(-1))?.slice(0, 500)}`);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
    return this.items;
  }
}
