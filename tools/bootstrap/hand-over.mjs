import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { nodePath } from './install.mjs';

/** One Ctrl-C on a terminal arrives twice: from the terminal and from npm. Within this time the second is an echo, not an order. */
const ECHO_MS = 500;

/** How often it is looked whether whoever started this process is still there. */
const PARENT_MS = 1000;

/**
 * Runs the program under the project's Node in a process group of its own, and resolves to its exit code. Signals are passed on,
 * and the end of this process's parent (npm, killed alone) is one: SIGHUP, as the end of a terminal. When the program has ended, whatever it left behind in its group is ended too.
 * @param {string} root
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
export function handOver(root, program, args) {
  return new Promise((resolve) => {
    const node = nodePath(root);
    const child = spawn(node, [join(root, program), ...args], {
      cwd: root,
      stdio: 'inherit',
      detached: process.platform !== 'win32',
      env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}` },
    });
    let last = -ECHO_MS;
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.on(signal, () => {
        const now = performance.now();
        if (now - last >= ECHO_MS) child.kill(signal);
        last = now;
      });
    }
    const parent = process.ppid;
    const watch = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(watch);
      child.kill('SIGHUP');
    }, PARENT_MS);
    child.on('error', (error) => {
      process.stderr.write(`error: cannot run ${node}: ${error.message}\n`);
      resolve(1);
    });
    child.on('exit', (code, signal) => {
      clearInterval(watch);
      endGroup(child.pid);
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
}

/** @param {number | undefined} leader */
function endGroup(leader) {
  if (leader === undefined || process.platform === 'win32') return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nobody left: as it should be.
  }
}
