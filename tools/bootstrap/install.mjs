import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { run } from './run.mjs';
import { working } from './say.mjs';

/**
 * `npm ci`, only where what is installed is not what package-lock.json says. Throws with everything npm said where it fails.
 * @param {string} root
 */
export async function install(root) {
  if (hasNode(root) && isStamped(root)) return;
  if (!hasNode(root) || !matchesLock(root)) await npmCi(root, 'installing packages', ['--ignore-scripts=false']);
  if (!hasNode(root)) await fetchNode(root);
  stamp(root);
}

/**
 * The same for a folder that is no workspace and has a lock file of its own, which most people never need. Nothing in it may run a script
 * when it is installed.
 * @param {string} folder
 * @param {string} what
 */
export async function installApart(folder, what) {
  if (isStamped(folder)) return;
  if (!matchesLock(folder)) await npmCi(folder, `installing ${what}`, ['--ignore-scripts']);
  stamp(folder);
}

/** @param {string} folder */
function isStamped(folder) {
  return readIfThere(stampOf(folder)) === digestOf(folder);
}

/** @param {string} folder */
function stamp(folder) {
  writeFileSync(stampOf(folder), digestOf(folder));
}

/** @param {string} folder */
function stampOf(folder) {
  return join(folder, 'node_modules/.millrace-installed');
}

/** @param {string} folder */
function digestOf(folder) {
  return createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .update(`${process.platform} ${process.arch}`)
    .digest('hex');
}

/** @param {string} root */
export function nodePath(root) {
  return join(root, process.platform === 'win32' ? 'node_modules/node/bin/node.exe' : 'node_modules/node/bin/node');
}

/** @param {string} root */
function hasNode(root) {
  return existsSync(nodePath(root));
}

/**
 * Whether npm's own record of what it installed agrees with the lock file, so that a folder that was installed by hand is left as it is.
 * @param {string} root
 */
function matchesLock(root) {
  const installed = readIfThere(join(root, 'node_modules/.package-lock.json'));
  if (installed === null) return false;
  const there = JSON.parse(installed).packages;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, link, optional }]) => {
    if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) return true;
    if (link) return existsSync(join(root, path));
    return there[path] === undefined ? optional === true : there[path].version === version;
  });
}

/**
 * @param {string} root
 * @param {string} what
 * @param {readonly string[]} flags
 */
async function npmCi(root, what, flags) {
  const locked = Object.entries(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages);
  const total = locked.filter(([path, { optional }]) => /^node_modules\/[^/]+(\/[^/]+)?$/.test(path) && !optional).length;
  const work = working(what, () => `${countPackages(root)} of about ${total}`);
  // Warnings are hidden (npm has opinions on deprecated helpers of our helpers); errors are shown whole.
  const { code, output } = await npm(root, ['ci', '--loglevel=error', '--no-audit', '--no-fund', '--no-progress', ...flags]);
  if (code === 0) return work.done('done');
  work.failed();
  throw new Error(`npm ci failed:\n${output.trim()}`);
}

/**
 * Where install scripts are switched off for the whole machine, the project's Node is missing: its script alone is run.
 * @param {string} root
 */
async function fetchNode(root) {
  const work = working('fetching Node');
  const { output } = await npm(root, ['rebuild', 'node', '--ignore-scripts=false', '--foreground-scripts', '--loglevel=error']);
  if (hasNode(root)) return work.done('done');
  work.failed();
  throw new Error(`the package \`node\` did not bring a Node for ${process.platform} ${process.arch}:\n${output.trim()}`);
}

/**
 * @param {string} root
 * @param {readonly string[]} args
 */
function npm(root, args) {
  const cli = process.env['npm_execpath'];
  // npm must not run on the Node that it is about to replace.
  const path = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((each) => !each.includes('node_modules'))
    .join(delimiter);
  const options = { cwd: root, env: { ...process.env, PATH: path, npm_config_yes: 'true' } };
  const outer = process.env['npm_node_execpath'];
  if (cli && /npm-cli\.[cm]?js$/.test(cli))
    return run(outer && !outer.includes('node_modules/node/') ? outer : process.execPath, [cli, ...args], options);
  return run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args, options);
}

/** @param {string} root */
function countPackages(root) {
  const modules = join(root, 'node_modules');
  const names = list(modules).filter((name) => !name.startsWith('.'));
  return names.reduce((sum, name) => sum + (name.startsWith('@') ? list(join(modules, name)).length : 1), 0);
}

/** @param {string} folder */
function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** @param {string} path */
function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
