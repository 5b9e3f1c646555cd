import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { nodePath } from './install.mjs';
import { run } from './run.mjs';
import { working } from './say.mjs';

/** What browsers load: `source` is built by Vite into `dist` whenever one of its files has changed. */
const PAGES = [
  { name: 'the GraphQL explorer', folder: 'packages/console', source: '.' },
  { name: 'the deals board', folder: 'examples/crm', source: 'board' },
];

/**
 * Builds the pages whose sources have changed since the last time. Throws with everything Vite said where that fails.
 * @param {string} root
 */
export async function buildPages(root) {
  await Promise.all(PAGES.map((page) => buildPage(root, page)));
}

/**
 * @param {string} root
 * @param {(typeof PAGES)[number]} page
 */
async function buildPage(root, { name, folder, source }) {
  const home = join(root, folder);
  const entry = join(home, source);
  if (!existsSync(join(entry, 'vite.config.ts'))) return;
  const digest = digestOf(root, [home, entry]);
  // Beside dist, not within: Vite empties it.
  const stamp = join(root, 'node_modules', `.millrace-built-${folder.replace(/\W/g, '-')}`);
  if (existsSync(join(home, 'dist/index.html')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  const work = working(`building ${name}`);
  const { code, output } = await run(nodePath(root), [join(root, 'node_modules/vite/bin/vite.js'), 'build', source], { cwd: home });
  if (code !== 0) {
    work.failed();
    throw new Error(`building ${name} failed:\n${output.trim()}`);
  }
  writeFileSync(stamp, digest);
  work.done('done');
}

/**
 * Of every source file and of the lock file.
 * @param {string} root
 * @param {readonly [string, string]} folders the workspace, and what Vite builds
 */
function digestOf(root, [home, entry]) {
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(readFileSync(join(home, 'package.json')));
  for (const file of filesOf(entry)) hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file));
  return hash.digest('hex');
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function filesOf(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules' && name !== 'dist')
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((each) => (each.isDirectory() ? filesOf(join(folder, each.name)) : [join(folder, each.name)]));
}
