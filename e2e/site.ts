import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SignJWT } from 'jose';
import { type Addresses, temporaryFolder } from './harness.ts';

const ROOT = new URL('../', import.meta.url).pathname;
const NODE = join(ROOT, 'node_modules/node/bin/node');
const CLI = join(ROOT, 'packages/server/bin/millrace.js');
const SECRET = 'a secret of the tests, long enough';

export type Folder = { readonly path: string; remove(): void };

/** What `serve --json` says when it is ready; `processes` with `--processes`. */
export type Ready = Addresses & { readonly processes?: readonly { readonly pid: number; readonly addresses: Addresses }[] };

export type Served = {
  readonly ready: Ready;
  readonly child: ChildProcess;
  log(): string;
  readonly exited: Promise<number | null>;
};

/** Processes of one installation in production mode: one configuration file, and what differs as flags. */
export class Site implements AsyncDisposable {
  readonly folder: Folder;
  readonly #running: ChildProcess[] = [];

  /** In the folder of one whose processes have died it goes on. */
  constructor(config: object, folder: Folder = temporaryFolder()) {
    this.folder = folder;
    writeFileSync(join(this.folder.path, 'secret'), SECRET);
    const whole = {
      log: { level: 'warn' },
      drainWindow: 0,
      access: { issuers: [{ issuer: 'tests', secretFile: 'secret' }] },
      ...config,
    };
    writeFileSync(join(this.folder.path, 'millrace.config.json'), JSON.stringify(whole));
  }

  async serve(name: string, flags: readonly string[]): Promise<Served> {
    mkdirSync(join(this.folder.path, name), { recursive: true });
    const child = spawn(NODE, [CLI, 'serve', '--json', '--config', 'millrace.config.json', '--data', name, ...flags], {
      cwd: this.folder.path,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.push(child);
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => void (log = (log + chunk.toString()).slice(-100_000)));
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const ready = await new Promise<Ready>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => resolve(JSON.parse(line) as Ready));
      void exited.then((code) => reject(new Error(`${name} ended with ${code}:\n${log}`)));
    });
    return { ready, child, log: () => log, exited };
  }

  token(scope: string, user = 'ann'): Promise<string> {
    return new SignJWT({ tenant: 'acme', scope })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer('tests')
      .setSubject(user)
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(SECRET));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      child.kill('SIGTERM');
      await gone;
    }
    this.folder.remove();
  }
}

export async function ask(graphql: string, token: string, query: string): Promise<{ readonly status: number; readonly body: string }> {
  const response = await fetch(graphql, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, connection: 'close' },
    body: JSON.stringify({ query }),
  });
  return { status: response.status, body: await response.text() };
}

/** Asks until `enough` holds of the answer; every question is a request, so nothing waits for time to pass. */
export async function until<T>(question: () => Promise<T>, enough: (answer: T) => boolean, timeoutMs = 20_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const answer = await question();
    if (enough(answer)) return answer;
    if (Date.now() > end) throw new Error(`still ${JSON.stringify(answer).slice(0, 500)}`);
  }
}
