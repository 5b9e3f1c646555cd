import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const NODE = join(ROOT, 'node_modules/node/bin/node');
const CLI = join(ROOT, 'packages/server/bin/millrace.js');
/** Ms until a process must have said that it is ready. */
const READY_MS = 30_000;

export type Addresses = {
  readonly graphql: string;
  readonly ws: string;
  readonly sse: string;
  readonly events: string;
  readonly registry: string;
  readonly admin: string;
};

export type ServerOptions = {
  readonly name: string;
  /** Of its own: data, log. */
  readonly folder: string;
  /** Everything after the program: the command and its flags. */
  readonly args: readonly string[];
  /** Before the program: flags of Node. */
  readonly nodeArgs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

/** A Millrace process that is killed and started again on the same data and ports. Its log is `NAME.log` in its folder. */
export class Server {
  readonly name: string;
  readonly #options: ServerOptions;
  #child: ChildProcess | null = null;
  #addresses: Addresses | null = null;
  #exited: Promise<number | null> = Promise.resolve(null);

  constructor(options: ServerOptions) {
    this.name = options.name;
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
  }

  get addresses(): Addresses {
    if (!this.#addresses) throw new Error(`${this.name} has never been ready`);
    return this.#addresses;
  }

  get running(): boolean {
    return this.#child !== null;
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} does not run`);
    return pid;
  }

  /** Resolves when it is ready, with where it listens. */
  async start(): Promise<Addresses> {
    const { folder, args, env, nodeArgs } = this.#options;
    const child = spawn(NODE, [...(nodeArgs ?? []), CLI, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: folder,
      env: { ...process.env, ...env },
    });
    this.#child = child;
    child.stderr.pipe(createWriteStream(join(folder, `${this.name}.log`), { flags: 'a' }));
    this.#exited = new Promise((resolve) =>
      child.once('exit', (code) => {
        if (this.#child === child) this.#child = null;
        resolve(code);
      }),
    );
    this.#addresses = await new Promise<Addresses>((resolve, reject) => {
      const log = join(folder, `${this.name}.log`);
      const late = setTimeout(() => reject(new Error(`${this.name} is not ready after ${READY_MS} ms; see ${log}`)), READY_MS);
      createInterface({ input: child.stdout }).on('line', (line) => {
        const said = JSON.parse(line) as Addresses & { readonly ready?: boolean };
        if (said.ready !== true) return;
        clearTimeout(late);
        resolve(said);
      });
      void this.#exited.then((code) => {
        clearTimeout(late);
        reject(new Error(`${this.name} ended with ${code} before it was ready; see ${log}`));
      });
    });
    return this.#addresses;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#exited;
  }

  /** SIGTERM; resolves with the exit code when it is gone. */
  stop(): Promise<number | null> {
    this.signal('SIGTERM');
    return this.#exited;
  }
}
