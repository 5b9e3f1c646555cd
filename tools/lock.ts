/**
 * `node tools/lock.ts`: completes the lock files with the builds of native packages for other platforms. npm leaves out those that the
 * registry at hand does not carry, and `npm ci` then refuses the whole file. An entry that is added here has no digest; on the platform that
 * needs it npm takes the digest from its registry. `--check` only says what is missing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Lock, completeLock } from './lock/complete-lock.ts';

const LOCKS = ['package-lock.json', 'bench/package-lock.json'];
const check = process.argv.includes('--check');

for (const name of LOCKS) {
  const path = fileURLToPath(new URL(`../${name}`, import.meta.url));
  const { lock, added } = completeLock(JSON.parse(readFileSync(path, 'utf8')) as Lock);
  if (check) {
    for (const missing of added) process.stderr.write(`${name} lacks ${missing}: run \`node tools/lock.ts\`\n`);
    if (added.length > 0) process.exitCode = 1;
    continue;
  }
  if (added.length > 0) writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
  process.stdout.write(added.length === 0 ? `${name} is complete\n` : `${name}: added ${added.length} entries\n`);
}
