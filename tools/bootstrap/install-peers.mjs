// Installs what Millrace is measured beside, from bench/package-lock.json, where it is not there yet: `npm run bench` and `.ci/run` call it.
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installApart } from './install.mjs';
import { stop } from './say.mjs';

const root = resolve(fileURLToPath(import.meta.url), '../../..');
try {
  await installApart(join(root, 'bench'), 'the peers of the benchmark');
} catch (error) {
  stop(error instanceof Error ? error.message : String(error));
}
