/**
 * `node tools/tidy/main.ts`: the rules of the house that neither the compiler nor the linter knows. Exit code 0 where all are kept.
 * `--tighten` writes down exceptions that are not needed any more; nothing widens them but an edit of ratchet.json that a reviewer sees.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Ratchet, judge } from './ratchet.ts';
import { readRepository } from './repository.ts';
import { rules } from './rules.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const RATCHET = fileURLToPath(new URL('ratchet.json', import.meta.url));

const repository = readRepository(ROOT);
const all = rules.flatMap((rule) => rule.check(repository));
const { findings, slack, tightened } = judge(all, JSON.parse(readFileSync(RATCHET, 'utf8')) as Ratchet);

if (process.argv.includes('--tighten')) writeFileSync(RATCHET, `${JSON.stringify(tightened, null, 2)}\n`);
for (const { path, line, rule, message } of findings) process.stdout.write(`${path}:${line} ${rule}: ${message}\n`);
if (!process.argv.includes('--tighten'))
  for (const line of slack) process.stdout.write(`tools/tidy/ratchet.json allows too much: ${line} (run with --tighten)\n`);

const faults = findings.length + (process.argv.includes('--tighten') ? 0 : slack.length);
process.stdout.write(faults === 0 ? `tidy: ${repository.files.length} files in order\n` : `tidy: ${faults} findings\n`);
process.exit(faults === 0 ? 0 : 1);
