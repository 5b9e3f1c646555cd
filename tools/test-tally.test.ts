import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-tally-'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function runTests(files: Readonly<Record<string, string>>): Promise<{ code: number; stdout: string; last: string }> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), `import { describe, it } from 'vitest';\n${text}`);
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, 'tools/test.ts')], { cwd: folder }, (error, stdout) => {
      resolve({ code: Number(error?.code ?? 0), stdout, last: stdout.trimEnd().split('\n').at(-1)! });
    });
  });
}

it('counts what passed', async () => {
  expect(await runTests({ 'a.test.ts': `it('a', () => {}); it('b', () => {});` })).toMatchObject({
    code: 0,
    last: '2 passed, 0 failed, 0 skipped',
  });
});

it('counts files that cannot be loaded and errors that nobody handled as failed, and names what was skipped', async () => {
  const { code, stdout, last } = await runTests({
    'a.test.ts': `it('a', () => {}); it('b', () => { throw new Error('x'); }); it('c', () => { void Promise.reject(new Error('y')); });`,
    'b.test.ts': `import './nowhere.ts';`,
    'c.test.ts': `describe.skip('d', () => { it('e', () => {}); }); it.todo('f');`,
  });
  expect([code, last]).toEqual([1, '2 passed, 3 failed, 2 skipped']);
  expect(stdout).toMatch(/SKIPPED[^]*c\.test\.ts > d > e\n[^]*c\.test\.ts > f\n/);
});

it('does not call it a success where nothing was run', async () => {
  expect(await runTests({ 'a.test.ts': `it.skip('a', () => {});` })).toMatchObject({ code: 1, last: '0 passed, 0 failed, 1 skipped' });
});
