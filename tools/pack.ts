/**
 * `npm run pack`: packs the server and the client into dist/*.tgz at the root.
 *
 * Within a package, `npm pack` calls `tools/pack.ts prepare` before and `tools/pack.ts restore` after: Node strips no types under
 * node_modules, so what is published is JavaScript with declarations, and its package.json points there.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { prepare, restore } from './pack/package.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const [task] = process.argv.slice(2);

try {
  if (task === 'prepare') prepare(ROOT, process.cwd());
  else if (task === 'restore') restore(process.cwd());
  else packAll();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

function packAll(): void {
  mkdirSync(`${ROOT}dist`, { recursive: true });
  for (const name of ['millrace', '@millrace/client']) {
    const { status } = spawnSync('npm', ['pack', '--loglevel=error', '-w', name, '--pack-destination', `${ROOT}dist`], {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    if (status !== 0) throw new Error(`npm pack failed for ${name}`);
  }
}
