import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it } from 'vitest';

/** Starts a process of its own that would live for ever, says both ids, and counts the signals it gets. */
const PROGRAM = `
import { spawn } from 'node:child_process';
const left = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
let signals = 0;
process.on('SIGINT', () => { signals += 1; setTimeout(() => { console.log('signals ' + signals); process.exit(7); }, 100); });
console.log('left ' + left.pid);
`;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-hand-over-'));
  mkdirSync(join(root, 'node_modules/node/bin'), { recursive: true });
  symlinkSync(process.execPath, join(root, 'node_modules/node/bin/node'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function start(program: string): ChildProcess & { readonly lines: AsyncIterator<string> } {
  writeFileSync(join(root, 'program.mjs'), program);
  const wrapper = `import { handOver } from ${JSON.stringify(new URL('hand-over.mjs', import.meta.url).href)}; process.exit(await handOver(${JSON.stringify(root)}, 'program.mjs', ['a']));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', wrapper], { stdio: ['ignore', 'pipe', 'inherit'] });
  return Object.assign(child, { lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() });
}

const exitOf = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => void child.once('exit', resolve));

/** A process that has ended stays in the table as a zombie (Z) until init, which containers may lack, takes notice. */
function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

it('one Ctrl-C that arrives twice is one signal, and nothing is left running', async () => {
  const child = start(PROGRAM);
  const exit = exitOf(child);
  const left = Number((await child.lines.next()).value.split(' ')[1]);
  expect(isAlive(left)).toBe(true);
  child.kill('SIGINT');
  child.kill('SIGINT');
  expect((await child.lines.next()).value).toBe('signals 1');
  expect(await exit).toBe(7);
  // The kernel ends it a moment after the signal was sent.
  await expect.poll(() => isAlive(left)).toBe(false);
});

it('passes arguments on, and the exit code back', async () => {
  const child = start(`process.exit(process.argv[2] === 'a' ? 3 : 0);`);
  expect(await exitOf(child)).toBe(3);
});

// npm that is killed does not pass its end on, so that the program held its ports until somebody looked for it.
it('ends the program when whoever started it has been killed', async () => {
  const wrapper = `import { handOver } from ${JSON.stringify(new URL('hand-over.mjs', import.meta.url).href)}; process.exit(await handOver(${JSON.stringify(root)}, 'program.mjs', []));`;
  writeFileSync(join(root, 'program.mjs'), `console.log(process.pid); setInterval(() => {}, 1000);`);
  const npm = `require('child_process').spawn(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(wrapper)}], { stdio: 'inherit' });`;
  const starter = spawn(process.execPath, ['-e', npm], { stdio: ['ignore', 'pipe', 'inherit'] });
  const program = Number((await createInterface({ input: starter.stdout })[Symbol.asyncIterator]().next()).value);
  expect(isAlive(program)).toBe(true);
  starter.kill('SIGKILL');
  await expect.poll(() => isAlive(program), { timeout: 10_000 }).toBe(false);
});
