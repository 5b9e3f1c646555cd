/** `npm run check`: everything that can be said about the code without running it. All steps run, so that one run shows all there is. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const bin = (path: string): string => join(ROOT, 'node_modules', path);

/** Pages for browsers have other types than the rest (DOM), so each has its own project. */
const pages = ['examples/crm/board', 'packages/console'].filter((folder) => existsSync(join(ROOT, folder, 'tsconfig.json')));

/** What the peers of the benchmark are written for is not installed with the rest, so that only who measures has to fetch it. */
const peers = existsSync(join(ROOT, 'bench/node_modules/graphql-yoga'));
const PEERS_MISSING = 'skipped  types of bench/peers: its packages are missing, `node tools/bootstrap/install-peers.mjs` installs them\n';

const STEPS: readonly (readonly [string, readonly string[]])[] = [
  ['types', [bin('typescript/bin/tsc'), '-p', '.']],
  ...pages.map((folder) => [`types of ${folder}`, [bin('typescript/bin/tsc'), '--noEmit', '-p', folder]] as const),
  ...(peers || process.env['MILLRACE_REQUIRE_SERVICES']
    ? [['types of bench/peers', [bin('typescript/bin/tsc'), '-p', 'bench/peers']] as const]
    : []),
  ['lint', [bin('oxlint/bin/oxlint'), '--type-aware', '--deny-warnings']],
  ['format', [bin('oxfmt/bin/oxfmt'), '--check', '.']],
  ['tidy', [join(ROOT, 'tools/tidy/main.ts')]],
  ['generated docs', [join(ROOT, 'tools/docs.ts'), '--check']],
];

const wanted = process.argv.slice(2);
let failed = 0;
for (const [name, args] of STEPS) {
  if (wanted.length > 0 && !wanted.some((word) => name.startsWith(word))) continue;
  const began = performance.now();
  const { code, output } = await run(args);
  if (code !== 0) failed += 1;
  process.stdout.write(`${code === 0 ? 'ok    ' : 'FAILED'}  ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)\n`);
  if (code !== 0) process.stdout.write(`${output.trim()}\n\n`);
}
if (!peers) process.stdout.write(PEERS_MISSING);
process.stdout.write(failed === 0 ? 'check: everything is in order\n' : `check: ${failed} of ${STEPS.length} steps failed\n`);
process.exit(failed === 0 ? 0 : 1);

function run(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => void (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}
