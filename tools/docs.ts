/** `npm run docs`: writes the generated documentation. `--check` only compares, and names what is out of date. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commands } from '../packages/server/src/cli/commands.ts';
import { cliErrors } from '../packages/server/src/cli/errors.ts';
import { cliReference } from '../packages/server/src/cli/help.ts';
import { catalogue, errorReference } from '../packages/server/src/server/catalogue.ts';
import { configurationReference } from '../packages/server/src/server/config.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

const GENERATED: readonly (readonly [string, () => string])[] = [
  ['docs/configuration.md', configurationReference],
  ['docs/cli.md', () => cliReference(commands)],
  ['spec/errors.md', () => errorReference([...catalogue, { title: 'Command line', errors: Object.values(cliErrors) }])],
];

let stale = 0;
for (const [path, text] of GENERATED) {
  const file = join(ROOT, path);
  const wanted = `${text().trimEnd()}\n`;
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted) continue;
  if (process.argv.includes('--check')) {
    process.stderr.write(`${path} is out of date: run \`npm run docs\`\n`);
    stale += 1;
  } else {
    writeFileSync(file, wanted);
    process.stdout.write(`wrote ${path}\n`);
  }
}
process.exit(stale === 0 ? 0 : 1);
