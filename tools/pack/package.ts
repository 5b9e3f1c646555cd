import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type Manifest, publishedManifest } from './manifest.ts';
import { withPublishedPaths } from './published-paths.ts';

/** The package.json of the repository while npm packs the published one. */
const KEPT = 'package.json.source';

/** Compiles the package into `dist` and puts the published package.json in place of the repository's. */
export function prepare(root: string, folder: string): void {
  restore(folder);
  rmSync(join(folder, 'dist'), { recursive: true, force: true });
  compile(root, folder);
  for (const file of filesOf(join(folder, 'dist'))) rewrite(file);
  copyAssets(root, folder);
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const source = readFileSync(join(folder, 'package.json'), 'utf8');
  const published = publishedManifest(JSON.parse(source) as Manifest, relative(root, folder).replaceAll('\\', '/'));
  writeFileSync(join(folder, KEPT), source);
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
}

/** Puts the repository's package.json back. Does nothing where it is in place. */
export function restore(folder: string): void {
  if (!existsSync(join(folder, KEPT))) return;
  renameSync(join(folder, KEPT), join(folder, 'package.json'));
  rmSync(join(folder, 'LICENSE'), { force: true });
}

function compile(root: string, folder: string): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', join(folder, 'tsconfig.build.json')], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`tsc failed:\n${stdout}`);
}

function rewrite(file: string): void {
  if (!/\.(js|d\.ts)$/.test(file)) return;
  const text = readFileSync(file, 'utf8');
  const published = withPublishedPaths(text);
  if (published !== text) writeFileSync(file, published);
}

/** What is read at run time beside the code: files of other kinds within `src`, and for the server the built explorer. */
function copyAssets(root: string, folder: string): void {
  const source = join(folder, 'src');
  for (const file of filesOf(source)) {
    if (!/\.(tsx?|md)$/.test(file)) cpSync(file, join(folder, 'dist', relative(source, file)));
  }
  const page = join(root, 'packages/console/dist');
  if (!folder.endsWith('server')) return;
  if (!existsSync(join(page, 'index.html')))
    process.stderr.write('warning: the explorer is not built; the package will be without it (npm run pack builds it)\n');
  else cpSync(page, join(folder, 'dist/console'), { recursive: true });
}

export function filesOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
