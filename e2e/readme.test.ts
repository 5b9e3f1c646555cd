import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from './harness.ts';

/**
 * The README is followed word by word: every `sh` block, in its order, in a clean clone, in shells like a newcomer's. Two commands run until they
 * are interrupted (`npm start`, `npx millrace dev`); they get a terminal of their own, as the text says.
 */

const ROOT = new URL('../', import.meta.url).pathname;
const blocks = [...readFileSync(`${ROOT}README.md`, 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((m) => m[1]!.trimEnd());

/** The published address leads to this very checkout, uncommitted work not included: that is what a newcomer would get. */
const CLONE_ENV = {
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: `url.file://${ROOT}.insteadOf`,
  GIT_CONFIG_VALUE_0: 'https://github.com/millrace/millrace.git',
};

class Terminal {
  readonly #shell: ChildProcess;
  output = '';
  #watchers: (() => void)[] = [];

  constructor(cwd: string) {
    const { NODE_OPTIONS: _, VITEST: __, ...env } = process.env;
    this.#shell = spawn('bash', ['--noprofile', '--norc'], {
      cwd,
      env: { ...env, ...CLONE_ENV, npm_config_update_notifier: 'false' },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const hear = (chunk: Buffer): void => {
      this.output += chunk.toString();
      for (const watcher of this.#watchers) watcher();
    };
    this.#shell.stdout!.on('data', hear);
    this.#shell.stderr!.on('data', hear);
  }

  type(text: string): void {
    this.#shell.stdin!.write(`${text}\n`);
  }

  /** Runs a block to its end and gives what it printed. A command that fails fails the test. */
  async run(block: string, timeoutMs = 240_000): Promise<string> {
    const start = this.output.length;
    const mark = `done-${Math.random()}`;
    this.type(`set -e\n${block}\nset +e; echo ${mark}`);
    await this.until((text) => text.slice(start).includes(mark), timeoutMs);
    return this.output.slice(start).replace(mark, '');
  }

  async until(found: (output: string) => boolean, timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the terminal never showed it:\n${this.output.slice(-4000)}`)), timeoutMs);
      const look = (): void => {
        if (!found(this.output)) return;
        clearTimeout(timer);
        resolve();
      };
      this.#shell.once('exit', (code) => reject(new Error(`the shell ended with ${code}:\n${this.output.slice(-4000)}`)));
      this.#watchers.push(look);
      look();
    });
  }

  /** Ctrl-C: the signal goes to everything in the terminal. */
  interrupt(): void {
    if (this.#shell.pid !== undefined && this.#shell.exitCode === null) process.kill(-this.#shell.pid, 'SIGINT');
  }

  async close(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#shell.once('exit', resolve));
    process.kill(-this.#shell.pid!, 'SIGKILL');
    await ended;
  }
}

describe('the README, word by word', () => {
  const folder = temporaryFolder();
  const first = new Terminal(folder.path);
  let second: Terminal;
  let third: Terminal;

  afterAll(async () => {
    for (const terminal of [first, second, third]) await terminal?.close();
    folder.remove();
  });

  test('it has the blocks that this test knows', () => {
    expect(blocks).toHaveLength(7);
  });

  test('clone and npm start: the board, the explorer and what to try next are shown', async () => {
    const [clone, enter, start] = blocks[0]!.split('\n');
    await first.run(`${clone}\n${enter}`);
    first.type(start!);
    await first.until((text) => /http:\/\/127\.0\.0\.1:\d+\S*user=/.test(text) && /127\.0\.0\.1:4000\/graphql/.test(text), 240_000);
    const board = /http:\/\/127\.0\.0\.1:\d+\S*user=\S+/.exec(first.output)![0];
    expect((await fetch(board)).status).toBe(200);
    first.interrupt();
    await expect
      .poll(
        () =>
          fetch('http://127.0.0.1:4000/graphql').then(
            () => 'answers',
            () => 'gone',
          ),
        { timeout: 20_000 },
      )
      .toBe('gone');
  }, 300_000);

  test('an own topic: an empty server in a new folder', async () => {
    second = new Terminal(`${folder.path}/millrace`);
    second.type(blocks[1]!);
    await second.until((text) => text.includes('http://127.0.0.1:4000/graphql'), 60_000);
  }, 90_000);

  test('ten lines of SDL, a subscription, two events: exactly the one that concerns the subscriber arrives', async () => {
    expect(/<<'SDL'\n([\s\S]*?)\nSDL/.exec(blocks[2]!)![1]!.split('\n').length).toBeLessThanOrEqual(10);
    third = new Terminal(`${folder.path}/millrace/my-shop`);
    await third.run(blocks[2]!);
    await third.run(blocks[3]!);
    // The reader takes a moment to go on; the test waits for the server to know the subscriber instead.
    await expect
      .poll(async () => (await (await fetch('http://127.0.0.1:4002/metrics')).text()).includes('millrace_live_subscriptions 1'), {
        timeout: 20_000,
      })
      .toBe(true);
    await third.run(blocks[4]!);
    const heard = async (): Promise<string> => third.run(blocks[5]!);
    await expect.poll(heard, { timeout: 20_000 }).toContain('"order":{"id":"1","status":"paid","total":12.5}');
    expect(await heard()).not.toContain('globex');
    expect(await third.run(blocks[6]!)).toContain('"status":"accepted"');
    await expect.poll(heard, { timeout: 20_000 }).toContain('"status":"sent"');
  }, 120_000);
});
