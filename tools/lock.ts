/**
 * `node tools/lock.ts`: completes package-lock.json with the builds of native packages for other platforms. npm leaves out those that the
 * registry at hand does not carry, and `npm ci` then refuses the whole file. An entry that is added here has no digest; on the platform that
 * needs it npm takes the digest from its registry. `--check` only says what is missing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Lock, completeLock } from './lock/complete-lock.ts';

const PATH = fileURLToPath(new URL('../package-lock.json', import.meta.url));

const { lock, added } = completeLock(JSON.parse(readFileSync(PATH, 'utf8')) as Lock);
if (process.argv.includes('--check')) {
  for (const name of added) process.stderr.write(`package-lock.json lacks ${name}: run \`node tools/lock.ts\`\n`);
  process.exit(added.length === 0 ? 0 : 1);
}
if (added.length > 0) writeFileSync(PATH, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(added.length === 0 ? 'package-lock.json is complete\n' : `added ${added.length} entries\n`);
