/**
 * `npm test [-- FILTER...]`: runs the tests once. The last line on standard output is `N passed, N failed, N skipped`;
 * the exit code is 0 only where at least one test passed, none failed, every file could be loaded and nothing was left unhandled.
 */
import { startVitest } from 'vitest/node';
import { whenOrphaned } from './orphan.ts';
import { TallyReporter } from './test-tally.ts';

whenOrphaned(() => process.exit(129));
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.on(signal, () => process.exit(code));

const tally = new TallyReporter();
const filters = process.argv.slice(2);
const vitest = await startVitest('test', filters, { run: true, watch: false, reporters: ['default', tally], passWithNoTests: false });
await vitest.close();

if (tally.skippedNames.length > 0) {
  process.stdout.write(`\nSKIPPED (not run, so nothing is known about them):\n${tally.skippedNames.map((name) => `  ${name}\n`).join('')}`);
}
const ok = tally.failed === 0 && tally.passed > 0;
process.stdout.write(`\n${tally.line()}\n`, () => process.exit(ok ? 0 : 1));
